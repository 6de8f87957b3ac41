"""No view runs before a restore has settled, in any order of events."""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mimi_async import (
    AuthController,
    MimiCore,
    MimiError,
    ServerUnreachableError,
    StoreCorruptError,
    Timeouts,
    ViewsClosedError,
)
from mimi_async.stores import MemoryStore, StoredIdentity
from mimi_async.wire import Reply, Request

from .conftest import rounds
from .doubles import FakeServer, an_id, core_of

SCHEDULES = rounds(500, 200_000)
OUTCOMES = ("none", "user", "unknown", "corrupt", "down", "late", "pending")
DOWN = ServerUnreachableError("down")
CORRUPT = StoreCorruptError("unreadable", revision=bytes(16))
SHUT = ("unknown", "corrupt", "down")


async def ticks(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Schedule:
    """One schedule, read from bytes: the outcome of the restore, and the passes of the loop before each event."""

    def __init__(self, choices: bytes) -> None:
        self._choices: Iterator[int] = iter(choices)
        self.outcome = OUTCOMES[self.choose(len(OUTCOMES))]
        self.mode = ("raise", "retry")[self.choose(2)]
        self.failures_left = {"down": 1_000_000, "late": 1 + self.choose(2)}.get(self.outcome, 0)
        self.server = FakeServer()
        self.store = self._store()
        self.has_answered = self.outcome == "none"
        self.may_run = self.outcome not in SHUT and (self.outcome, self.mode) != ("late", "raise")
        self.ran = 0

    def choose(self, among: int) -> int:
        return next(self._choices) % among

    def _store(self) -> MemoryStore:
        store = SlowStore(self)
        known = self.server.add_user() if self.outcome != "unknown" else an_id(404)
        if self.outcome == "pending":
            record = StoredIdentity.read("pending", "0" * 64, None, bytes(16), 0.0)
        else:
            record = StoredIdentity(state="active", secret=known, user_id=None)
        self.record = None if self.outcome == "none" else record
        return store

    async def send(self, request: Request) -> Reply:
        await ticks(self.choose(4))
        if self.failures_left:
            self.failures_left -= 1
            raise DOWN.copy()
        reply = await self.server.send(request)
        self.has_answered = reply.status < 300
        return reply

    async def view(self, auth: AuthController) -> None:
        self.ran += 1
        assert self.has_answered, "a view ran before the restore had settled"
        assert (auth.current_user is None) == (self.outcome == "none")
        record = await self.store.load("default") if self.outcome == "pending" else None
        assert record is None or record.state == "active"

    async def present(self, core: MimiCore) -> None:
        await ticks(self.choose(16))
        task = asyncio.create_task(core.present(self.view))
        if self.choose(4) == 0:
            await ticks(self.choose(16))
            task.cancel()
        with contextlib.suppress(ViewsClosedError, asyncio.CancelledError):
            await task

    async def run(self) -> None:
        if self.record is not None:
            await self.store.claim("default", self.record)
        core = core_of(
            self.server,
            send=self.send,
            store=self.store,
            on_restore_failure=self.mode,
            timeouts=Timeouts(background_retry_base=0.0),
        )
        presenters = [asyncio.create_task(self.present(core)) for _ in range(4)]
        await ticks(self.choose(8))
        start = asyncio.create_task(self._live(core))
        if self.choose(6) == 0:
            await ticks(1 + self.choose(12))
            start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        async with asyncio.timeout(10):
            await asyncio.gather(*presenters)
        assert self.may_run or not self.ran

    async def _live(self, core: MimiCore) -> None:
        with contextlib.suppress(MimiError):
            async with core:
                await ticks(self.choose(40))


class SlowStore(MemoryStore):
    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self._schedule = schedule

    async def load(self, account: str) -> StoredIdentity | None:
        await ticks(self._schedule.choose(4))
        if self._schedule.outcome == "corrupt":
            raise CORRUPT.copy()
        return await super().load(account)


@pytest.mark.timeout(rounds(300, 3600))
def test_no_view_runs_before_the_restore_has_settled() -> None:
    ran: dict[bool, int] = {True: 0, False: 0}
    seen: set[tuple[str, str]] = set()

    @given(st.binary(min_size=48, max_size=48))
    @settings(
        max_examples=SCHEDULES,
        deadline=None,
        database=None,
        phases=[Phase.generate],  # a schedule that hangs would hang at each step of shrinking
        suppress_health_check=list(HealthCheck),
    )
    def schedules(choices: bytes) -> None:
        schedule = Schedule(choices + bytes(4096))
        runner.run(schedule.run())
        seen.add((schedule.outcome, schedule.mode))
        ran[schedule.may_run] += schedule.ran

    with asyncio.Runner() as runner:
        schedules()
    assert len(seen) == len(OUTCOMES) * 2
    assert ran[True] > SCHEDULES / 10
    assert ran[False] == 0
    print(f"{SCHEDULES} schedules, {ran[True]} views ran, none before the restore had settled")  # noqa: T201 - a figure
