"""A keyring that hangs: an opening ends by its time limit, in one thread, and ends no other program."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mimi_async.errors import StoreUnavailableError
from mimi_async.testing.store_contract_base import fresh_active

from .keyrings import FileKeyring, Verb, keyring_at, store_at

ROOT = Path(__file__).parents[2]
SOON = 0.1


class Hanging(FileKeyring):
    """Hangs until a test lets it go on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "keyring.sqlite3")
        self.is_hanging = threading.Event()
        self.may_go_on = threading.Event()
        self.before = self._wait

    def _wait(self, _: Verb) -> None:
        self.is_hanging.set()
        self.may_go_on.wait()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "mimi-keyring"]


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Hanging]:
    hanging = Hanging(tmp_path)
    yield hanging
    hanging.may_go_on.set()
    for thread in threads():
        thread.join(30)


@pytest.mark.parametrize("is_new", [False, True], ids=["an old file", "a new file"])
async def test_every_opening_ends_by_its_time_limit_and_leaves_one_thread(
    tmp_path: Path, backend: Hanging, is_new: bool
) -> None:
    if not is_new:
        async with store_at(tmp_path):
            pass
    store = store_at(tmp_path, backend, timeout=SOON)
    for _ in range(3):
        with pytest.raises(
            StoreUnavailableError, match=r"did not answer within 0\.1 s; what it holds was kept"
        ) as hung:
            await store.__aenter__()
        assert hung.value.retryable
    assert len(threads()) == 1
    assert backend.calls == ["set" if is_new else "get"]


async def test_the_loop_runs_while_the_keyring_hangs_and_an_opening_succeeds_when_it_goes_on(
    tmp_path: Path, backend: Hanging
) -> None:
    store = store_at(tmp_path, backend, timeout=30)
    opening = asyncio.create_task(store.__aenter__())
    await asyncio.to_thread(backend.is_hanging.wait, 30)
    assert not opening.done()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    again = asyncio.create_task(store.__aenter__())
    await asyncio.sleep(0)
    backend.may_go_on.set()
    await again
    record = await store.claim("a", fresh_active())
    await store.__aexit__(None, None, None)
    assert len(backend.entries()) == 1, "the key that was written late is the key of the file"
    async with store_at(tmp_path) as other:
        assert await other.load("a") == record


def test_a_closed_loop_leaves_a_store_that_another_loop_can_open(tmp_path: Path, backend: Hanging) -> None:
    store = store_at(tmp_path, backend)

    async def open_and_end() -> None:
        opening = asyncio.create_task(store.__aenter__())
        await asyncio.to_thread(backend.is_hanging.wait, 30)
        opening.cancel()

    async def open_again() -> None:
        async with store:
            assert await store.load("a") is None

    asyncio.run(open_and_end())
    backend.may_go_on.set()
    asyncio.run(open_again())


PROGRAM = """
import asyncio, os, pathlib, sys, threading
from mimi_async.errors import StoreUnavailableError
from tests.stores.keyrings import keyring_at, store_at
folder = pathlib.Path(sys.argv[1])
backend = keyring_at(folder)
store = store_at(folder, backend, timeout=1)
async def hang():
    backend.before = lambda _: threading.Event().wait()
    try:
        await store.__aenter__()
    except StoreUnavailableError:
        print("hung", flush=True)
async def enter():
    backend.before = lambda _: None
    async with store:
        print("entered", flush=True)
asyncio.run(hang())
child = os.fork()
if child:
    os.waitpid(child, 0)
else:
    asyncio.run(enter())
"""


def test_a_thread_that_hangs_keeps_neither_the_interpreter_nor_a_forked_child_waiting(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    ended = subprocess.run(command, cwd=ROOT, check=False, timeout=60, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (0, "hung\nentered\n"), ended.stderr
    assert len(keyring_at(tmp_path).entries()) == 1
