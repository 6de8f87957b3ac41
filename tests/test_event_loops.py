"""A core belongs to the event loop that entered it: every call from elsewhere is refused at once."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Self

import pytest

from mimi_async import (
    ConfigurationError,
    MimiCore,
    NotStartedError,
    ServerUnreachableError,
    Timeouts,
    ViewsClosedError,
)
from mimi_async.stores import MemoryStore
from mimi_async.testing import IdentityServer

from .doubles import FakeServer, Observer, core_of, settle, store_with, whose
from .internals import controller_of, registry_of

NO_PAUSE = Timeouts(background_retry_base=0.001, background_retry_cap=0.01)

Call = Callable[[MimiCore], Awaitable[object]]


class Elsewhere:
    """A call in a thread with an event loop of its own.

    Attributes:
        outcome: What it returned or raised, once it has ended.
    """

    def __init__(self, core: MimiCore, call: Call) -> None:
        self.outcome: object = None
        self.waits = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(core, call)), daemon=True)
        self._thread.start()

    async def _run(self, core: MimiCore, call: Call) -> None:
        task = asyncio.ensure_future(call(core))
        await settle()
        self.waits.set()
        try:
            self.outcome = await task
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.outcome = error

    async def refused(self) -> None:
        """Wait for its end, which must be the refusal itself, before any time limit."""
        await asyncio.to_thread(self._thread.join, 20)
        assert type(self.outcome) is ConfigurationError, self.outcome
        assert "another event loop" in str(self.outcome)
        assert not self.outcome.retryable


async def _observe(core: MimiCore) -> None:
    core.observe(Observer())


async def _observe_account(core: MimiCore) -> None:
    core.auth.observe(Observer(), replay=True)


async def _updates(core: MimiCore) -> None:
    core.auth.updates()


CALLS: dict[str, Call] = {
    "present": lambda core: core.present(whose),
    "present an account": lambda core: core.present(whose, account="a-17"),
    "a decorated view": lambda core: core.view(whose)(),
    "the gate": lambda core: core.auth.gate.wait_open(),
    "auth_for": lambda core: core.auth_for("a-18"),
    "start_over": lambda core: core.start_over("a-19"),
    "ensure_user": lambda core: core.auth.ensure_user(),
    "find_user": lambda core: core.auth.find_user(),
    "hearing_tests": lambda core: anext(core.auth.hearing_tests()),
    "log_out": lambda core: core.auth.log_out(),
    "observe": _observe,
    "observe an account": _observe_account,
    "updates": _updates,
    "leaving": lambda core: core.__aexit__(None, None, None),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_from_another_event_loop_is_refused_while_the_core_runs(call: str) -> None:
    async with core_of(FakeServer()) as core:
        await core.auth.ensure_user()
        await core.auth_for("a-17")
        await Elsewhere(core, CALLS[call]).refused()
        assert {auth.account for auth in registry_of(core)} == {"a-17", core.account}
        assert await core.present(whose) is not None


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_from_another_event_loop_is_refused_after_the_core_was_left(call: str) -> None:
    async with core_of(FakeServer()) as core:
        await core.auth.ensure_user()
    await Elsewhere(core, CALLS[call]).refused()


def test_a_view_in_another_event_loop_of_the_same_thread_is_refused() -> None:
    core = core_of(FakeServer())
    with asyncio.Runner() as home:
        home.run(core.__aenter__())
        with asyncio.Runner() as other, pytest.raises(ConfigurationError, match="another event loop"):
            other.run(core.present(whose))
        assert home.run(core.present(whose)) is None
        home.run(core.__aexit__(None, None, None))


async def _next_update(core: MimiCore) -> object:
    return await anext(core.auth.updates())


@pytest.mark.parametrize(
    "call", [CALLS["present"], CALLS["the gate"], _next_update], ids=["present", "gate", "updates"]
)
async def test_a_call_that_waits_for_the_start_in_another_event_loop_is_refused_when_the_core_is_entered(
    call: Call,
) -> None:
    core = core_of(FakeServer())
    early, [here] = Elsewhere(core, call), [asyncio.create_task(core.present(whose))]
    await asyncio.to_thread(early.waits.wait)
    async with core:
        await early.refused()
        assert await here is None


async def test_a_core_that_was_presented_in_a_loop_that_is_closed_can_be_entered_in_another() -> None:
    core = core_of(FakeServer())

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await core.present(whose)

    await asyncio.to_thread(asyncio.run, give_up())
    async with core:
        assert await core.present(whose) is None


@pytest.mark.parametrize("call", ["present", "the gate"])
async def test_a_call_from_another_event_loop_is_refused_while_the_restore_is_tried_again(
    call: str,
) -> None:
    server = FakeServer()
    store = await store_with(server.add_user())
    server.failure = ServerUnreachableError("down")
    async with core_of(server, store=store, on_restore_failure="retry", timeouts=NO_PAUSE) as core:
        await Elsewhere(core, CALLS[call]).refused()
        server.failure = None
        assert await core.present(whose) is not None


async def test_a_call_from_another_event_loop_is_refused_while_the_core_starts() -> None:
    server = FakeServer()
    core, release = core_of(server, store=await store_with(server.add_user())), server.hold()
    start = asyncio.create_task(core.__aenter__())
    await server.asked()
    await Elsewhere(core, CALLS["present"]).refused()
    release.set()
    await start
    await core.__aexit__(None, None, None)


async def test_a_subscription_from_a_thread_without_an_event_loop_is_refused() -> None:
    async with core_of(FakeServer()) as core:
        for subscribe in (lambda: core.observe(Observer()), lambda: core.auth.observe(Observer()), core.auth.updates):
            with pytest.raises(ConfigurationError, match="another event loop"):
                await asyncio.to_thread(subscribe)


async def test_the_current_user_may_be_read_from_anywhere() -> None:
    async with core_of(FakeServer()) as core:
        user = await core.auth.ensure_user()
        assert await asyncio.to_thread(lambda: core.auth.current_user) == user


async def test_the_identity_server_of_tests_refuses_to_hold_requests_from_another_event_loop() -> None:
    async with IdentityServer() as server:

        async def hold() -> None:
            async with server.hold("/v1/sessions"):
                pass

        with pytest.raises(ConfigurationError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, hold())


# Without `async with` -------------------------------------------------------------------------------------------------


def quick(**settings: Any) -> MimiCore:
    """A core that is not entered, whose time limits are short."""
    return core_of(FakeServer(), timeouts=Timeouts(call=0.2, entry_warning=0.01), **settings)


@pytest.mark.parametrize("call", ["present", "present an account", "a decorated view", "the gate"])
async def test_a_view_of_a_core_that_is_never_entered_ends_by_its_deadline(
    call: str, caplog: pytest.LogCaptureFixture
) -> None:
    core = quick()
    outcomes = await asyncio.gather(*(CALLS[call](core) for _ in range(5)), return_exceptions=True)
    for error in outcomes:
        assert isinstance(error, ViewsClosedError)
        assert isinstance(error.__cause__, NotStartedError)
        assert "make calls inside `async with core`" in str(error)
        assert not error.retryable
        assert not error.__cause__.retryable
    warnings = [record.message for record in caplog.records if "`async with core`" in record.message]
    assert len(warnings) == 1, "once for each core"


async def test_a_view_that_waits_for_a_slow_start_ends_by_its_deadline_as_well() -> None:
    release = asyncio.Event()

    class SlowStore(MemoryStore):
        async def __aenter__(self) -> Self:
            await release.wait()
            return await super().__aenter__()

    core = core_of(FakeServer(), store=SlowStore(), timeouts=Timeouts(call=0.2))
    start = asyncio.create_task(core.__aenter__())
    with pytest.raises(ViewsClosedError, match="its start is still under way") as caught:
        await core.present(whose)
    assert isinstance(caught.value.__cause__, NotStartedError)
    release.set()
    await start
    assert await core.present(whose) is None
    await core.__aexit__(None, None, None)


async def test_a_view_that_waits_while_the_restore_is_tried_again_has_no_deadline() -> None:
    server = FakeServer()
    store = await store_with(server.add_user())
    server.failure = ServerUnreachableError("down")
    timeouts = Timeouts(call=0.05, background_retry_base=0.001, background_retry_cap=0.01)
    async with core_of(server, store=store, on_restore_failure="retry", timeouts=timeouts) as core:
        view = asyncio.create_task(core.present(whose))
        await asyncio.wait((view,), timeout=0.2)
        assert not view.done()
        server.failure = None
        assert await view is not None


async def test_the_current_user_of_a_core_that_was_left_unrestored_raises_that_it_was_left() -> None:
    async with core_of(FakeServer(), account=None) as core:
        auth = controller_of(core, "a-17")
    with pytest.raises(NotStartedError, match="was left"):
        _ = auth.current_user
