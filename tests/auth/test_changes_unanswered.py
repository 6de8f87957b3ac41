"""News that get no answer from store or server: nobody goes on as the old user, and all is mended later."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mimi_async import (
    ConfigurationError,
    MimiCore,
    MimiError,
    MimiUser,
    NotRestoredError,
    ServerBusyError,
    StoreConflictError,
    StoreCorruptError,
    StoreUnavailableError,
)
from mimi_async.testing import IdentityServer

from ..doubles import News, whose
from .launches import raising
from .stores_for_tests import BEFORE_LOAD, BEFORE_REPLACE
from .telling import HERS, MISSED, Neighbours, Process, active

DOWN = StoreUnavailableError("down")


@pytest.fixture
def neighbours(server: IdentityServer) -> Neighbours:
    return Neighbours(server)


@pytest.fixture
def here(neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch) -> Process:
    monkeypatch.setattr("mimi_async.transport.retries.JITTER_BASE", 0.0)
    return neighbours.app()


@pytest.fixture
async def user(here: Process) -> MimiUser:
    return await here.first_launch()


@pytest.fixture
async def core(here: Process, user: MimiUser) -> AsyncIterator[MimiCore]:
    """A core that has restored the user."""
    async with here.core() as core:
        here.forget_the_past()
        yield core


def assert_lost(core: MimiCore, kind: type[MimiError]) -> None:
    """It is not known who the user is, and everything says so."""
    with pytest.raises(NotRestoredError) as caught:
        _ = core.auth.current_user
    assert type(caught.value.__cause__) is kind
    assert type(core.auth.gate.cause) is kind
    assert core.auth._token is None
    assert not core.auth.is_restored


async def test_without_an_answer_of_the_store_nobody_goes_on_as_the_old_user(
    here: Process, core: MimiCore, user: MimiUser
) -> None:
    here.store.at(BEFORE_LOAD, raising(DOWN))
    here.store.tell(HERS)
    await here.heeded(core)
    assert_lost(core, StoreUnavailableError)
    assert here.news.kinds == [(user, user, StoreUnavailableError)]
    assert await core.auth.ensure_user() == user
    assert core.auth.gate.is_open
    assert here.news.kinds == [(user, user, StoreUnavailableError)]
    assert here.asked == [("POST", "/v1/sessions")]


async def test_a_store_that_hangs_is_not_waited_for_beyond_the_deadline(here: Process, user: MimiUser) -> None:
    here.patience = 0.5
    async with here.core() as core:
        here.forget_the_past()
        here.store.pause = asyncio.Event()
        here.store.tell(HERS)
        await here.heeded(core)
        assert_lost(core, StoreUnavailableError)
        here.store.pause = None
        assert await core.present(whose) == user


async def test_what_a_host_s_store_raises_is_no_verdict_and_is_not_quoted(
    here: Process, core: MimiCore, user: MimiUser, caplog: pytest.LogCaptureFixture
) -> None:
    here.store.at(BEFORE_LOAD, raising(RuntimeError("of a secret")))
    here.store.tell(HERS)
    await here.heeded(core)
    assert_lost(core, StoreUnavailableError)
    assert "of a secret" not in str(here.news.told[0].error) + caplog.text


async def test_a_store_that_can_not_work_is_told_too(here: Process, core: MimiCore, user: MimiUser) -> None:
    here.store.at(BEFORE_LOAD, raising(ConfigurationError("sealed")), times=2)
    here.store.tell(HERS)
    await here.heeded(core)
    assert_lost(core, ConfigurationError)
    here.store.tell(HERS)
    await here.heeded(core)
    assert here.news.kinds == [(user, user, ConfigurationError)]
    here.store.tell(HERS)
    await here.heeded(core)
    assert core.auth.current_user == user


async def test_without_an_answer_of_the_server_nobody_goes_on_as_the_old_user(
    here: Process, neighbours: Neighbours, core: MimiCore, user: MimiUser
) -> None:
    new = await neighbours.make_user()
    here.server.fail("/v1/sessions", status=503, times=3)
    await neighbours.set(active(new))
    await here.heeded(core)
    assert_lost(core, ServerBusyError)
    assert await core.auth.update_user(sex="female") == await core.auth.ensure_user()
    assert await here.record() == await neighbours.inner.load(core.auth.account)
    assert here.news.kinds[:2] == [(user, user, ServerBusyError), (new, user, None)]
    assert_chained(here)


async def test_a_corrupt_record_shuts_the_gate(here: Process, core: MimiCore, user: MimiUser) -> None:
    here.store.at(BEFORE_LOAD, raising(StoreCorruptError("damaged", revision=b"r" * 16)))
    here.store.tell(HERS)
    await here.heeded(core)
    assert_lost(core, StoreCorruptError)
    with pytest.raises(StoreCorruptError):
        await core.auth.ensure_user()
    assert here.news.kinds == [(user, user, StoreCorruptError)]


@pytest.mark.parametrize("news", [HERS, MISSED], ids=["of the account", "missed"])
async def test_the_next_news_mend_it(
    here: Process, neighbours: Neighbours, core: MimiCore, user: MimiUser, news: object
) -> None:
    here.store.at(BEFORE_LOAD, raising(DOWN), times=3)
    for _ in range(3):
        here.store.tell(MISSED)
        await here.heeded(core)
        assert_lost(core, StoreUnavailableError)
    assert here.news.kinds == [(user, user, StoreUnavailableError)]  # and not three times
    here.store.tell(MISSED if news is MISSED else HERS)
    await here.heeded(core)
    assert core.auth.current_user == user
    assert core.auth.gate.is_open
    assert len(here.news.told) == 1


async def test_an_account_without_a_user_is_mended_too(
    here: Process, neighbours: Neighbours, core: MimiCore, user: MimiUser
) -> None:
    await core.auth.log_out()
    here.forget_the_past()
    here.store.at(BEFORE_LOAD, raising(DOWN))
    here.store.tell(HERS)
    await here.heeded(core)
    assert_lost(core, StoreUnavailableError)
    await neighbours.set(active(user))
    await here.heeded(core)
    assert here.news.kinds == [(None, None, StoreUnavailableError), (user, None, None)]


async def test_another_failure_than_the_last_is_told(here: Process, core: MimiCore, user: MimiUser) -> None:
    here.store.at(BEFORE_LOAD, raising(DOWN))
    here.store.tell(HERS)
    await here.heeded(core)
    here.server.fail("/v1/sessions", status=503, times=3)
    here.store.tell(HERS)
    await here.heeded(core)
    assert_lost(core, ServerBusyError)
    assert here.news.kinds == [(user, user, StoreUnavailableError), (user, user, ServerBusyError)]


async def test_a_lost_user_that_is_gone_meanwhile_is_told_at_the_next_call(
    here: Process, neighbours: Neighbours, core: MimiCore, user: MimiUser
) -> None:
    here.store.at(BEFORE_LOAD, raising(DOWN))
    await neighbours.set(None)
    await here.heeded(core)
    assert await core.present(whose) is None
    assert here.news.kinds == [(user, user, StoreUnavailableError), (None, user, None)]
    assert await here.record() is None  # the old user was not put back


@pytest.mark.parametrize("is_forgotten", [False, True])
async def test_a_rejection_that_could_not_be_kept_puts_nobody_back(
    here: Process, neighbours: Neighbours, core: MimiCore, user: MimiUser, is_forgotten: bool
) -> None:
    new = await neighbours.make_user()
    here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)

    async def fail() -> None:
        if is_forgotten:
            await here.store.inner.forget(core.auth.account, await here.record())
        raise DOWN

    here.store.at(BEFORE_REPLACE, fail)
    await neighbours.set(active(new))
    await here.heeded(core)
    assert_lost(core, StoreUnavailableError)
    record = await here.record()
    assert (record and record.anonymous_id) == (None if is_forgotten else new.anonymous_id)


async def test_a_record_that_changes_while_it_is_heeded_is_read_again(
    here: Process, neighbours: Neighbours, core: MimiCore, user: MimiUser
) -> None:
    new = await neighbours.make_user()
    here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
    here.store.at(BEFORE_REPLACE, lambda: neighbours.set(None))
    await neighbours.set(active(new))
    await here.heeded(core)
    assert core.auth.current_user is None
    assert here.news.kinds == [(None, user, None)]


async def test_a_record_that_never_stays_the_same_is_given_up(
    here: Process, neighbours: Neighbours, core: MimiCore, user: MimiUser
) -> None:
    new = await neighbours.make_user()
    here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=None)

    async def change() -> None:
        await neighbours.inner.replace(core.auth.account, await here.record(), active(new))

    here.store.at(BEFORE_REPLACE, change, times=8)
    await neighbours.set(active(new))
    await here.heeded(core)
    assert here.news.kinds == [(user, user, StoreConflictError)]


def assert_chained(here: Process) -> None:
    news = News()
    news.told = here.news.told
    news.assert_chained()
