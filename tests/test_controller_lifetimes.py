"""How long a core keeps a controller: while it has a reference, a subscription or an operation, or was used lately."""

import asyncio
import gc
import weakref
from contextlib import suppress
from typing import Any

import pytest

from mimi_async import AnonymousId, AuthController, MimiCore, ProtocolError, ServerUnreachableError
from mimi_async.stores import MemoryStore
from mimi_async.testing import IdentityServer

from .doubles import FakeServer, Observer, core_of, settle, store_with, whose

DOWN = ServerUnreachableError("down")


async def test_the_least_recently_used_controllers_are_dropped_first() -> None:
    async with core_of(FakeServer(), account=None, max_idle_controllers=2) as core:
        alive = {name: weakref.ref(await core.auth_for(name)) for name in ("a", "b")}
        await core.present(whose, account="a")
        alive["c"] = weakref.ref(await core.auth_for("c"))
        gc.collect()
        assert {name: ref() is not None for name, ref in alive.items()} == {"a": True, "b": False, "c": True}


async def test_a_controller_with_a_reference_is_never_duplicated() -> None:
    async with core_of(FakeServer(), account=None, max_idle_controllers=0) as core:
        held = await core.auth_for("a")
        await core.auth_for("b")
        gc.collect()
        assert await core.auth_for("a") is held


async def test_a_controller_without_a_reference_is_dropped_even_after_a_failure() -> None:
    server = FakeServer()
    async with core_of(
        server, store=await store_with(server.add_user(), "a"), account=None, max_idle_controllers=0
    ) as core:
        senders: list[weakref.ref[AuthController]] = []
        core.observe(lambda sender, **_: senders.append(weakref.ref(sender)))
        server.failure = DOWN
        with pytest.raises(ServerUnreachableError):
            await core.auth_for("a")
        await settle()
        gc.collect()
        assert [sender() for sender in senders] == [None]


async def test_a_controller_with_an_open_subscription_is_never_dropped() -> None:
    async with core_of(FakeServer(), account=None, max_idle_controllers=0) as core:
        observer = Observer()
        observed, iterated = await core.auth_for("a"), await core.auth_for("b")
        controllers = [weakref.ref(observed), weakref.ref(iterated)]
        subscription, stream = observed.observe(observer), iterated.updates()
        del observed, iterated
        gc.collect()
        assert all(controller() for controller in controllers)
        await (await core.auth_for("a")).ensure_user()
        assert len(observer.updates) == 1
        subscription.close()
        stream.close()
        del subscription, stream
        gc.collect()
        assert not any(controller() for controller in controllers)


async def test_a_controller_with_an_operation_under_way_is_never_dropped() -> None:
    server = FakeServer()
    async with core_of(server, account=None, max_idle_controllers=0) as core:
        auth = await core.auth_for("a")
        release = server.hold()
        caller = asyncio.create_task(auth.ensure_user())
        await server.asked()
        caller.cancel()
        seen = weakref.ref(auth)
        del auth, caller
        await settle()
        gc.collect()
        assert seen() is not None
        assert seen() is await core.auth_for("a")
        release.set()
        await settle()
        assert (await core.auth_for("a")).current_user is not None
        assert len(server.users) == 1


async def test_a_log_out_that_delivers_the_user_once_more_leaves_no_reference_cycle() -> None:
    known: list[AnonymousId | None] = []

    async def known_id(_: str) -> AnonymousId | None:
        return known.pop(0) if known else None

    async with core_of(FakeServer(), account=None, max_idle_controllers=0, known_id=known_id) as core:
        auth = await core.auth_for("a")
        known += [None, (await auth.ensure_user()).anonymous_id]
        gc.collect()
        gc.disable()
        try:
            await auth.log_out()
            seen = weakref.ref(auth)
            del auth
            await core.auth_for("b")
            assert seen() is None
        finally:
            gc.enable()
    assert known == []


async def test_a_restore_that_fails_leaves_no_reference_cycle(mimi_server: IdentityServer) -> None:
    store = MemoryStore()
    settings: dict[str, Any] = {"server": mimi_server.url, "store": store, "account": None, "max_idle_controllers": 0}
    async with MimiCore(mimi_server.credentials, **settings) as core:
        await (await core.auth_for("a")).ensure_user()
    mimi_server.fail("/v1/sessions", status=404, times=None)
    async with MimiCore(mimi_server.credentials, **settings) as core:
        seen: list[weakref.ref[object]] = []

        def note(sender: object, **_: object) -> None:
            seen.append(weakref.ref(sender))

        core.observe(note)
        gc.collect()
        gc.disable()
        try:
            with suppress(ProtocolError):  # pytest.raises would hold the traceback
                await core.auth_for("a")
            await settle()
            await core.auth_for("b")
            assert [controller() for controller in seen] == [None]
        finally:
            gc.enable()
