"""News of a record whose account is not restored: a verdict is looked at again, and nothing else."""

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
from mimi_async.identity import CreateKey
from mimi_async.stores import StoredIdentity
from mimi_async.testing import IdentityServer

from ..doubles import whose
from .launches import ACCOUNT, raising, returning
from .stores_for_tests import BEFORE_LOAD
from .telling import HERS, Neighbours, Process, active

CORRUPT = StoreCorruptError("damaged", revision=b"r" * 16)


@pytest.fixture
def neighbours(server: IdentityServer) -> Neighbours:
    return Neighbours(server)


@pytest.fixture
def here(neighbours: Neighbours) -> Process:
    return neighbours.app()


@pytest.fixture
def there(neighbours: Neighbours) -> Process:
    return neighbours.app()


@pytest.fixture
async def user(there: Process) -> MimiUser:
    return await there.first_launch()


@pytest.fixture
async def shut(here: Process, there: Process, user: MimiUser) -> AsyncIterator[MimiCore]:
    """A core whose restore has ended with a 404."""
    here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
    async with here.core() as core:
        await here.heeded(core)
        assert here.news.kinds == [(None, None, UnknownAnonymousIdError)]
        here.forget_the_past()
        yield core


async def test_starting_over_in_one_process_opens_the_gate_of_another(
    here: Process, there: Process, shut: MimiCore, user: MimiUser
) -> None:
    there.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=None)
    async with there.core() as other:
        assert await other.start_over() == user.anonymous_id
        await here.heeded(shut)
        assert shut.auth.gate.is_open
        assert await shut.present(whose) is None
        there.server.heal()
        new = await other.auth.ensure_user()
        await here.heeded(shut)
        assert shut.auth.current_user == new
    assert here.news.kinds == [(new, None, None)]


async def test_starting_over_reaches_those_that_were_forced_out_by_news(
    here: Process, there: Process, user: MimiUser
) -> None:
    async with here.core() as core:
        there.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=None)
        async with there.core() as other:
            await here.heeded(core)
            assert here.news.kinds[-1] == (None, user, ForciblyLoggedOutError)
            assert not core.auth.gate.is_open
            await other.start_over()
            await here.heeded(core)
            assert core.auth.gate.is_open
            assert core.auth.current_user is None


async def test_a_record_that_another_process_has_healed_opens_the_gate(
    here: Process, there: Process, shut: MimiCore, user: MimiUser
) -> None:
    async with there.core():
        await here.heeded(shut)
        assert shut.auth.current_user == user
        assert shut.auth.gate.is_open
    assert here.news.kinds == [(user, None, None)]
    assert here.store.writes == []


async def test_the_same_verdict_is_told_once_and_asked_for_once(
    here: Process, neighbours: Neighbours, shut: MimiCore, user: MimiUser
) -> None:
    await neighbours.set(active(user).turned("rejected"))
    await here.heeded(shut)
    assert (here.news.kinds, here.asked) == ([], [])
    here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
    await neighbours.set(active(user))
    await here.heeded(shut)
    assert (here.news.kinds, here.asked) == ([], [("POST", "/v1/sessions")])
    assert not shut.auth.gate.is_open
    with pytest.raises(NotRestoredError):
        _ = shut.auth.current_user


async def test_a_creation_begun_over_a_rejection_opens_the_gate_and_is_not_replayed(
    here: Process, neighbours: Neighbours, shut: MimiCore
) -> None:
    await neighbours.set(StoredIdentity.pending(CreateKey.fresh()))
    await here.heeded(shut)
    assert (here.news.kinds, here.asked) == ([], [])
    assert await shut.present(whose) is None


async def test_an_erasure_of_a_healed_record_is_left_to_who_has_begun_it(
    here: Process, neighbours: Neighbours, shut: MimiCore, user: MimiUser
) -> None:
    await neighbours.set(active(user).turned("erasing"))
    await here.heeded(shut)
    assert (here.news.kinds, here.asked) == ([], [])
    assert not shut.auth.gate.is_open


async def test_known_id_is_asked_once_the_rejected_record_is_set_down(
    here: Process, neighbours: Neighbours, user: MimiUser
) -> None:
    new = await neighbours.make_user()
    here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
    async with here.core(known_id=returning(new.anonymous_id)) as core:
        await neighbours.set(None)
        await here.heeded(core)
        assert core.auth.current_user == new
    assert here.news.kinds == [(None, None, UnknownAnonymousIdError), (new, None, None)]


async def test_a_verdict_that_gives_way_to_a_failure_is_no_verdict_any_more(
    here: Process, neighbours: Neighbours, shut: MimiCore, user: MimiUser
) -> None:
    here.store.at(BEFORE_LOAD, raising(StoreUnavailableError("locked")))
    await neighbours.set(active(user))
    await here.heeded(shut)
    assert here.news.kinds == [(None, None, StoreUnavailableError)]
    assert await shut.auth.ensure_user() == user


async def test_a_corrupt_record_that_was_mended_opens_the_gate(
    here: Process, neighbours: Neighbours, user: MimiUser
) -> None:
    here.store.at(BEFORE_LOAD, raising(CORRUPT), times=100)
    async with here.core() as core:
        here.store.tell(HERS)
        await here.heeded(core)
        assert here.news.kinds == [(None, None, StoreCorruptError)]
        here.store.heal()
        await neighbours.set(active(user))
        await here.heeded(core)
        assert core.auth.gate.is_open
    assert here.news.kinds == [(None, None, StoreCorruptError), (user, None, None)]


async def test_a_corrupt_record_that_is_now_a_rejected_one_is_told_as_such(
    here: Process, neighbours: Neighbours, user: MimiUser
) -> None:
    here.store.at(BEFORE_LOAD, raising(CORRUPT), times=100)
    async with here.core() as core:
        await here.heeded(core)
        here.store.heal()
        here.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=1)
        await neighbours.set(active(user).turned("rejected"))
        await here.heeded(core)
        assert isinstance(core.auth.gate.cause, UnknownAnonymousIdError)
    assert here.news.kinds == [(None, None, StoreCorruptError), (None, None, UnknownAnonymousIdError)]


async def test_an_account_that_is_not_restored_yet_is_left_alone(
    here: Process, neighbours: Neighbours, user: MimiUser
) -> None:
    here.server.fail("/v1/sessions", status=503, times=3)
    async with here.core(account=None) as core:
        with pytest.raises(Exception, match="503"):
            await core.auth_for(ACCOUNT)
        auth = core._controllers.of(ACCOUNT)
        here.forget_the_past()
        here.store.loads = 0
        await neighbours.set(active(user))
        await here.heeded(core)
        assert (here.store.loads, here.asked, here.news.kinds) == (0, [], [])
        assert await core.auth_for(ACCOUNT) is auth
        assert auth.current_user == user


async def test_a_start_that_fails_ends_the_listening(here: Process, user: MimiUser) -> None:
    here.server.fail("/v1/sessions", status=503, times=3)
    with pytest.raises(StartupError):
        async with here.core():
            pass
    assert here.store.closed == [True]
    assert here.store.is_entered == 0
