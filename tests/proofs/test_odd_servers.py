"""A server that repeats an unexpected reply ends a call: the number of requests is bounded."""

import pytest

from mimi_async import ErasedAnonymousIdError, MimiCore, MimiUser, ProtocolError, wire
from mimi_async.stores import MemoryStore
from mimi_async.testing import IdentityServer
from mimi_async.transport import Transport


async def test_a_server_that_calls_every_new_user_erased_ends_the_call(server: IdentityServer) -> None:
    server.fail("/v1/anonymous-users", problem="erased", times=None)
    store = MemoryStore()
    async with MimiCore(server.credentials, server=server.url, store=store) as core:
        with pytest.raises(ProtocolError, match="one user after another was erased"):
            await core.auth.ensure_user()
        assert await store.load("default") is None
        assert len(server.requests) < 10
        server.clear_faults()
        assert await core.auth.ensure_user() == core.auth.current_user
    assert server.users == 1


async def test_a_server_that_rejects_its_own_tokens_ends_the_call(server: IdentityServer) -> None:
    async with MimiCore(server.credentials, server=server.url, store=MemoryStore()) as core:
        user = await core.auth.ensure_user()
        server.fail("/v1/user", problem="token-rejected", times=None)
        begun = len(server.requests)
        with pytest.raises(ProtocolError, match="rejects an access token that it has just issued") as caught:
            await core.auth.reload_user()
        assert type(caught.value) is ProtocolError
        assert len(server.requests) - begun == 3
        with pytest.raises(ProtocolError, match="rejects an access token that it has just issued"):
            await core.auth.reset()
        assert core.auth.current_user == user
        server.clear_faults()
        assert await core.auth.reload_user() == user


async def test_a_reset_that_another_one_overtakes_is_a_reset(server: IdentityServer) -> None:
    """The log-in succeeds, and the erasure is refused because the user is erased already."""
    erasures: list[wire.Reply] = []
    updates: list[tuple[MimiUser | None, type[Exception]]] = []

    async def send(request: wire.Request) -> wire.Reply:
        if request.method == "DELETE" and not erasures:
            erasures.append(await transport.send(request))
        return await transport.send(request)

    async with (
        Transport(server.url, server.credentials) as transport,
        MimiCore(send=send, store=MemoryStore()) as core,
    ):
        await core.auth.ensure_user()
        core.observe(lambda _, *, current, error, **__: updates.append((current, type(error))))
        await core.auth.reset()
        assert core.auth.current_user is None
    assert [reply.status for reply in erasures] == [204]
    assert updates == [(None, ErasedAnonymousIdError)]
    assert server.users == 0
