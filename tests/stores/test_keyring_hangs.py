"""A keyring that hangs holds up nobody beyond the deadline, and no more than one thread."""

import asyncio
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mimi_async.errors import StoreUnavailableError
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending

from .keyrings import FileKeyring, Verb, keyring_at, marker_at, store_at

ROOT = Path(__file__).parents[2]
SOON = 0.1


class Hanging(FileKeyring):
    """Hangs in the verbs that a test names, until it lets go."""

    def __init__(self, place: Path) -> None:
        super().__init__(place / "keyring.sqlite3")
        self.hangs_in: set[Verb] = set()
        self.is_hanging = threading.Event()
        self.may_go_on = threading.Event()
        self.before = self._wait

    def _wait(self, verb: Verb) -> None:
        if verb in self.hangs_in:
            self.is_hanging.set()
            self.may_go_on.wait()


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Hanging]:
    hanging = Hanging(tmp_path)
    yield hanging
    hanging.may_go_on.set()
    for thread in threads():
        thread.join(30)


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "mimi-keyring"]


async def the_end_of_the_thread() -> None:
    for thread in threads():
        await asyncio.to_thread(thread.join, 30)
        assert not thread.is_alive()


async def test_every_call_ends_by_its_deadline_and_leaves_one_thread(tmp_path: Path, backend: Hanging) -> None:
    async with store_at(tmp_path, backend) as store:
        store._timeout = SOON
        backend.hangs_in = {"get"}
        calls = [store.load("a"), store.claim("a", fresh_pending()), store.forget("b", None)]
        outcomes = await asyncio.gather(*calls, *(store.load("b") for _ in range(50)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {StoreUnavailableError}
        with pytest.raises(
            StoreUnavailableError, match=r"did not answer within 0\.1 s, and what was asked may still be d"
        ):
            await store.load("a")
        assert len(threads()) == 1
        assert backend.asked == ["get"]
    async with asyncio.timeout(30):
        for _ in range(3):
            with pytest.raises(StoreUnavailableError):
                async with store:
                    pass
    assert len(threads()) == 1


async def test_goes_on_when_the_keyring_does_and_does_not_do_what_nobody_waits_for(
    tmp_path: Path, backend: Hanging
) -> None:
    async with store_at(tmp_path, backend) as store:
        store._timeout = SOON
        backend.hangs_in = {"get"}
        for call in (store.load("a"), store.claim("a", fresh_pending()), store.claim("b", fresh_pending())):
            with pytest.raises(StoreUnavailableError):
                await call
        backend.hangs_in = set()
        backend.may_go_on.set()
        await the_end_of_the_thread()
        assert backend.entries() == {}
        store._timeout = 30
        assert await store.load("a") is None


async def test_a_write_that_was_late_is_there_for_good(tmp_path: Path, backend: Hanging) -> None:
    record = fresh_pending()
    async with store_at(tmp_path, backend) as store:
        store._timeout = SOON
        backend.hangs_in = {"set"}
        with pytest.raises(StoreUnavailableError):
            await store.claim("a", record)
        backend.may_go_on.set()
        store._timeout = 30
        assert await store.load("a") == record
        assert await store.claim("a", fresh_pending()) == record


async def test_others_of_the_machine_wait_no_longer_than_their_deadline(tmp_path: Path, backend: Hanging) -> None:
    async with store_at(tmp_path, backend) as store, store_at(tmp_path) as other:
        store._timeout = other._timeout = SOON
        backend.hangs_in = {"get"}
        for call in (store.load("a"), other.claim("a", fresh_pending())):
            with pytest.raises(StoreUnavailableError, match="another process may hold it"):
                await call
        backend.may_go_on.set()
        await the_end_of_the_thread()
        assert backend.entries() == {}
        other._timeout = 30
        assert await other.load("a") is None


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there is no /proc")
async def test_a_forked_child_does_not_keep_the_lock_that_it_has_inherited(tmp_path: Path) -> None:
    backend = keyring_at(tmp_path)
    inherited: list[int] = []
    async with store_at(tmp_path, backend) as store:
        await store.claim("a", fresh_pending())
        lock = marker_at(tmp_path).with_name("lock")

        def fork(_: Verb) -> None:
            """Keep the files open that a child would have open from now on."""
            links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
            inherited.extend(os.dup(int(link.name)) for link in links if os.path.realpath(link) == str(lock))

        backend.before = fork
        backend.is_lying = True
        with pytest.raises(StoreUnavailableError):
            await store.load("a")
        assert inherited
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for descriptor in inherited:
            os.close(descriptor)


async def test_a_cancel_goes_through_at_once_and_the_write_goes_on(tmp_path: Path, backend: Hanging) -> None:
    record = fresh_active()
    async with store_at(tmp_path, backend) as store:
        backend.hangs_in = {"set"}
        claim = asyncio.create_task(store.claim("a", record))
        await asyncio.to_thread(backend.is_hanging.wait, 30)
        claim.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claim
        backend.may_go_on.set()
        assert await store.load("a") == record


async def test_leaving_waits_for_a_write_that_goes_on(tmp_path: Path, backend: Hanging) -> None:
    record = fresh_active()
    async with store_at(tmp_path, backend) as store:
        backend.hangs_in = {"set"}
        claim = asyncio.create_task(store.claim("a", record))
        await asyncio.to_thread(backend.is_hanging.wait, 30)
        claim.cancel()
        asyncio.get_running_loop().call_later(SOON, backend.may_go_on.set)
    assert len(backend.entries()) == 1
    assert backend.asked[-2:] == ["set", "get"]


def test_a_loop_that_was_closed_meanwhile_holds_nobody_up(tmp_path: Path, backend: Hanging) -> None:
    store, record = store_at(tmp_path, backend), fresh_active()

    async def claim_and_go() -> None:
        await store.__aenter__()
        backend.hangs_in = {"set"}
        claim = asyncio.create_task(store.claim("a", record))
        await asyncio.to_thread(backend.is_hanging.wait, 30)
        claim.cancel()

    async def come_back() -> None:
        async with store:
            assert await store.load("a") == record

    asyncio.run(claim_and_go())
    backend.may_go_on.set()
    asyncio.run(come_back())


FORK = """
import asyncio, os, pathlib, sys, time
from mimi_async.errors import StoreUnavailableError
from tests.stores.keyrings import keyring_at, store_at
place = pathlib.Path(sys.argv[1])
backend = keyring_at(place)
store = store_at(place, backend)
async def hang():
    async with store:
        store._timeout = 0.1
        backend.before = lambda _: time.sleep(3600)
        try:
            await store.load("a")
        except StoreUnavailableError:
            pass
async def enter():
    store._timeout = 30
    async with store:
        print("entered", flush=True)
asyncio.run(hang())
child = os.fork()
if child:
    os.waitpid(child, 0)
else:
    asyncio.run(enter())
"""


HANG = """
import asyncio, pathlib, sys, time
from mimi_async.errors import StoreUnavailableError
from tests.stores.keyrings import keyring_at, store_at
place = pathlib.Path(sys.argv[1])
async def main():
    backend = keyring_at(place)
    async with store_at(place, backend) as store:
        store._timeout = 0.1
        backend.before = lambda _: time.sleep(3600)
        try:
            await store.load("a")
        except StoreUnavailableError:
            print("told")
asyncio.run(main())
"""


def said_by(code: str, place: Path) -> str:
    command = [sys.executable, "-c", code, str(place)]
    ended = subprocess.run(command, cwd=ROOT, check=False, timeout=60, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_a_thread_that_hangs_does_not_keep_the_interpreter_from_ending(tmp_path: Path) -> None:
    assert said_by(HANG, tmp_path) == "told\n"


def test_a_thread_that_hangs_is_not_waited_for_in_a_forked_child(tmp_path: Path) -> None:
    assert said_by(FORK, tmp_path) == "entered\n"
