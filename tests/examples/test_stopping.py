"""A signal to `make demo` or `make demo-cluster`: one line, the exit status of a shell, no process and no file left."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.demo.stopping import StoppedError, run_until_stopped

from .programs import Program, left_of, processes, program

DEMO, CLUSTER = "examples.demo", "examples.demo.cluster"
IS_LONG = bool(os.environ.get("MIMI_PROOF"))
"""The short form stops each demo once, each in another phase."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for temporary files that the user of PostgreSQL can read."""
    with tempfile.TemporaryDirectory(prefix="mimi-stopping-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def assert_is_a_clean_end(demo: Program, folder: Path, name: str) -> None:
    assert demo.err == f"\nended by {name}: no process is left, and the data are deleted\n"
    assert "Traceback" not in demo.out
    assert "✗" not in demo.out
    assert list(folder.iterdir()) == []
    assert [command for _, _, command in processes() if str(folder) in command] == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("module", [CLUSTER, *([DEMO] if IS_LONG else [])])
async def test_a_ctrl_c_during_the_start_leaves_nothing(module: str, folder: Path) -> None:
    async with program(Program, module, TMPDIR=str(folder), PYTHONUNBUFFERED="1") as demo:
        children = await demo.first_children()
        for _ in range(3):
            demo.signal(signal.SIGINT)
        assert await demo.ended() == 130

    assert left_of(children) == set()
    assert_is_a_clean_end(demo, folder, "SIGINT")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("module", "number", "status"),
    [(DEMO, signal.SIGTERM, 143), *([(CLUSTER, signal.SIGINT, 130)] if IS_LONG else [])],
)
async def test_a_signal_during_the_work_leaves_nothing(module: str, number: int, status: int, folder: Path) -> None:
    async with program(Program, module, TMPDIR=str(folder), PYTHONUNBUFFERED="1") as demo:
        while "workers serve" not in (line := await demo.line()) and "First launch" not in line:
            assert line
        children = demo.children()
        demo.signal(number)
        assert await demo.ended() == status

    assert len(children) >= 2
    assert left_of(children) == set()
    assert_is_a_clean_end(demo, folder, signal.Signals(number).name)


async def test_further_signals_do_not_interrupt_the_clean_up() -> None:
    ended = []

    async def work() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(60)
        finally:
            signal.raise_signal(signal.SIGINT)
            await asyncio.sleep(0.05)
            ended.append(True)

    with pytest.raises(StoppedError, match="ended by SIGINT") as stopped:
        await run_until_stopped(work())
    assert (ended, stopped.value.status) == ([True], 130)


async def test_without_a_signal_the_result_and_exceptions_pass_through() -> None:
    async def cut_off() -> None:
        raise asyncio.CancelledError

    assert await run_until_stopped(asyncio.sleep(0, 7)) == 7
    with pytest.raises(asyncio.CancelledError):
        await run_until_stopped(cut_off())
