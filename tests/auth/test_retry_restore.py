"""`on_restore_failure="retry"`: views wait, failures are delivered, and all goes on when the server is back."""

import asyncio

import attrs
import pytest

from mimi_async import (
    AnonymityViolationError,
    CredentialsRejectedError,
    MimiCore,
    MimiError,
    NotRestoredError,
    ProtocolError,
    ServerBusyError,
    ServerUnreachableError,
    StoreCorruptError,
    StoreUnavailableError,
    UnknownAnonymousIdError,
    UnserviceableError,
    ViewsClosedError,
)
from mimi_async.testing import SentReply

from ..doubles import whose as view
from .launches import App, Pauses, raising
from .stores_for_tests import BEFORE_LOAD

SESSIONS = "/v1/sessions"


def launch(app: App) -> MimiCore:
    return app.core(on_restore_failure="retry")


async def test_views_wait_until_the_server_is_back(app: App, pauses: Pauses) -> None:
    user = await app.first_launch()
    kept = await app.record()
    await app.server.stop()
    async with launch(app) as core:
        presented = asyncio.create_task(core.present(view))
        for _ in range(3):
            await pauses.wait_started()
            assert not presented.done()
            assert not core.auth.gate.is_decided
            with pytest.raises(NotRestoredError) as caught:
                _ = core.auth.current_user
            assert isinstance(caught.value.__cause__, ServerUnreachableError)
            pauses.end()
        await pauses.wait_started()
        assert await app.record() == kept
        await app.server.start()
        pauses.end()
        assert await presented == user
        assert core.auth.gate.is_open
    assert app.store.writes == []
    assert app.observer.kinds == [(None, None, ServerUnreachableError), (user, None, None)]
    assert app.server.users == 1


async def test_the_first_failure_and_each_change_of_its_class_are_delivered(app: App, pauses: Pauses) -> None:
    user = await app.first_launch()
    app.server.fail(SESSIONS, times=6)
    app.server.fail(SESSIONS, status=404, times=2)
    app.server.fail(SESSIONS, times=3)
    async with launch(app) as core:
        for _ in range(5):
            await pauses.end_next()
        assert await core.present(view) == user
    assert app.observer.kinds == [
        (None, None, ServerBusyError),
        (None, None, ProtocolError),
        (None, None, ServerBusyError),
        (user, None, None),
    ]


async def test_a_call_does_not_wait_for_the_next_try(app: App, pauses: Pauses) -> None:
    user = await app.first_launch()
    app.server.fail(SESSIONS, times=3)
    async with launch(app) as core:
        presented = asyncio.create_task(core.present(view))
        await pauses.wait_started()
        assert await core.auth.ensure_user() == user
        assert await presented == user


@pytest.mark.parametrize("store", ["memory"], indirect=True)
@pytest.mark.parametrize(
    ("problem", "error"),
    [
        ("unknown-anonymous-id", UnknownAnonymousIdError),
        ("credentials-rejected", CredentialsRejectedError),
        ("client-not-allowed", CredentialsRejectedError),
        ("unserviceable", UnserviceableError),
    ],
)
async def test_a_verdict_ends_the_retries_and_releases_the_waiters(
    app: App, pauses: Pauses, problem: str, error: type[MimiError]
) -> None:
    await app.first_launch()
    app.server.fail(SESSIONS, times=3)
    app.server.fail(SESSIONS, problem=problem)
    async with launch(app) as core:
        presented = asyncio.create_task(core.present(view))
        await pauses.end_next()
        with pytest.raises(ViewsClosedError) as caught:
            await presented
        assert isinstance(caught.value.__cause__, error)
        with pytest.raises(error):
            await core.auth.ensure_user()
    assert app.asked[:4] == [("POST", SESSIONS)] * 4
    assert app.server.users == 1
    assert app.observer.kinds == [(None, None, ServerBusyError), (None, None, error)], "the class has changed"


async def test_a_corrupt_record_ends_the_retries(app: App, pauses: Pauses) -> None:
    app.store.at(BEFORE_LOAD, raising(StoreCorruptError("damaged", revision=b"r" * 16)))
    async with launch(app) as core:
        with pytest.raises(ViewsClosedError) as caught:
            await core.present(view)
        assert isinstance(caught.value.__cause__, StoreCorruptError)
    assert pauses.started.empty()


async def test_a_reply_that_names_a_person_ends_the_retries(app: App, pauses: Pauses) -> None:
    await app.first_launch()

    def named(reply: SentReply) -> SentReply:
        return attrs.evolve(reply, body=reply.body.replace(b'"is_anonymous":true', b'"is_anonymous":false'))

    app.server.rewrite(SESSIONS, named)
    async with launch(app) as core:
        with pytest.raises(ViewsClosedError) as caught:
            await core.present(view)
        assert isinstance(caught.value.__cause__, AnonymityViolationError)
    assert pauses.started.empty()


async def test_the_pauses_are_jittered_and_capped(app: App, pauses: Pauses) -> None:
    app.store.at(BEFORE_LOAD, raising(StoreUnavailableError("locked")), times=50)
    async with launch(app):
        lengths = [await pauses.end_next() for _ in range(50)]
    assert all(0 <= pause <= 30 for pause in lengths)
    assert len(set(lengths)) > 40
    assert max(lengths) > 5
    assert lengths[0] <= 1
