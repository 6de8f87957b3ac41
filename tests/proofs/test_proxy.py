"""The reply of another caller is never adopted, whatever a proxy does."""

import asyncio
import datetime as dt
import random
from collections.abc import Callable, Coroutine
from typing import Any

import attrs
import pytest

from mimi_async import (
    Audiogram,
    AuthController,
    HearingTestResult,
    MimiCore,
    MimiError,
    MimiUser,
    ProtocolError,
    ServerTimeoutError,
    wire,
)
from mimi_async.stores import MemoryStore
from mimi_async.testing import IdentityServer
from mimi_async.transport import Transport

from ..conftest import rounds
from .carriers import Swap, UnreliableProxy
from .conftest import Figures
from .relay import Relay, forward

pytestmark = pytest.mark.timeout(rounds(120, 3600))

ACCOUNTS = 200
FREQUENCIES = (250, 500, 1000, 2000, 4000, 8000)


@attrs.define
class Truth:
    """The data of each account: year, sex and thresholds are functions of its number.

    Attributes:
        user_ids: The user of each account, as first seen.
        checked: Number of values checked.
    """

    user_ids: dict[int, str] = attrs.Factory(dict)
    checked: int = 0

    @staticmethod
    def year(number: int) -> int:
        return 1900 + number % 100

    @staticmethod
    def sex(number: int) -> Any:
        return ("female", "male")[number // 100]

    @staticmethod
    def test(number: int) -> HearingTestResult:
        ear = Audiogram(dict.fromkeys(FREQUENCIES, number / 2))
        return HearingTestResult(taken_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC), calibrated=True, left=ear, right=ear)

    def check_test(self, number: int, test: HearingTestResult | None) -> None:
        self.checked += 1
        assert test is None or test.left == self.test(number).left

    def check(self, number: int, user: MimiUser) -> None:
        assert self.user_ids.setdefault(number, user.id) == user.id
        assert user.year_of_birth in (None, self.year(number))
        assert user.sex in (None, self.sex(number))
        self.check_test(number, user.latest_hearing_test)

    async def operate(self, number: int, auth: AuthController) -> None:
        """Make a random call for an account and check the result."""
        self.check(number, await auth.ensure_user())
        match random.randrange(5):
            case 0:
                self.check(number, await auth.update_user(year_of_birth=self.year(number)))
            case 1:
                self.check(number, await auth.update_user(sex=self.sex(number)))
            case 2:
                self.check_test(number, await auth.submit_hearing_test(self.test(number)))
            case 3:
                async for test in auth.hearing_tests():
                    self.check_test(number, test)
            case 4:
                assert self.user_ids[number].encode() in await auth.export_data()
        self.check(number, await auth.reload_user())


def cancel_some(send: Callable[[wire.Request], Coroutine[Any, Any, wire.Reply]]) -> Any:
    """Cancel one exchange in eight at a random time."""

    async def send_or_cancel(request: wire.Request) -> wire.Reply:
        seconds = random.uniform(0, 0.02) if random.random() < 0.125 else None
        try:
            async with asyncio.timeout(seconds):
                return await send(request)
        except TimeoutError:
            msg = "cancelled by the test"
        raise ServerTimeoutError(msg)

    return send_or_cancel


async def run_operation(
    core: MimiCore, truth: Truth, number: int, outcomes: dict[str, int], *, seconds: float = 0.1
) -> None:
    """Run an operation in a task; cancel three in ten within `seconds`."""

    async def operation() -> None:
        await truth.operate(number, await core.auth_for(f"a-{number}"))

    task = asyncio.create_task(operation())
    if random.random() < 0.3:
        await asyncio.wait([task], timeout=random.uniform(0, seconds))
        task.cancel()
    try:
        await task
        outcome = "done"
    except asyncio.CancelledError:
        outcome = "cancelled"
    except MimiError as error:
        outcome = "failed" if error.retryable else "refused"
    outcomes[outcome] = outcomes.get(outcome, 0) + 1


async def test_a_value_is_always_of_the_account_that_asked(server: IdentityServer, figures: Figures) -> None:
    truth, store, outcomes = Truth(), MemoryStore(), dict[str, int]()
    operations = iter(random.randrange(ACCOUNTS) for _ in range(rounds(600, 10_000)))
    proxy = UnreliableProxy(random.randrange(1 << 30), seconds=0.02, losses=6)

    async def worker(core: MimiCore) -> None:
        for number in operations:
            await run_operation(core, truth, number, outcomes)

    async with (
        Relay(server.url, proxy) as relay,
        Transport(relay.url, server.credentials) as transport,
        MimiCore(send=cancel_some(transport.send), store=store, account=None) as core,
        asyncio.TaskGroup() as workers,
    ):
        for _ in range(64):
            workers.create_task(worker(core))
    async with MimiCore(server.credentials, server=server.url, store=store, account=None) as core:
        for number in range(ACCOUNTS):
            truth.check(number, await (await core.auth_for(f"a-{number}")).ensure_user())
    assert len(set(truth.user_ids.values())) == ACCOUNTS == server.users
    assert set(outcomes) == {"done", "cancelled", "failed"}
    figures.add(**outcomes, values_checked=truth.checked, mismatches=0)


async def test_a_cancelled_exchange_leaves_no_reply_to_the_next_one(server: IdentityServer, figures: Figures) -> None:
    async with MimiCore(server.credentials, server=server.url, store=MemoryStore(), account=None) as core:
        auths = [await core.auth_for(f"a-{number}") for number in range(20)]
        users = [await auth.ensure_user() for auth in auths]

    async def log_in(transport: Transport) -> bool:
        user = random.choice(users)
        task = asyncio.create_task(transport.send(wire.log_in(user.anonymous_id)))
        if random.random() < 0.5:
            await asyncio.wait([task], timeout=random.uniform(0, 0.02))
            task.cancel()
        try:
            reply = await task
        except (asyncio.CancelledError, MimiError):
            return False
        assert wire.read_session(reply, user.anonymous_id).user.id == user.id
        return True

    async def worker(transport: Transport) -> int:
        return sum([await log_in(transport) for _ in range(rounds(20, 1000))])

    proxy = UnreliableProxy(random.randrange(1 << 30), seconds=0.01, losses=3)
    async with Relay(server.url, proxy) as relay, Transport(relay.url, server.credentials) as transport:
        answered = sum(await asyncio.gather(*(worker(transport) for _ in range(20))))
    figures.add(exchanges_answered=answered, exchanges_cancelled_or_lost=20 * rounds(20, 1000) - answered)


async def test_swapped_replies_are_refused_by_their_exchange_and_adopted_by_no_account(
    server: IdentityServer, figures: Figures
) -> None:
    swap, store, numbers = Swap(), MemoryStore(), range(20)
    async with (
        Relay(server.url, swap) as relay,
        MimiCore(server.credentials, server=relay.url, store=store, account=None) as core,
    ):
        auths = [await core.auth_for(f"a-{number}") for number in numbers]
        refused = await asyncio.gather(*(auth.ensure_user() for auth in auths), return_exceptions=True)
        assert {type(error) for error in refused} == {ProtocolError}
        records = [await store.load(auth.account) for auth in auths]
        assert {record and record.state for record in records} == {"pending"}
        relay.carry = forward
        users = [await auth.ensure_user() for auth in auths]
        for number, auth in enumerate(auths):
            await auth.update_user(year_of_birth=Truth.year(number))
        relay.carry = swap
        refused = await asyncio.gather(*(auth.reload_user() for auth in auths), return_exceptions=True)
        assert {type(error) for error in refused} == {ProtocolError}
        for number, auth in enumerate(auths):
            assert auth.current_user == attrs.evolve(users[number], year_of_birth=Truth.year(number))
    assert server.users == len({user.id for user in users}) == len(numbers)
    assert swap.swapped == 2 * len(numbers)
    figures.add(replies_swapped=swap.swapped, replies_adopted=0)
