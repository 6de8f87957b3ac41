"""Changes without an answer of store or server: the old user is not used, and a later call restores."""

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
    Timeouts,
)

from ..doubles import Observer, whose
from ..internals import state_of
from .change_feeds import CHANGED, MISSED, Process, active
from .launches import raising
from .stores_for_tests import BEFORE_LOAD, BEFORE_REPLACE

DOWN = StoreUnavailableError("down")


@pytest.fixture
async def user(here: Process) -> MimiUser:
    return await here.first_launch()


@pytest.fixture
async def core(here: Process, user: MimiUser) -> AsyncIterator[MimiCore]:
    """A core that has restored the user."""
    async with here.core() as core:
        here.clear_records()
        yield core


def assert_lost(core: MimiCore, kind: type[MimiError]) -> None:
    """The user is not known, and each call says so."""
    with pytest.raises(NotRestoredError) as caught:
        _ = core.auth.current_user
    assert type(caught.value.__cause__) is kind
    assert type(core.auth.gate.cause) is kind
    assert state_of(core.auth).token is None
    assert not core.auth.is_restored


async def test_without_an_answer_of_the_store_the_old_user_is_not_used(
    here: Process, core: MimiCore, user: MimiUser
) -> None:
    here.store.at(BEFORE_LOAD, raising(DOWN))
    await here.follow(core, CHANGED)
    assert_lost(core, StoreUnavailableError)
    assert here.observer.kinds == [(user, user, StoreUnavailableError)]
    assert await core.auth.ensure_user() == user
    assert core.auth.gate.is_open
    assert here.observer.kinds == [(user, user, StoreUnavailableError)]
    assert here.asked == [("POST", "/v1/sessions")]


async def test_a_store_that_hangs_is_not_waited_for_beyond_the_deadline(here: Process, user: MimiUser) -> None:
    here.timeouts = Timeouts(call=0.5, retry_base=0.0)
    async with here.core() as core:
        here.clear_records()
        here.store.pause = asyncio.Event()
        await here.follow(core, CHANGED)
        assert_lost(core, StoreUnavailableError)
        here.store.pause = None
        assert await core.present(whose) == user


async def test_what_a_host_s_store_raises_is_no_verdict_and_is_not_quoted(
    here: Process, core: MimiCore, user: MimiUser, caplog: pytest.LogCaptureFixture
) -> None:
    here.store.at(BEFORE_LOAD, raising(RuntimeError("of a secret")))
    await here.follow(core, CHANGED)
    assert_lost(core, StoreUnavailableError)
    assert "of a secret" not in str(here.observer.updates[0].error) + caplog.text


async def test_a_store_that_can_not_work_is_delivered_too(here: Process, core: MimiCore, user: MimiUser) -> None:
    here.store.at(BEFORE_LOAD, raising(ConfigurationError("sealed")), times=2)
    await here.follow(core, CHANGED)
    assert_lost(core, ConfigurationError)
    await here.follow(core, CHANGED)
    assert here.observer.kinds == [(user, user, ConfigurationError)]
    await here.follow(core, CHANGED)
    assert core.auth.current_user == user


async def test_without_an_answer_of_the_server_the_old_user_is_not_used(
    here: Process, core: MimiCore, user: MimiUser
) -> None:
    new = await here.make_user_elsewhere()
    here.server.fail("/v1/sessions", status=503, times=3)
    await here.follow_record(core, active(new))
    assert_lost(core, ServerBusyError)
    assert await core.auth.update_user(sex="female") == await core.auth.ensure_user()
    assert await here.record() == await here.store.inner.load(core.auth.account)
    assert here.observer.kinds[:2] == [(user, user, ServerBusyError), (new, user, None)]
    assert_chained(here)


async def test_a_corrupt_record_shuts_the_gate(here: Process, core: MimiCore, user: MimiUser) -> None:
    here.store.at(BEFORE_LOAD, raising(StoreCorruptError("damaged", revision=b"r" * 16)))
    await here.follow(core, CHANGED)
    assert_lost(core, StoreCorruptError)
    with pytest.raises(StoreCorruptError):
        await core.auth.ensure_user()
    assert here.observer.kinds == [(user, user, StoreCorruptError)]


@pytest.mark.parametrize("observer", [CHANGED, MISSED], ids=["of the account", "missed"])
async def test_the_next_change_restores_it(here: Process, core: MimiCore, user: MimiUser, observer: object) -> None:
    here.store.at(BEFORE_LOAD, raising(DOWN), times=3)
    for _ in range(3):
        await here.follow(core, MISSED)
        assert_lost(core, StoreUnavailableError)
    assert here.observer.kinds == [(user, user, StoreUnavailableError)]  # and not three times
    await here.follow(core, MISSED if observer is MISSED else CHANGED)
    assert core.auth.current_user == user
    assert core.auth.gate.is_open
    assert len(here.observer.updates) == 1


async def test_an_account_without_a_user_recovers_too(here: Process, core: MimiCore, user: MimiUser) -> None:
    await core.auth.log_out()
    here.clear_records()
    here.store.at(BEFORE_LOAD, raising(DOWN))
    await here.follow(core, CHANGED)
    assert_lost(core, StoreUnavailableError)
    await here.follow_record(core, active(user))
    assert here.observer.kinds == [(None, None, StoreUnavailableError), (user, None, None)]


async def test_a_failure_of_another_class_is_delivered(here: Process, core: MimiCore, user: MimiUser) -> None:
    here.store.at(BEFORE_LOAD, raising(DOWN))
    await here.follow(core, CHANGED)
    here.server.fail("/v1/sessions", status=503, times=3)
    await here.follow(core, CHANGED)
    assert_lost(core, ServerBusyError)
    assert here.observer.kinds == [(user, user, StoreUnavailableError), (user, user, ServerBusyError)]


async def test_the_end_of_an_invalidated_user_is_delivered_at_the_next_call(
    here: Process, core: MimiCore, user: MimiUser
) -> None:
    here.store.at(BEFORE_LOAD, raising(DOWN))
    await here.follow_record(core, None)
    assert await core.present(whose) is None
    assert here.observer.kinds == [(user, user, StoreUnavailableError), (None, user, None)]
    assert await here.record() is None  # the old user was not put back


@pytest.mark.parametrize("is_forgotten", [False, True])
async def test_a_rejection_that_could_not_be_stored_restores_no_user(
    here: Process, core: MimiCore, user: MimiUser, is_forgotten: bool
) -> None:
    new = await here.make_user_elsewhere()
    here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)

    async def fail() -> None:
        if is_forgotten:
            await here.store.inner.forget(core.auth.account, await here.record())
        raise DOWN

    here.store.at(BEFORE_REPLACE, fail)
    await here.follow_record(core, active(new))
    assert_lost(core, StoreUnavailableError)
    record = await here.record()
    assert (record and record.anonymous_id) == (None if is_forgotten else new.anonymous_id)


async def test_a_change_leaves_an_unconfirmed_write_to_the_next_restore(
    here: Process, core: MimiCore, user: MimiUser
) -> None:
    state = state_of(core.auth)
    state.leave_unconfirmed(user, DOWN)
    state.fail(StoreCorruptError("damaged", revision=b"r" * 16))
    await here.follow_record(core, None)
    assert not core.auth.is_restored  # a record that is gone is not "no user": the restore writes it back
    assert state.unconfirmed_user == user


async def test_a_record_that_changes_during_a_refresh_is_read_again(
    here: Process, core: MimiCore, user: MimiUser
) -> None:
    new = await here.make_user_elsewhere()
    here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
    here.store.at(BEFORE_REPLACE, lambda: here.set_record(None))
    await here.follow_record(core, active(new))
    assert core.auth.current_user is None
    assert here.observer.kinds == [(None, user, None)]


async def test_a_record_that_never_stays_the_same_is_given_up(here: Process, core: MimiCore, user: MimiUser) -> None:
    new = await here.make_user_elsewhere()
    here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=None)

    async def change() -> None:
        await here.store.inner.replace(core.auth.account, await here.record(), active(new))

    here.store.at(BEFORE_REPLACE, change, times=8)
    await here.follow_record(core, active(new))
    assert here.observer.kinds == [(user, user, StoreConflictError)]


def assert_chained(here: Process) -> None:
    observer = Observer()
    observer.updates = here.observer.updates
    observer.assert_chained()
