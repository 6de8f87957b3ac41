"""No secret is shown, whatever fails: every fault at DEBUG with asyncio's debug mode, and a search of all output."""

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

import attrs
import pytest

from mimi_async import AnonymousId, AuthController, ClientCredentials, LogInAnonymously, MimiCore, MimiError
from mimi_async.stores import SQLiteStore, open_store
from mimi_async.testing import IdentityServer
from mimi_async.testing.faults import SentReply
from mimi_async.transport import Transport
from mimi_async.wire.contract import PROBLEMS

from ..conftest import rounds
from ..doubles import set_timeouts
from .canary import Canary, CanaryStore
from .conftest import Figures
from .test_proxy import Truth

CREDENTIALS = ClientCredentials("acme", "secret-of-acme")
TEST = Truth.test(1)


async def all_tests(auth: AuthController) -> list[object]:
    return [test async for test in auth.hearing_tests()]


async def log_in(auth: AuthController) -> object:
    user = await auth.ensure_user()
    return await auth.authenticate(LogInAnonymously(user.anonymous_id))


async def log_in_again(auth: AuthController) -> object:
    user = await auth.ensure_user()
    await auth.log_out()
    return await auth.authenticate(LogInAnonymously(user.anonymous_id))


CALLS: dict[str, Callable[[AuthController], Awaitable[object]]] = {
    "ensure": AuthController.ensure_user,
    "log in": log_in,
    "log in again": log_in_again,
    "reload": AuthController.reload_user,
    "update": lambda auth: auth.update_user(year_of_birth=1980),
    "submit": lambda auth: auth.submit_hearing_test(TEST),
    "tests": all_tests,
    "export": AuthController.export_data,
    "log out": AuthController.log_out,
    "reset": AuthController.reset,
    "start over": AuthController.start_over,
}


@attrs.frozen(kw_only=True)
class Scene:
    """A core on real HTTP and a real file, with the canary around send and store."""

    canary: Canary
    core: MimiCore
    server: IdentityServer
    store: CanaryStore
    file: Path

    async def call(self, name: str, account: str) -> None:
        """Make a call for an account and record its result or error."""
        try:
            auth = await self.core.auth_for(account)
            self.canary.record(auth, await CALLS[name](auth), auth.current_user)
        except (MimiError, asyncio.CancelledError) as error:
            self.canary.record_error(error)

    async def call_all(self, kind: str) -> None:
        """Make all calls concurrently, each for its own account."""
        await asyncio.gather(*(self.call(name, f"{kind}, {name}") for name in CALLS))

    async def create_users(self, kind: str) -> None:
        """Create the users of the accounts, except the one whose call creates it."""
        for name in CALLS:
            if name != "ensure":
                await (await self.core.auth_for(f"{kind}, {name}")).ensure_user()


@asynccontextmanager
async def scene(canary: Canary, server: IdentityServer, file: Path, **settings: object) -> AsyncIterator[Scene]:
    canary.add_client(server.credentials)
    store = CanaryStore(SQLiteStore(file, busy_timeout=0.05), canary)
    transport = Transport(server.url, server.credentials, sleep=lambda _: asyncio.sleep(0))
    with canary.capture_logs():
        async with transport:
            core = MimiCore(send=canary.wrap_send(transport.send), store=store, account=None, **settings)  # type: ignore[arg-type] # whatever a test gives
            core.observe(lambda sender, **update: canary.record(sender, update))
            async with core:
                yield Scene(canary=canary, core=core, server=server, store=store, file=file)
        canary.record(core, transport, store, server, server.credentials)


@pytest.fixture
def canary(figures: Figures, capfd: pytest.CaptureFixture[str]) -> Iterator[Canary]:
    canary = Canary()
    yield canary
    assert canary.find_leaks(*capfd.readouterr()) == set()
    assert canary.figures["errors"] > 0, "no error was recorded"
    figures.add(**canary.figures)


def edit(body: Callable[[bytes], bytes] = lambda body: body, **changes: object) -> Callable[[SentReply], SentReply]:
    return lambda reply: attrs.evolve(reply, body=body(reply.body), **changes)  # type: ignore[arg-type] # fields of SentReply


FAULTS: dict[str, Callable[[IdentityServer], None]] = {
    **{f"{code}": partial(IdentityServer.fail, status=code, times=None) for code in (307, 400, 401, 404, 429, 503)},
    **{name: partial(IdentityServer.fail, problem=name, times=None) for name in PROBLEMS if name != "unserviceable"},
    "a reply lost": partial(IdentityServer.drop_reply, times=None),
    "a request lost": partial(IdentityServer.drop_request, times=None),
    "half a body": lambda server: server.rewrite("*", edit(lambda body: body[: len(body) // 2]), times=None),
    "no JSON": lambda server: server.rewrite("*", edit(lambda body: b"<html>" + body), times=None),
    "no UTF-8": lambda server: server.rewrite("*", edit(lambda body: b"\xff" + body), times=None),
    "deep": lambda server: server.rewrite("*", edit(lambda body: b"[" * 10_000 + body), times=None),
    "wrong types": lambda server: server.rewrite("*", edit(lambda body: body.replace(b'":"', b'":["')), times=None),
    "a name": lambda server: server.rewrite(
        "*", edit(lambda body: body.replace(b'"sex"', b'"name":"Ada","sex"')), times=None
    ),
    "no anonymous one": lambda server: server.rewrite(
        "*", edit(lambda body: body.replace(b'"is_anonymous":true', b'"is_anonymous":false')), times=None
    ),
    "another exchange": lambda server: server.rewrite("*", edit(headers={"Mimi-Exchange": "another"}), times=None),
    "another subject": lambda server: server.rewrite(
        "*", edit(lambda body: body.replace(b'"id":"', b'"id":"0')), times=None
    ),
    "too large": lambda server: server.rewrite("*", edit(lambda body: body + b" " * 17_000_000), times=None),
}  # fmt: skip


@pytest.mark.parametrize("kind", [*FAULTS][:: rounds(3, 1)])
async def test_no_fault_of_the_server_shows_a_secret(
    kind: str, canary: Canary, server: IdentityServer, tmp_path: Path
) -> None:
    async with scene(canary, server, tmp_path / "ids.sqlite3") as stage:
        await stage.create_users(kind)
        FAULTS[kind](server)
        await stage.call_all(kind)
        server.clear_faults()
        await stage.call_all(kind)


async def test_a_server_that_is_down_or_silent_shows_none(
    canary: Canary, server: IdentityServer, tmp_path: Path
) -> None:
    async with scene(canary, server, tmp_path / "ids.sqlite3") as stage:
        await stage.create_users("silent")
        await stage.create_users("down")
        set_timeouts(stage.core, call=0.3)
        async with server.hold():
            await stage.call_all("silent")
        await server.stop()
        await stage.call_all("down")
        await server.start()
        server.revoke_tokens()
        await stage.call_all("down")
        server.make_unserviceable()
        await stage.call_all("down")


async def test_a_cancelled_call_and_a_core_left_in_the_middle_show_none(
    canary: Canary, server: IdentityServer, tmp_path: Path
) -> None:
    async with server.hold() as held:
        async with scene(canary, server, tmp_path / "ids.sqlite3") as stage:
            set_timeouts(stage.core, shutdown=0.1)
            for number in range(10):
                task = asyncio.create_task(stage.call("ensure", f"a-{number}"))
                await held.arrived.wait()
                if number % 2:
                    task.cancel()
                    await asyncio.wait([task])
        await stage.call("ensure", "a-1")
        held.release()


async def test_a_store_that_fails_shows_none(canary: Canary, server: IdentityServer, tmp_path: Path) -> None:
    file = tmp_path / "ids.sqlite3"
    async with scene(canary, server, file) as stage:
        for kind in ("locked", "host", "corrupt", "garbage"):
            await stage.create_users(kind)
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            await stage.call_all("locked")
        auth = await stage.core.auth_for("host, reload")
        user = await auth.ensure_user()
        stage.store.failure = RuntimeError(f"could not write {user.anonymous_id.reveal()}")
        await stage.call_all("host")
        stage.store.failure = None
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("UPDATE identities SET secret = secret || CAST(x'ff' AS TEXT) WHERE account LIKE 'corrupt%'")
        await stage.call_all("corrupt")
    async with scene(canary, server, file) as stage:
        await stage.call_all("corrupt")
        file.write_bytes(file.read_bytes()[:5000].ljust(50_000, b"\xee"))
        await stage.call_all("garbage")


async def test_a_disk_that_is_full_shows_none(canary: Canary, server: IdentityServer, tmp_path: Path) -> None:
    file = tmp_path / "ids.sqlite3"
    async with scene(canary, server, file) as stage:
        await stage.create_users("full")
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size, limits[1]))
        try:
            await stage.call_all("full")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)


async def test_an_id_in_an_exception_of_the_host_is_not_repeated(
    canary: Canary, server: IdentityServer, tmp_path: Path
) -> None:
    async def known_id(account: str) -> AnonymousId | None:
        if account == "bad":
            msg = f"the row is {user.anonymous_id.reveal()}"
            raise RuntimeError(msg)
        if account == "wrong type":
            return user.anonymous_id.reveal()  # type: ignore[return-value] # the mistake that a host makes
        return None

    async def raise_with_id(*_: object, current: object, **__: object) -> None:
        await asyncio.sleep(0)
        raise RuntimeError(repr(_) + user.anonymous_id.reveal())

    async with scene(canary, server, tmp_path / "ids.sqlite3", known_id=known_id) as stage:
        auth = await stage.core.auth_for("good")
        user = await auth.ensure_user()
        await stage.call("ensure", "bad")
        await stage.call("ensure", "wrong type")
        stage.core.observe(raise_with_id)
        await auth.update_user(year_of_birth=1980)
        stage.store.failure = RuntimeError(user.anonymous_id.reveal())
        await stage.call("log out", "good")


def test_an_invalid_url_and_credentials_are_not_quoted(canary: Canary) -> None:
    canary.add_secret("a password", "hunter2-hunter2-hunter2")
    for wrong in (
        partial(open_store, "redis://user:hunter2-hunter2-hunter2@host"),
        partial(AnonymousId, "hunter2-hunter2-hunter2"),
        partial(Transport, "http://hunter2-hunter2-hunter2:x@127.0.0.1", CREDENTIALS),
        partial(Transport, "https://user:hunter2-hunter2-hunter2@host", CREDENTIALS),
    ):
        with pytest.raises(MimiError) as caught:
            wrong()
        canary.record_error(caught.value, capture_locals=False)
