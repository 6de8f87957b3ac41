"""Observer of a record whose account is not restored: a verdict is looked at again, and nothing else."""

from collections.abc import AsyncIterator

import pytest

from mimi_async import (
    ForciblyLoggedOutError,
    MimiCore,
    MimiUser,
    NotRestoredError,
    StartupError,
    StoreCorruptError,
    StoreUnavailableError,
    UnknownAnonymousIdError,
)
from mimi_async.secret import CreateKey
from mimi_async.stores import StoredIdentity

from ..doubles import whose
from ..internals import controller_of
from .change_feeds import CHANGED, Process, active
from .launches import ACCOUNT, raising, returning
from .stores_for_tests import BEFORE_LOAD

CORRUPT = StoreCorruptError("damaged", revision=b"r" * 16)


@pytest.fixture
async def user(there: Process) -> MimiUser:
    return await there.first_launch()


@pytest.fixture
async def shut(here: Process, there: Process, user: MimiUser) -> AsyncIterator[MimiCore]:
    """A core whose restore has ended with a 404."""
    here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
    async with here.core() as core:
        await here.follow(core)
        assert here.observer.kinds == [(None, None, UnknownAnonymousIdError)]
        here.clear_records()
        yield core


async def test_starting_over_in_one_process_opens_the_gate_of_another(
    here: Process, there: Process, shut: MimiCore, user: MimiUser
) -> None:
    there.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=None)
    async with there.core() as other:
        assert await other.start_over() == user.anonymous_id
        await here.follow(shut)
        assert shut.auth.gate.is_open
        assert await shut.present(whose) is None
        there.server.clear_faults()
        new = await other.auth.ensure_user()
        await here.follow(shut)
        assert shut.auth.current_user == new
    assert here.observer.kinds == [(new, None, None)]


async def test_start_over_reaches_an_account_that_a_change_has_forced_out(
    here: Process, there: Process, user: MimiUser
) -> None:
    async with here.core() as core:
        there.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=None)
        async with there.core() as other:
            await here.follow(core)
            assert here.observer.kinds[-1] == (None, user, ForciblyLoggedOutError)
            assert not core.auth.gate.is_open
            await other.start_over()
            await here.follow(core)
            assert core.auth.gate.is_open
            assert core.auth.current_user is None


async def test_a_record_that_another_process_has_healed_opens_the_gate(
    here: Process, there: Process, shut: MimiCore, user: MimiUser
) -> None:
    async with there.core():
        await here.follow(shut)
        assert shut.auth.current_user == user
        assert shut.auth.gate.is_open
    assert here.observer.kinds == [(user, None, None)]
    assert here.store.writes == []


async def test_the_same_verdict_is_delivered_once_and_asked_for_once(
    here: Process, shut: MimiCore, user: MimiUser
) -> None:
    await here.follow_record(shut, active(user).with_state("rejected"))
    assert (here.observer.kinds, here.asked) == ([], [])
    here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
    await here.follow_record(shut, active(user))
    assert (here.observer.kinds, here.asked) == ([], [("POST", "/v1/sessions")])
    assert not shut.auth.gate.is_open
    with pytest.raises(NotRestoredError):
        _ = shut.auth.current_user


async def test_a_creation_begun_over_a_rejection_opens_the_gate_and_is_not_replayed(
    here: Process, shut: MimiCore
) -> None:
    await here.follow_record(shut, StoredIdentity.pending(CreateKey.generate()))
    assert (here.observer.kinds, here.asked) == ([], [])
    assert await shut.present(whose) is None


async def test_an_erasure_of_a_repaired_record_is_left_to_its_process(
    here: Process, shut: MimiCore, user: MimiUser
) -> None:
    await here.follow_record(shut, active(user).with_state("erasing"))
    assert (here.observer.kinds, here.asked) == ([], [])
    assert not shut.auth.gate.is_open


async def test_known_id_is_asked_once_the_rejected_record_is_discarded(here: Process, user: MimiUser) -> None:
    new = await here.make_user_elsewhere()
    here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
    async with here.core(known_id=returning(new.anonymous_id)) as core:
        await here.follow_record(core, None)
        assert core.auth.current_user == new
    assert here.observer.kinds == [(None, None, UnknownAnonymousIdError), (new, None, None)]


async def test_a_verdict_that_gives_way_to_a_failure_is_no_verdict_any_more(
    here: Process, shut: MimiCore, user: MimiUser
) -> None:
    here.store.at(BEFORE_LOAD, raising(StoreUnavailableError("locked")))
    await here.follow_record(shut, active(user))
    assert here.observer.kinds == [(None, None, StoreUnavailableError)]
    assert await shut.auth.ensure_user() == user


async def test_a_repaired_record_opens_the_gate(here: Process, user: MimiUser) -> None:
    here.store.at(BEFORE_LOAD, raising(CORRUPT), times=100)
    async with here.core() as core:
        await here.follow(core, CHANGED)
        assert here.observer.kinds == [(None, None, StoreCorruptError)]
        here.store.clear_faults()
        await here.follow_record(core, active(user))
        assert core.auth.gate.is_open
    assert here.observer.kinds == [(None, None, StoreCorruptError), (user, None, None)]


async def test_a_corrupt_record_that_is_now_rejected_is_delivered_as_rejected(here: Process, user: MimiUser) -> None:
    here.store.at(BEFORE_LOAD, raising(CORRUPT), times=100)
    async with here.core() as core:
        await here.follow(core)
        here.store.clear_faults()
        here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
        await here.follow_record(core, active(user).with_state("rejected"))
        assert isinstance(core.auth.gate.cause, UnknownAnonymousIdError)
    assert here.observer.kinds == [(None, None, StoreCorruptError), (None, None, UnknownAnonymousIdError)]


async def test_an_account_that_is_not_restored_yet_is_left_alone(here: Process, user: MimiUser) -> None:
    here.server.fail("/v1/sessions", status=503, times=3)
    async with here.core(account=None) as core:
        with pytest.raises(Exception, match="503"):
            await core.auth_for(ACCOUNT)
        auth = controller_of(core, ACCOUNT)
        here.clear_records()
        here.store.loads = 0
        await here.follow_record(core, active(user))
        assert (here.store.loads, here.asked, here.observer.kinds) == (0, [], [])
        assert await core.auth_for(ACCOUNT) is auth
        assert auth.current_user == user


async def test_a_start_that_fails_ends_the_listening(here: Process, user: MimiUser) -> None:
    here.server.fail("/v1/sessions", status=503, times=3)
    with pytest.raises(StartupError):
        async with here.core():
            pass
    assert here.store.closed == [True]
    assert here.store.is_entered == 0
