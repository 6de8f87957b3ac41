"""A call from within known_id, a store or send would wait for itself: it is refused at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mimi_async import (
    AnonymousId,
    Anonymously,
    ConfigurationError,
    MimiCore,
    MimiError,
    MimiUser,
    ServerUnreachableError,
)
from mimi_async.stores import MemoryStore, StoredIdentity
from mimi_async.wire import Reply, Request

from ..doubles import FakeServer, core_of
from .test_operations import USER_CALLS

DOWN = ServerUnreachableError("down")


CALLS: dict[str, Callable[[MimiCore], Awaitable[object]]] = {
    **USER_CALLS,
    "ensure_user": lambda core: core.auth.ensure_user(),
    "authenticate": lambda core: core.auth.authenticate(Anonymously()),
    "log_out": lambda core: core.auth.log_out(),
    "start_over": lambda core: core.auth.start_over(),
    "restore": lambda core: core.auth.restore(),
    "a_task": lambda core: asyncio.create_task(core.auth.reload_user()),
    "nested": lambda core: core.auth_for("nested"),
}


class MeddlingStore(MemoryStore):
    meddle: Callable[[], Awaitable[object]] | None = None

    async def load(self, account: str) -> StoredIdentity | None:
        if self.meddle is not None:
            await self.meddle()
        return await super().load(account)


@pytest.mark.parametrize("caller", ["known_id", "store", "send"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_call_from_within_known_id_store_or_send_is_refused_at_once(
    caller: str, call: Callable[[MimiCore], Awaitable[object]]
) -> None:
    server, store, errors = FakeServer(), MeddlingStore(), list[BaseException]()

    async def meddle() -> None:
        if is_meddling:
            try:
                await call(core)
            except MimiError as error:
                errors.append(error)

    async def known_id(account: str) -> AnonymousId | None:
        await (core.auth.ensure_user() if account == "nested" else meddle())
        return None

    async def send(request: Request) -> Reply:
        if caller == "send":
            await meddle()
        return await server.send(request)

    store.meddle = meddle if caller == "store" else None
    is_meddling = False
    core = core_of(
        server, store=store, known_id=known_id if caller == "known_id" or call is CALLS["nested"] else None, send=send
    )
    async with asyncio.timeout(10), core:
        is_meddling = True
        await core.auth.ensure_user()
        is_meddling = False
        await core.auth.ensure_user()
    assert [type(error) for error in errors][:1] == [ConfigurationError]
    assert "wait for itself" in str(errors[0])


async def test_another_account_may_be_asked_from_within() -> None:
    async def known_id(account: str) -> AnonymousId | None:
        if account == "default":
            other = await core.auth_for("other")
            return (await other.ensure_user()).anonymous_id
        return None

    core = core_of(FakeServer(), known_id=known_id)
    async with asyncio.timeout(10), core:
        assert core.auth.current_user is not None


async def test_a_task_started_within_an_operation_may_call_after_its_end() -> None:
    server, tasks, ended = FakeServer(), list[asyncio.Task[Any]](), asyncio.Event()

    async def later() -> MimiUser:
        await ended.wait()
        return await core.auth.reload_user()

    def start_one(_: Request) -> None:
        if not tasks:
            tasks.append(asyncio.create_task(later()))

    server.before = start_one
    async with core_of(server) as core:
        user = await core.auth.ensure_user()
        ended.set()
        assert await tasks[0] == user
