"""`Timeouts` holds every time limit of a core, and each limit reaches the part that it limits."""

import ast
import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import attrs
import pytest

from mimi_async import (
    ConfigurationError,
    MimiCore,
    ServerTimeoutError,
    ServerUnreachableError,
    StartupError,
    StoreUnavailableError,
    Timeouts,
)
from mimi_async.stores import MemoryStore, StoredIdentity
from mimi_async.stores.base import DamagedIdentity
from mimi_async.transport import Transport

from .doubles import FakeServer, core_of, store_with
from .transport.doubles import CREDENTIALS, LOG_IN, Naps
from .transport.script import ScriptedServer, reset

PACKAGE = Path(__file__).parents[1] / "mimi_async"
LIMITED = (
    "auth",
    "operations",
    "updates",
    "transport",
    "core.py",
    "startup.py",
    "gate.py",
    "entry.py",
    "presenting.py",
)
MODULES = sorted(
    module for name in LIMITED for module in ([PACKAGE / name] if "." in name else (PACKAGE / name).glob("*.py"))
)
NAMES = [field.name for field in attrs.fields(Timeouts)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf"), True, "5", None])
def test_a_time_limit_is_a_number_of_seconds(name: str, seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match=rf"Timeouts\({name}=…\) is a number of seconds, "):
        Timeouts(**{name: seconds})


@pytest.mark.parametrize("name", NAMES)
def test_a_time_limit_may_be_zero_except_that_of_connecting_where_aiohttp_takes_zero_for_none(name: str) -> None:
    if name == "connect":
        with pytest.raises(ConfigurationError, match=r"Timeouts\(connect=…\) is a number of seconds, more than 0"):
            Timeouts(connect=0)
    else:
        assert getattr(Timeouts(**{name: 0}), name) == 0


def test_a_value_that_is_not_a_timeouts_is_refused_by_the_constructor_and_by_the_attribute() -> None:
    with pytest.raises(ConfigurationError, match=r"timeouts is a Timeouts\(call=…, …\), not a int"):
        core_of(FakeServer(), timeouts=5)
    core = core_of(FakeServer())
    with pytest.raises(ConfigurationError, match=r"timeouts is a Timeouts\(call=…, …\), not a float"):
        core.timeouts = 5.0  # type: ignore[assignment]  # that is the point
    assert core.timeouts == Timeouts()


def constants_of(module: Path) -> Iterator[str]:
    """Yield the time limits that a module holds itself: named constants, and numbers given to a timer."""
    for node in ast.walk(ast.parse(module.read_text())):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                if re.search(r"SECONDS|TIMEOUT|PATIENCE|GRACE|BACK_?OFF|JITTER|DELAY|PAUSE", name):
                    yield f"{module.name}:{node.lineno} {name}"
            case ast.Call(func=ast.Attribute(attr="timeout" | "timeout_at" | "call_later" | "sleep"), args=[first, *_]):
                if isinstance(first, ast.Constant) and first.value:
                    yield f"{module.name}:{node.lineno} {ast.unparse(node)}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_no_module_holds_a_time_limit_of_its_own(module: Path) -> None:
    assert list(constants_of(module)) == []


async def test_the_base_and_the_cap_of_the_wait_before_a_retry_reach_the_transport() -> None:
    naps = Naps()
    limits = Timeouts(retry_base=0.25, retry_cap=0.3)
    async with ScriptedServer(reset, reset, reset) as server:
        transport = Transport(server.url, CREDENTIALS, timeouts=limits, sleep=naps.sleep, uniform=naps.uniform)
        async with transport:
            with pytest.raises(ServerUnreachableError):
                await transport.send(LOG_IN)
    assert naps.taken == [0.25, 0.3]


async def test_the_limit_of_connecting_reaches_the_transport() -> None:
    """The backlog of this listener is full: the kernel does not answer."""
    naps = Naps()
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in (stack.enter_context(socket.socket()) for _ in range(4)):
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with (
            asyncio.timeout(4),
            Transport(url, CREDENTIALS, timeouts=Timeouts(connect=0.01), sleep=naps.sleep) as transport,
        ):
            with pytest.raises(ServerTimeoutError, match="could not be connected in time"):
                await transport.send(LOG_IN)
    assert len(naps.taken) == 2


async def test_the_limit_of_a_call_reaches_a_request_without_a_deadline() -> None:
    async with ScriptedServer() as server, Transport(server.url, CREDENTIALS, timeouts=Timeouts(call=0)) as transport:
        with pytest.raises(ServerTimeoutError, match="before its request could be sent"):
            await transport.send(LOG_IN)
    assert server.asked == []


class HangingStore(MemoryStore):
    """A store of which the verbs named in `hangs` do not return."""

    hangs: frozenset[str] = frozenset()

    async def _hang_in(self, verb: str) -> None:
        if verb in self.hangs:
            await asyncio.Event().wait()

    async def __aenter__(self) -> Self:
        await self._hang_in("open")
        return await super().__aenter__()

    async def __aexit__(self, *exc_info: object) -> None:
        await self._hang_in("close")
        await super().__aexit__(*exc_info)

    async def load(self, account: str) -> StoredIdentity | None:
        await self._hang_in("load")
        return await super().load(account)

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        if "forget" in self.hangs:
            self.hangs |= {"load"}
        await self._hang_in("forget")
        return await super().forget(account, expected)


async def test_a_store_that_does_not_open_in_time_fails_the_start() -> None:
    store = HangingStore()
    store.hangs = frozenset({"open"})
    with pytest.raises(StartupError, match=r"the store did not open within 0.01 s") as caught:
        await core_of(FakeServer(), store=store, timeouts=Timeouts(startup=0.01)).__aenter__()
    assert caught.value.phase == "store"


async def test_a_store_that_does_not_close_in_time_is_left_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    store = HangingStore()
    async with asyncio.timeout(4), core_of(FakeServer(), store=store, timeouts=Timeouts(startup=0.01)):
        store.hangs = frozenset({"close"})
    assert "a part did not close: TimeoutError" in caplog.text


async def test_putting_a_record_back_has_a_limit_of_its_own_beyond_the_deadline_of_the_call() -> None:
    server, store = FakeServer(), HangingStore()
    record = await store_with(server.add_user())
    await store.claim("default", await record.load("default"))  # type: ignore[arg-type]  # it is there
    limits = Timeouts(call=0.01, undo=0.01)
    async with asyncio.timeout(4), core_of(server, store=store) as core:
        core.timeouts = limits
        store.hangs = frozenset({"forget"})
        with pytest.raises(StoreUnavailableError):
            await core.auth.log_out(discard_id=True)
        store.hangs, core.timeouts = frozenset(), Timeouts()
        assert await core.auth.ensure_user()  # it waits for the lock until the record is given up, and restores again
    assert server.requests == ["POST /v1/sessions"] * 2


async def test_a_new_value_counts_for_later_calls_and_for_leaving() -> None:
    server = FakeServer()
    core: MimiCore = core_of(server)
    async with asyncio.timeout(4), core:
        server.hold()
        core.timeouts = Timeouts(call=0.01, shutdown=0.0)
        with pytest.raises(ServerTimeoutError):
            await core.auth.ensure_user()
