"""Changes by other processes reach the controllers that are alive, for each state of the record."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mimi_async import (
    ErasedAnonymousIdError,
    ForciblyLoggedOutError,
    LogInAnonymously,
    MimiCore,
    MimiUser,
    UnknownAnonymousIdError,
    ViewsClosedError,
)
from mimi_async.secret import CreateKey
from mimi_async.stores import StoredIdentity

from ..doubles import whose
from .change_feeds import CHANGED, Process, active


@pytest.fixture
async def user(there: Process) -> MimiUser:
    return await there.first_launch()


@pytest.fixture
async def core(here: Process, user: MimiUser) -> AsyncIterator[MimiCore]:
    """A core that has restored the user."""
    async with here.core() as core:
        await here.follow(core)
        here.clear_records()
        here.store.loads = 0
        yield core


# Two processes -------------------------------------------------------------------------------------------------------


async def test_a_log_out_in_one_process_is_delivered_in_another(
    here: Process, there: Process, core: MimiCore, user: MimiUser
) -> None:
    async with there.core() as other:
        await other.auth.log_out()
        await here.follow(core)
        assert core.auth.current_user is None
        assert here.observer.kinds == [(None, user, None)]
        assert core.auth.gate.is_open


async def test_another_user_in_one_process_becomes_the_user_of_another(
    here: Process, there: Process, core: MimiCore, user: MimiUser
) -> None:
    new = await here.make_user_elsewhere()
    async with there.core() as other:
        await other.auth.authenticate(LogInAnonymously(new.anonymous_id))
        await here.follow(core)
        assert core.auth.current_user == new
        assert here.observer.kinds == [(new, user, None)]
        assert await core.auth.update_user(sex="male") == await other.auth.reload_user()


async def test_a_user_made_in_one_process_is_the_first_one_in_another(here: Process, there: Process) -> None:
    async with here.core() as core, there.core() as other:
        made = await other.auth.ensure_user()
        await here.follow(core)
        assert core.auth.current_user == made
        assert here.observer.kinds == [(made, None, None)]
        assert here.server.users == 1


async def test_a_reset_in_one_process_ends_the_user_in_another_once_it_is_done(
    here: Process, there: Process, core: MimiCore, user: MimiUser
) -> None:
    async with there.core() as other, there.server.hold("/v1/user") as held:
        reset = asyncio.create_task(other.auth.reset())
        await held.arrived.wait()
        await here.follow(core)
        assert core.auth.current_user == user
        held.release()
        await reset
        await here.follow(core)
        assert core.auth.current_user is None
    assert here.observer.kinds == [(None, user, None)]
    assert [update for update in there.observer.kinds if update[2]] == [(None, user, ErasedAnonymousIdError)]
    assert here.store.writes == []


async def test_a_reset_that_is_put_back_changes_nothing_in_another_process(
    here: Process, there: Process, core: MimiCore, user: MimiUser
) -> None:
    async with there.core() as other:
        there.server.fail("/v1/user", status=503, times=3, method="DELETE")
        with pytest.raises(Exception, match="503"):
            await other.auth.reset()
        await here.follow(core)
    assert core.auth.current_user == user
    assert here.observer.kinds == []
    assert here.store.loads >= 2


async def test_an_operation_of_this_process_makes_the_change_old(here: Process, core: MimiCore, user: MimiUser) -> None:
    new = await here.make_user_elsewhere()
    async with here.server.hold("/v1/sessions") as held:
        log_in = asyncio.create_task(core.auth.authenticate(LogInAnonymously(new.anonymous_id)))
        await held.arrived.wait()
        here.store.emit(CHANGED)
        await here.store.feed.join()
        assert core.auth.current_user == user
        held.release()
        assert await log_in == new
    await here.follow(core)
    assert here.observer.kinds == [(new, user, None)]


async def test_a_change_during_a_restore_waits_for_it(here: Process, user: MimiUser) -> None:
    async with here.core(account=None) as core:
        async with here.server.hold("/v1/sessions") as held:
            restore = asyncio.create_task(core.auth_for("a-17"))
            await held.arrived.wait()
            await here.set_record(None)
            await here.store.feed.join()
            held.release()
            auth = await restore
        await here.follow(core)
        assert auth.current_user is None
    assert here.observer.kinds == [(user, None, None), (None, user, None)]


# What the record says ------------------------------------------------------------------------------------------------


async def test_the_same_id_under_another_revision_is_no_change(here: Process, core: MimiCore, user: MimiUser) -> None:
    await here.follow_record(core, active(user))
    assert here.store.loads == 1
    assert (here.observer.kinds, here.asked, here.store.writes) == ([], [], [])


async def test_nothing_stored_where_there_is_no_user_is_no_change(here: Process) -> None:
    async with here.core() as core:
        await here.follow(core, CHANGED)
        assert core.auth.current_user is None
    assert (here.observer.kinds, here.asked) == ([], [])


@pytest.mark.parametrize("has_user", [True, False])
async def test_a_creation_that_another_process_has_begun_is_not_replayed(
    here: Process, core: MimiCore, user: MimiUser, has_user: bool
) -> None:
    if not has_user:
        await core.auth.log_out()
        here.clear_records()
    pending = StoredIdentity.pending(CreateKey.generate())
    await here.follow_record(core, pending)
    assert core.auth.current_user is None
    assert here.observer.kinds == ([(None, user, None)] if has_user else [])
    assert (here.asked, await here.record()) == ([], pending)


async def test_an_erasure_that_another_process_has_begun_is_not_finished(
    here: Process, core: MimiCore, user: MimiUser
) -> None:
    await here.follow_record(core, active(user).with_state("erasing"))
    assert core.auth.current_user == user
    assert (here.observer.kinds, here.asked, here.server.users) == ([], [], 1)


async def test_an_erasure_of_another_user_ends_the_current_one_here(
    here: Process, core: MimiCore, user: MimiUser
) -> None:
    new = await here.make_user_elsewhere()
    here.clear_records()
    await here.follow_record(core, active(new).with_state("erasing"))
    assert here.observer.kinds == [(None, user, None)]
    assert (here.asked, here.server.users) == ([], 2)


@pytest.mark.parametrize("whose_id", ["the same", "another"])
async def test_a_rejection_of_another_process_counts_without_a_request(
    here: Process, core: MimiCore, user: MimiUser, whose_id: str
) -> None:
    rejected = user if whose_id == "the same" else await here.make_user_elsewhere()
    here.clear_records()
    await here.follow_record(core, active(rejected).with_state("rejected"))
    assert here.observer.kinds == [(None, user, ForciblyLoggedOutError)]
    assert core.auth.current_user is None
    with pytest.raises(ViewsClosedError) as caught:
        await core.present(whose)
    assert isinstance(caught.value.__cause__, UnknownAnonymousIdError)
    assert rejected.anonymous_id.masked in str(caught.value.__cause__)
    assert (here.asked, here.store.writes) == ([], [])


async def test_a_rejection_heals_at_the_next_call_and_then_in_every_process(
    here: Process, there: Process, core: MimiCore, user: MimiUser
) -> None:
    async with there.core() as other:
        there.clear_records()
        await here.follow_record(core, active(user).with_state("rejected"))
        await there.follow(other)
        assert await other.auth.ensure_user() == user
        await here.follow(core)
        assert core.auth.current_user == user
        assert core.auth.gate.is_open
    for process in (here, there):
        assert process.observer.kinds == [(None, user, ForciblyLoggedOutError), (user, None, None)]


async def test_a_rejection_where_there_is_no_user_shuts_the_gate(here: Process, core: MimiCore, user: MimiUser) -> None:
    await core.auth.log_out()
    here.clear_records()
    await here.follow_record(core, active(user).with_state("rejected"))
    assert here.observer.kinds == [(None, None, UnknownAnonymousIdError)]
    assert isinstance(core.auth.gate.cause, UnknownAnonymousIdError)


async def test_another_id_that_the_server_does_not_know_forces_out(
    here: Process, core: MimiCore, user: MimiUser
) -> None:
    new = await here.make_user_elsewhere()
    here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
    await here.follow_record(core, active(new))
    assert here.observer.kinds == [(None, user, ForciblyLoggedOutError)]
    assert isinstance(core.auth.gate.cause, UnknownAnonymousIdError)
    assert (await here.load_record()).state == "rejected"


async def test_another_id_whose_user_was_erased_is_delivered_as_erased(
    here: Process, core: MimiCore, user: MimiUser
) -> None:
    new = await here.make_user_elsewhere()
    here.server.fail("/v1/sessions", problem="erased", times=1)
    await here.follow_record(core, active(new))
    assert here.observer.kinds == [(None, user, ErasedAnonymousIdError)]
    assert core.auth.current_user is None
    assert core.auth.gate.is_open


async def test_processes_with_different_verdicts_do_not_overwrite_each_other_without_end(
    here: Process, there: Process, core: MimiCore, user: MimiUser
) -> None:
    other_client = there.server.new_client("other_client")  # to whom every id of the first is unknown
    async with there.core(credentials=other_client) as other:
        await here.follow(core)
        assert here.observer.kinds == [(None, user, ForciblyLoggedOutError)]
        assert await core.auth.ensure_user() == user
        await there.follow(other)
        await here.follow(core)
        assert len(here.store.writes) == 1
        assert len(there.store.writes) == 2
