"""The process of a proof: a host of the SDK that kills itself at a named point."""

import asyncio
import logging
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import attrs

from mimi_async import (
    AuthController,
    ClientCredentials,
    ErasedAnonymousIdError,
    MimiCore,
    MimiError,
    MimiUser,
    NotAuthenticatedError,
    StoreConflictError,
    wire,
)
from mimi_async.stores import IdentityStore, SQLiteStore
from mimi_async.transport import Transport

from ..auth.stores_for_tests import (
    AFTER_CLAIM,
    AFTER_FORGET,
    AFTER_REPLACE,
    BEFORE_CLAIM,
    BEFORE_FORGET,
    BEFORE_REPLACE,
    WatchedStore,
)
from .journal import Journal
from .relay import Exchange, Relay


@attrs.define
class KillPoint:
    """The point at which this process kills itself."""

    point: str | None

    def reach(self, point: str) -> None:
        """Send SIGKILL to this process if this is the point."""
        if point == self.point:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, inner: IdentityStore) -> WatchedStore:
        """Return a store with points before and after each write."""
        store = WatchedStore(inner)
        for moment in (BEFORE_CLAIM, AFTER_CLAIM, BEFORE_REPLACE, AFTER_REPLACE, BEFORE_FORGET, AFTER_FORGET):

            async def act(point: str = " ".join(moment)) -> None:
                self.reach(point)

            store.at(moment, act, times=sys.maxsize)
        return store

    async def carry(self, exchange: Exchange) -> None:
        """Carry an exchange, with points after the request and after the reply."""
        await exchange.ask()
        self.reach(f"{exchange.line} sent")
        reply = await exchange.reply()
        self.reach(f"{exchange.line} answered")
        await exchange.deliver(reply)


@attrs.frozen(kw_only=True)
class Host:
    """A partner's process: its core, the journal in place of its database, and the kill point."""

    core: MimiCore
    journal: Journal
    kill_point: KillPoint

    def observe(self) -> None:
        """Connect two receivers; the second stores the id, as the guide asks."""

        def before(*_: object, **__: object) -> None:
            self.kill_point.reach("before delivery")

        async def keep(
            sender: AuthController, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None
        ) -> None:
            self.journal.on_update(sender, current=current, old=old, error=error)
            await asyncio.sleep(0)
            self.kill_point.reach("during delivery")

        self.core.observe(before)
        self.core.observe(keep)

    async def ensure(self, account: str) -> None:
        """Ensure a user and write it to the journal."""
        auth = await self.core.auth_for(account)
        self.journal.write(account, "restored", auth.current_user)
        self.journal.write(account, "ensured", await auth.ensure_user())
        self.kill_point.reach("after delivery")

    async def restore(self, account: str) -> None:
        """Restore and write the user to the journal."""
        auth = await self.core.auth_for(account)
        self.journal.write(account, "restored", auth.current_user)

    async def reset(self, account: str) -> None:
        """Ensure a user, then reset it: the kill point applies to the reset only."""
        point, self.kill_point.point = self.kill_point.point, None
        await self.ensure(account)
        self.kill_point.point = point
        auth = await self.core.auth_for(account)
        await auth.reset()
        self.kill_point.reach("after delivery")

    async def live(self, account: str) -> None:
        """Make calls until the process is killed from outside."""
        auth = await self.core.auth_for(account)
        for _ in range(1000):
            await auth.ensure_user()
            await auth.update_user(year_of_birth=random.randint(1930, 1990))
            if random.random() < 0.3:
                self.journal.write(account, "resetting", auth.current_user)
                await auth.reset()

    async def interleave(self, account: str) -> None:
        """Make random calls while other processes do the same; conflicts with them are expected."""
        for _ in range(20):
            with suppress(NotAuthenticatedError, ErasedAnonymousIdError, StoreConflictError):
                auth = await self.core.auth_for(account)
                match random.randrange(4):
                    case 0:
                        await auth.ensure_user()
                    case 1:
                        await auth.update_user(year_of_birth=random.randint(1930, 1990))
                    case 2:
                        await auth.reload_user()
                    case 3:
                        await auth.reset()


@asynccontextmanager
async def run_host(job: dict[str, Any]) -> AsyncIterator[Host]:
    """Run the host of a job."""
    kill_point, journal = KillPoint(job.get("point")), Journal(job["journal"])
    credentials = ClientCredentials(job["client_id"], job["secret"])
    async with Relay(job["server"], kill_point.carry) as relay, Transport(relay.url, credentials) as transport:

        async def send(request: wire.Request) -> wire.Reply:
            kill_point.reach(f"before {request.method} {request.path}")
            reply = await transport.send(request)
            kill_point.reach(f"after {request.method} {request.path}")
            return reply

        store = kill_point.watch(SQLiteStore(job["store"]))
        known_id = journal.known_id if job.get("asks_host") else None
        core = MimiCore(store=store, send=send, account=None, known_id=known_id)
        host = Host(core=core, journal=journal, kill_point=kill_point)
        host.observe()
        async with core:
            yield host


async def do(job: dict[str, Any]) -> None:
    async with run_host(job) as host:
        work = getattr(host, job["do"])
        async with asyncio.TaskGroup() as accounts:
            for account in job["accounts"]:
                accounts.create_task(work(account))


def live(job: dict[str, Any]) -> None:
    """Run a job: the main function of a forked process."""
    logging.basicConfig(level=logging.DEBUG if job.get("is_loud") else logging.ERROR)
    asyncio.run(do(job), debug=job.get("is_loud"))
