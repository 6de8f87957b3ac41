"""A call stays readable in a debugger: few frames in few files between the task of an operation and aiohttp."""

import sys
from pathlib import Path

import aiohttp
import pytest

import mimi_async

from .launches import App

PACKAGE = str(Path(mimi_async.__file__).parent)


@pytest.mark.parametrize("store", ["memory"], indirect=True)
async def test_a_creation_runs_few_frames_deep(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    stacks: list[list[str]] = []
    request = aiohttp.ClientSession.request

    def counted(session: aiohttp.ClientSession, method: str, url: object, **options: object) -> object:
        frame, stack = sys._getframe(1), list[str]()
        while frame is not None and frame.f_code.co_filename.startswith(PACKAGE):
            stack.append(frame.f_code.co_filename)
            frame = frame.f_back  # type: ignore[assignment]  # None ends the loop
        stacks.append(stack)
        return request(session, method, url, **options)  # type: ignore[arg-type]  # handed on as they are

    async with app.core(known_id=None) as core:
        monkeypatch.setattr(aiohttp.ClientSession, "request", counted)
        await core.auth.ensure_user()
    (stack,) = stacks
    assert Path(stack[-1]).name == "operation.py", "the stack is counted from the task of the operation"
    assert len(stack) <= 9
    assert len(set(stack)) <= 7
