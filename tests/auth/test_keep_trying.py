"""`on_restore_failure="keep_trying"`: views wait, the host is told, and all goes on when the server is back."""

import asyncio

import attrs
import pytest

from mimi_async import (
    AnonymityViolationError,
    AuthController,
    CredentialsRejectedError,
    MimiCore,
    MimiError,
    MimiUser,
    NotRestoredError,
    ProtocolError,
    ServerBusyError,
    ServerUnreachableError,
    StoreCorruptError,
    StoreUnavailableError,
    UnknownAnonymousIdError,
    UnserviceableError,
    ViewsClosedError,
    startup,
)
from mimi_async.testing import SentReply

from .launches import App, raising
from .stores_for_tests import BEFORE_LOAD

SESSIONS = "/v1/sessions"


class Pauses:
    """Instead of the back-off: a test ends each pause itself."""

    def __init__(self) -> None:
        self.begun: asyncio.Queue[float] = asyncio.Queue()
        self.ended: asyncio.Queue[None] = asyncio.Queue()

    async def sleep(self, seconds: float) -> None:
        self.begun.put_nowait(seconds)
        await self.ended.get()

    async def next_try_has_failed(self) -> float:
        async with asyncio.timeout(10):
            return await self.begun.get()

    def end(self) -> None:
        self.ended.put_nowait(None)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    pauses = Pauses()
    monkeypatch.setattr(startup.keep_restoring, "__kwdefaults__", {"sleep": pauses.sleep})
    return pauses


async def view(auth: AuthController) -> MimiUser | None:
    return auth.current_user


def launched(app: App) -> MimiCore:
    return app.core(on_restore_failure="keep_trying")


async def test_views_wait_until_the_server_is_back(app: App, pauses: Pauses) -> None:
    user = await app.first_launch()
    kept = await app.record()
    await app.server.stop()
    async with launched(app) as core:
        presented = asyncio.create_task(core.present(view))
        for _ in range(3):
            await pauses.next_try_has_failed()
            assert not presented.done()
            assert not core.auth.gate.is_decided
            with pytest.raises(NotRestoredError) as caught:
                _ = core.auth.current_user
            assert isinstance(caught.value.__cause__, ServerUnreachableError)
            pauses.end()
        await pauses.next_try_has_failed()
        assert await app.record() == kept
        await app.server.start()
        pauses.end()
        assert await presented == user
        assert core.auth.gate.is_open
    assert app.store.writes == []
    assert app.news.kinds == [(None, None, ServerUnreachableError), (user, None, None)]
    assert app.server.users == 1


async def test_the_first_failure_and_each_change_of_its_class_are_told(app: App, pauses: Pauses) -> None:
    user = await app.first_launch()
    app.server.fail(SESSIONS, times=6)
    app.server.fail(SESSIONS, status=404, times=2)
    app.server.fail(SESSIONS, times=3)
    async with launched(app) as core:
        for _ in range(5):
            await pauses.next_try_has_failed()
            pauses.end()
        assert await core.present(view) == user
    assert app.news.kinds == [
        (None, None, ServerBusyError),
        (None, None, ProtocolError),
        (None, None, ServerBusyError),
        (user, None, None),
    ]


async def test_entering_returns_at_once(app: App, pauses: Pauses) -> None:
    await app.first_launch()
    async with app.server.hold(SESSIONS) as held, launched(app) as core:
        with pytest.raises(NotRestoredError):
            _ = core.auth.current_user
        await held.arrived.wait()
        held.release()
        assert await core.present(view) is not None


async def test_a_call_does_not_wait_for_the_next_try(app: App, pauses: Pauses) -> None:
    user = await app.first_launch()
    app.server.fail(SESSIONS, times=3)
    async with launched(app) as core:
        presented = asyncio.create_task(core.present(view))
        await pauses.next_try_has_failed()
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
async def test_a_verdict_ends_the_trying_and_releases_who_waits(
    app: App, pauses: Pauses, problem: str, error: type[MimiError]
) -> None:
    await app.first_launch()
    app.server.fail(SESSIONS, times=3)
    app.server.fail(SESSIONS, problem=problem)
    async with launched(app) as core:
        presented = asyncio.create_task(core.present(view))
        await pauses.next_try_has_failed()
        pauses.end()
        with pytest.raises(ViewsClosedError) as caught:
            await presented
        assert isinstance(caught.value.__cause__, error)
        with pytest.raises(error):
            await core.auth.ensure_user()
    assert app.asked[:4] == [("POST", SESSIONS)] * 4
    assert app.server.users == 1


async def test_a_corrupt_record_ends_the_trying(app: App, pauses: Pauses) -> None:
    app.store.at(BEFORE_LOAD, raising(StoreCorruptError("damaged", revision=b"r" * 16)))
    async with launched(app) as core:
        with pytest.raises(ViewsClosedError) as caught:
            await core.present(view)
        assert isinstance(caught.value.__cause__, StoreCorruptError)
    assert pauses.begun.empty()


async def test_a_reply_that_names_a_person_ends_the_trying(app: App, pauses: Pauses) -> None:
    await app.first_launch()

    def named(reply: SentReply) -> SentReply:
        return attrs.evolve(reply, body=reply.body.replace(b'"is_anonymous":true', b'"is_anonymous":false'))

    app.server.rewrite(SESSIONS, named)
    async with launched(app) as core:
        with pytest.raises(ViewsClosedError) as caught:
            await core.present(view)
        assert isinstance(caught.value.__cause__, AnonymityViolationError)
    assert pauses.begun.empty()


async def test_leaving_ends_the_trying_and_releases_who_waits(app: App, pauses: Pauses) -> None:
    await app.first_launch()
    app.server.fail(times=None)
    async with launched(app) as core:
        presented = asyncio.create_task(core.present(view))
        await pauses.next_try_has_failed()
    with pytest.raises(ViewsClosedError):
        await presented
    assert len(app.asked) == 3


async def test_the_pauses_are_jittered_and_capped(app: App, pauses: Pauses) -> None:
    app.store.at(BEFORE_LOAD, raising(StoreUnavailableError("locked")), times=50)
    taken = []
    async with launched(app):
        for _ in range(50):
            taken.append(await pauses.next_try_has_failed())
            pauses.end()
    assert all(0 <= pause <= 30 for pause in taken)
    assert len(set(taken)) > 40
    assert max(taken) > 5
    assert taken[0] <= 1
