"""Find the calls that touch files in the thread of an event loop."""

import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_PREFIXES = ("os.", "shutil.", "tempfile.", "glob.", "pathlib.", "sqlite3.connect", "subprocess.", "fcntl.flock")
_EVENTS = ("open", "import", "socket.getaddrinfo")
_ELSEWHERE = ("os.putenv", "os.unsetenv")  # touches no file
_UNAUDITED = ("stat", "lstat", "access", "fsync", "statvfs")
_watched: dict[int, list[str]] = {}
"""Thread → what touched a file in it. A hook can't be removed: it does nothing for a thread that is not here."""


def _note(event: str, subject: object) -> None:
    found = _watched.get(threading.get_ident())
    if found is not None:
        frames = [
            frame for frame in traceback.walk_stack(None) if "/tests/blocking.py" not in frame[0].f_code.co_filename
        ]
        if any("/coverage/" in frame.f_code.co_filename for frame, _ in frames):
            return  # coverage looks up each file that runs for the first time
        places = [f"{frame.f_code.co_filename.rpartition('/')[2]}:{line}" for frame, line in frames[:8]]
        found.append(f"{event} {subject} ({' < '.join(places)})")


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watched and event not in _ELSEWHERE and (event in _EVENTS or event.startswith(_PREFIXES)):
        _note(event, arguments[0] if arguments else "")


def _noting(name: str) -> Callable[..., Any]:
    call = getattr(os, name)

    def noted(path: Any, *arguments: Any, **options: Any) -> Any:
        _note(f"os.{name}", path)
        return call(path, *arguments, **options)

    return noted


sys.addaudithook(_hook)


@contextmanager
def files_in_this_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Collect the calls that touch files in this thread, each with its place."""
    found: list[str] = []
    with monkeypatch.context() as patches:
        for name in _UNAUDITED:
            patches.setattr(os, name, _noting(name))
        _watched[threading.get_ident()] = found
        try:
            yield found
        finally:
            del _watched[threading.get_ident()]
