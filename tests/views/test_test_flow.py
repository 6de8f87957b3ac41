"""The hearing test as a view: carried as a text, bound to its user, kept once."""

from typing import Any

import pytest

from mimi_async import (
    InvalidInputError,
    MimiCore,
    MimiUser,
    NotAuthenticatedError,
    Profile,
    ProfileConfiguration,
    ServerUnreachableError,
    TestFlow,
    TestScreen,
)
from mimi_async.hearing.staircase import MAX_PRESENTATIONS, Ear, Limits, Outcome
from mimi_async.testing import IdentityServer

from ..doubles import FakeServer, core_of
from ..hearing.listeners import Listener, flat

LISTENER = Listener(right=flat(10), left=flat(25))
ANONYMOUS = ProfileConfiguration(allows_anonymous_user_only=True)


async def begin_test(core: MimiCore) -> TestScreen:
    await core.auth.ensure_user()
    return await core.present(TestFlow())


async def take_test(core: MimiCore, screen: TestScreen, listener: Listener = LISTENER) -> TestScreen:
    """Answer to the end; every answer is given to a screen that comes from the text of the one before."""
    while screen.presentation is not None:
        screen = await core.present(TestFlow(state=screen.state))
        assert screen.presentation is not None
        screen = screen.answer(heard=listener.hears(screen.presentation))
    return screen


async def test_needs_a_user(core: MimiCore, server: FakeServer) -> None:
    with pytest.raises(NotAuthenticatedError, match="take_hearing_test"):
        await core.present(TestFlow())
    assert server.requests == []


async def test_begun_from_the_profile_it_makes_the_user_first(core: MimiCore, server: FakeServer) -> None:
    profile = await core.present(Profile(ANONYMOUS))
    screen = await profile.take_hearing_test()
    assert screen.presentation is not None
    assert (screen.presentation.ear, screen.presentation.frequency, screen.progress) == (Ear.RIGHT, 1000, 0.0)
    assert len(server.users) == 1


async def test_keeps_what_was_measured_and_that_it_is_uncalibrated() -> None:
    async with (
        IdentityServer() as server,
        core_of(FakeServer(), send=None, credentials=server.credentials, server=server.url) as core,
    ):
        screen = await take_test(core, await begin_test(core))
        assert (screen.outcome, screen.progress) == (Outcome.MEASURED, 1.0)
        result = await screen.submit()
        assert result.right.levels == (10.0,) * 6
        assert result.left.levels == (25.0,) * 6
        assert not result.calibrated
        assert core.auth.current_user is not None
        assert core.auth.current_user.latest_hearing_test == result
        assert await screen.submit() == result
        assert [test async for test in core.auth.hearing_tests()] == [result]


async def test_says_that_a_calibrated_transducer_is_one(core: MimiCore) -> None:
    await core.auth.ensure_user()
    screen = await take_test(core, await core.present(TestFlow()))
    calibrated = await core.present(TestFlow(state=screen.state, calibrated=True))
    assert calibrated.outcome is Outcome.MEASURED
    assert (await calibrated.submit()).calibrated


async def test_goes_on_after_any_answer_and_loses_no_ear_that_is_done(core: MimiCore) -> None:
    screen = await begin_test(core)
    done: frozenset[Ear] = frozenset()
    while screen.presentation is not None:
        again = await core.present(TestFlow(state=screen.state))
        assert (again, again.presentation, again.ears_done) == (screen, screen.presentation, screen.ears_done)
        assert again.ears_done >= done
        done = again.ears_done
        screen = again.answer(heard=LISTENER.hears(screen.presentation))
    assert screen.ears_done == {Ear.LEFT, Ear.RIGHT}


async def test_two_tests_have_different_states(core: MimiCore) -> None:
    one, other = await begin_test(core), await begin_test(core)
    assert one.state != other.state


@pytest.mark.parametrize(
    "state",
    ["", "1", "x", "1...", "1.00.00.", object(), 5, b"1", "1." + "0" * 32 + "." + "0" * 16 + ".",
     "1." + "0" * 32 + "." + "0" * 16 + "." + "1" * (MAX_PRESENTATIONS + 1)],
)  # fmt: skip
async def test_an_invalid_state_is_refused(state: Any, core: MimiCore) -> None:
    await core.auth.ensure_user()
    with pytest.raises(InvalidInputError, match="begin a new test"):
        await core.present(TestFlow(state=state))


async def test_every_change_of_a_state_is_refused_or_another_way_of_answering(core: MimiCore) -> None:
    screen = await begin_test(core)
    for heard in (True, True, False):
        screen = screen.answer(heard=heard)
    for position in range(len(screen.state)):
        for character in "0123456789abcdef.":
            changed = screen.state[:position] + character + screen.state[position + 1 :]
            try:
                found = await core.present(TestFlow(state=changed))
            except InvalidInputError:
                continue
            assert found.state[:-3] == screen.state[:-3]


async def test_is_refused_to_another_user_and_under_other_limits(core: MimiCore, server: FakeServer) -> None:
    state = (await begin_test(core)).state
    with pytest.raises(InvalidInputError, match="other limits"):
        await core.present(TestFlow(state=state, limits=Limits(highest=60)))
    async with core_of(server) as other:
        await other.auth.ensure_user()
        with pytest.raises(InvalidInputError, match="another user"):
            await other.present(TestFlow(state=state))


async def test_answers_beyond_the_end_are_refused(core: MimiCore) -> None:
    screen = await take_test(core, await begin_test(core))
    with pytest.raises(InvalidInputError):
        screen.answer(heard=True)
    with pytest.raises(InvalidInputError):
        await core.present(TestFlow(state=f"{screen.state}1"))


async def test_a_result_is_stored_with_the_measured_user_or_not_at_all(core: MimiCore, server: FakeServer) -> None:
    screen = await take_test(core, await begin_test(core))
    await core.auth.reset()
    with pytest.raises(NotAuthenticatedError):
        await screen.submit()
    await core.auth.ensure_user()
    with pytest.raises(NotAuthenticatedError, match="user has changed"):
        await screen.submit()
    assert not [asked for asked in server.requests if "hearing-tests" in asked]


async def test_a_result_that_could_not_be_kept_is_submitted_again_under_the_same_key(
    core: MimiCore, server: FakeServer
) -> None:
    keys: list[object] = []
    server.before = lambda request: keys.append(request.idempotency_key) if "tests" in request.path else None
    screen = await take_test(core, await begin_test(core))
    server.failure = ServerUnreachableError("down")
    with pytest.raises(ServerUnreachableError):
        await screen.submit()
    server.failure = None
    await (await core.present(TestFlow(state=screen.state))).submit()
    assert len(keys) == 2
    assert keys[0] == keys[1]


async def test_neither_the_state_nor_the_repr_of_a_screen_names_the_user(core: MimiCore) -> None:
    screen = (await begin_test(core)).answer(heard=True)
    user = core.auth.current_user
    assert isinstance(user, MimiUser)
    assert user.id not in screen.state
    assert user.anonymous_id.reveal() not in screen.state
    assert screen.state not in repr(screen)
    assert user.id not in repr(screen)


@pytest.mark.parametrize(
    ("rate", "outcome"), [(None, Outcome.RUNNING), (0.0, Outcome.UNHEARD), (1.0, Outcome.UNRELIABLE)]
)
async def test_a_test_without_a_result_is_not_stored(
    core: MimiCore, server: FakeServer, rate: float | None, outcome: Outcome
) -> None:
    screen = await begin_test(core)
    before = list(server.requests)
    while rate is not None and screen.presentation is not None:
        screen = screen.answer(heard=bool(rate))
    assert screen.outcome is outcome
    with pytest.raises(InvalidInputError, match=f"{outcome}: there is no result to store"):
        await screen.submit()
    assert server.requests == before


async def test_asks_the_server_nothing_until_it_is_submitted(core: MimiCore, server: FakeServer) -> None:
    screen = await begin_test(core)
    before = list(server.requests)
    await take_test(core, screen)
    assert server.requests == before


async def test_keeps_a_test_in_which_one_ear_heard_nothing(core: MimiCore, server: FakeServer) -> None:
    screen = await take_test(core, await begin_test(core), Listener(right=flat(10), left=flat(200)))
    await screen.submit()
    assert server.requests[-1] == "POST /v1/user/hearing-tests"
