"""An access token that is rejected is renewed once, by the id; a verdict on the way forces the user out."""

import asyncio

import attrs
import pytest

from mimi_async import (
    CredentialsRejectedError,
    ErasedAnonymousIdError,
    ForciblyLoggedOutError,
    MimiError,
    NotAuthenticatedError,
    ProtocolError,
    ServerBusyError,
    StoreConflictError,
    UnknownAnonymousIdError,
    ViewsClosedError,
)
from mimi_async.auth.controller import AuthController
from mimi_async.testing import IdentityServer, SentReply, Settings
from mimi_async.wire import TokenRejectedError

from ..internals import state_of
from .launches import App

USER = "/v1/user"
SESSIONS = "/v1/sessions"
LOG_IN = ("POST", SESSIONS)
READ = ("GET", USER)


async def test_a_rejected_token_is_renewed_and_the_request_replayed(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        app.server.revoke_tokens()
        assert await core.auth.reload_user() == user
    assert app.asked == [LOG_IN, READ, LOG_IN, READ]
    assert app.observer.kinds == [(user, None, None)]
    assert app.store.writes == []


async def test_a_thousand_callers_with_an_expired_token_make_one_log_in(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        app.server.revoke_tokens()
        app.clear_records()
        users = await asyncio.gather(*(core.auth.reload_user() for _ in range(1000)))
    assert all(one == user for one in users)
    assert app.asked.count(LOG_IN) == 1
    assert app.asked.count(READ) == 1001
    assert app.observer.updates == []


async def test_a_token_is_renewed_before_it_is_used_when_its_time_is_over(app: App) -> None:
    await app.first_launch()
    async with app.core() as core:
        state_of(core.auth).token_expires_at = asyncio.get_running_loop().time()
        await core.auth.reload_user()
        await core.auth.reload_user()
    assert app.asked == [LOG_IN, LOG_IN, READ, READ]


async def test_the_age_of_a_token_is_the_servers(app: App) -> None:
    async with IdentityServer(Settings(port=0, token_seconds=123.0)) as server:
        there = App(server, app.store)
        async with there.core() as core:
            await core.auth.ensure_user()
            rest = state_of(core.auth).token_expires_at - asyncio.get_running_loop().time()
    assert 100 < rest <= 123


async def test_a_server_that_rejects_every_token_is_asked_twice_and_no_more(app: App) -> None:
    user = await app.first_launch()
    app.server.fail(USER, problem="token-rejected", times=None)
    async with app.core() as core:
        with pytest.raises(ProtocolError) as caught:
            await core.auth.reload_user()
        assert not isinstance(caught.value, TokenRejectedError)
        assert core.auth.current_user == user
        assert core.auth.gate.is_open
    assert app.asked == [LOG_IN, READ, LOG_IN, READ]
    assert app.observer.kinds == [(user, None, None), (user, user, ProtocolError)]


async def test_a_401_of_a_proxy_is_no_reason_to_log_in(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        app.server.fail(USER, status=401)
        with pytest.raises(ProtocolError):
            await core.auth.reload_user()
        assert core.auth.current_user == user
    assert app.asked == [LOG_IN, READ]


async def test_a_user_that_the_server_no_longer_knows_is_forced_out_and_the_id_set_aside(app: App) -> None:
    user = await app.first_launch()

    async def view(auth: AuthController) -> None:
        return None

    async with app.core() as core:
        app.server.revoke_tokens()
        app.server.fail(SESSIONS, problem="unknown-anonymous-id", times=None)
        with pytest.raises(ForciblyLoggedOutError, match="keep your copy"):
            await core.auth.update_user(sex="male")
        assert core.auth.current_user is None
        assert not core.auth.gate.is_open
        with pytest.raises(ViewsClosedError):
            await core.present(view)
        with pytest.raises(UnknownAnonymousIdError):
            await core.auth.ensure_user()
        await app.assert_stored("rejected", user)
        assert app.observer.kinds[:2] == [(user, None, None), (None, user, ForciblyLoggedOutError)]
        app.server.clear_faults()
        assert await core.auth.ensure_user() == user
        assert core.auth.gate.is_open
    assert app.server.users == 1


async def test_start_over_after_a_forced_log_out_returns_the_id(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        await app.force_out(core)
        assert await core.auth.start_over() == user.anonymous_id
        assert core.auth.gate.is_open
        assert (await core.auth.ensure_user()).anonymous_id != user.anonymous_id


async def test_a_user_that_was_erased_elsewhere_is_forgotten_and_the_erasure_delivered(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        await app.erase_elsewhere(user)
        with pytest.raises(ErasedAnonymousIdError):
            await core.auth.update_user(year_of_birth=1990)
        assert core.auth.current_user is None
        assert core.auth.gate.is_open
    assert await app.record() is None
    assert app.observer.kinds == [(None, user, ErasedAnonymousIdError)]
    assert app.erased_id == user.anonymous_id


@pytest.mark.parametrize(
    ("status", "problem", "error"),
    [(503, None, ServerBusyError), (404, None, ProtocolError), (403, "client-not-allowed", CredentialsRejectedError)],
)
async def test_a_renewal_without_a_verdict_leaves_user_and_record(
    app: App, status: int, problem: str | None, error: type[MimiError]
) -> None:
    user = await app.first_launch()
    kept = await app.record()
    async with app.core() as core:
        app.server.revoke_tokens()
        app.server.fail(SESSIONS, status=status, problem=problem, times=3)
        with pytest.raises(error):
            await core.auth.reload_user()
        assert core.auth.current_user == user
        assert core.auth.gate.is_open
        app.server.clear_faults()
        assert await core.auth.reload_user() == user
    assert await app.record() == kept
    assert app.observer.kinds == [(user, None, None), (user, user, error)]


@pytest.mark.parametrize("path", [USER, SESSIONS])
async def test_a_reply_about_another_subject_is_never_adopted(app: App, path: str) -> None:
    user = await app.first_launch()
    kept = await app.record()

    def another(reply: SentReply) -> SentReply:
        return attrs.evolve(reply, body=reply.body.replace(user.id.encode(), b"0" * 32))

    async with app.core() as core:
        app.server.revoke_tokens()
        app.server.rewrite(path, another, times=None)
        with pytest.raises(ProtocolError):
            await core.auth.reload_user()
        assert core.auth.current_user == user
    assert await app.record() == kept
    assert app.observer.kinds == [(user, None, None), (user, user, ProtocolError)]


async def test_a_renewal_learns_that_another_process_has_logged_out(app: App) -> None:
    user = await app.first_launch()
    async with app.core() as core:
        await app.forget_record()
        app.server.revoke_tokens()
        with pytest.raises(NotAuthenticatedError, match="another process"):
            await core.auth.update_user(sex="female")
        assert core.auth.current_user is None
    assert app.observer.kinds == [(user, None, None), (None, user, None)]


async def test_a_renewal_never_acts_for_a_user_that_another_process_has_logged_in(app: App) -> None:
    user = await app.first_launch()
    other = await app.make_user_elsewhere()
    async with app.core() as core:
        await app.put_user(other)
        app.server.revoke_tokens()
        with pytest.raises(StoreConflictError):
            await core.auth.update_user(sex="female")
        assert core.auth.current_user == other
    assert ("PATCH", USER) in app.asked
    assert app.asked.count(("PATCH", USER)) == 1
    assert app.observer.kinds == [(user, None, None), (other, user, None)]
