"""The life of a process of these proofs: a host of the SDK, which may have to die at a point on the way."""

import asyncio
import logging
import os
import random
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

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
from mimi_async.stores import DamagedIdentity, IdentityStore, SQLiteStore, StoredIdentity
from mimi_async.transport import Transport

from .journal import Journal
from .relay import Exchange, Relay


@attrs.define
class Death:
    """Where this process ends."""

    point: str | None

    def at(self, point: str) -> None:
        """Die if this is the point."""
        if point == self.point:
            os.kill(os.getpid(), signal.SIGKILL)

    async def on_the_way(self, exchange: Exchange) -> None:
        """Carry an exchange: die when the request has left, or when the reply has come."""
        await exchange.ask()
        self.at(f"{exchange.line} sent")
        reply = await exchange.reply()
        self.at(f"{exchange.line} answered")
        await exchange.deliver(reply)


class MortalStore(IdentityStore):
    """A store in which one may die before and after each write."""

    def __init__(self, inner: IdentityStore, death: Death) -> None:
        self._inner = inner
        self._death = death

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._inner.__aexit__(*exc_info)

    async def load(self, account: str) -> StoredIdentity | None:
        return await self._inner.load(account)

    async def claim(self, account: str, record: StoredIdentity) -> StoredIdentity:
        self._death.at("before claim")
        winner = await self._inner.claim(account, record)
        self._death.at("after claim")
        return winner

    async def replace(
        self, account: str, expected: StoredIdentity | None, new: StoredIdentity
    ) -> StoredIdentity | None:
        self._death.at(f"before {new.state}")
        found = await self._inner.replace(account, expected, new)
        self._death.at(f"after {new.state}")
        return found

    async def forget(self, account: str, expected: StoredIdentity | DamagedIdentity | None) -> StoredIdentity | None:
        self._death.at("before forget")
        found = await self._inner.forget(account, expected)
        self._death.at("after forget")
        return found


@attrs.frozen(kw_only=True)
class Host:
    """A partner's process: its core, the journal that stands for its database, and its death."""

    core: MimiCore
    journal: Journal
    death: Death

    def observe(self) -> None:
        """Be told of updates by three receivers: the one in the middle keeps the id, as the guide asks."""

        def before(*_: object, **__: object) -> None:
            self.death.at("before telling")

        async def keep(
            sender: AuthController, *, current: MimiUser | None, old: MimiUser | None, error: MimiError | None
        ) -> None:
            self.journal.told(sender, current=current, old=old, error=error)
            await asyncio.sleep(0)
            self.death.at("while telling")

        self.core.observe(before)
        self.core.observe(keep)

    async def ensure(self, account: str) -> None:
        """Make sure that there is a user, and say who it is."""
        auth = await self.core.auth_for(account)
        self.journal.write(account, "restored", auth.current_user)
        self.journal.write(account, "ensured", await auth.ensure_user())
        self.death.at("after telling")

    async def restore(self, account: str) -> None:
        """Restore, and say who it is."""
        auth = await self.core.auth_for(account)
        self.journal.write(account, "restored", auth.current_user)

    async def reset(self, account: str) -> None:
        """Have a user, and reset it: the point of death is one of the reset."""
        point, self.death.point = self.death.point, None
        await self.ensure(account)
        self.death.point = point
        auth = await self.core.auth_for(account)
        await auth.reset()
        self.death.at("after telling")

    async def live(self, account: str) -> None:
        """Do one thing after another, until the end comes from outside."""
        auth = await self.core.auth_for(account)
        for _ in range(1000):
            await auth.ensure_user()
            await auth.update_user(year_of_birth=random.randint(1930, 1990))
            if random.random() < 0.3:
                self.journal.write(account, "resetting", auth.current_user)
                await auth.reset()

    async def mingle(self, account: str) -> None:
        """Do this and that while others do so too; what can't be done, since they were faster, is no failure."""
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
async def hosted(job: dict[str, Any]) -> AsyncIterator[Host]:
    """Start the host of a job."""
    death, journal = Death(job.get("point")), Journal(job["journal"])
    credentials = ClientCredentials(job["client_id"], job["secret"])
    async with Relay(job["server"], death.on_the_way) as relay, Transport(relay.url, credentials) as transport:

        async def send(request: wire.Request) -> wire.Reply:
            death.at(f"before {request.method} {request.path}")
            reply = await transport.send(request)
            death.at(f"after {request.method} {request.path}")
            return reply

        store = MortalStore(SQLiteStore(job["store"]), death)
        known_id = journal.known_id if job.get("asks_host") else None
        core = MimiCore(store=store, send=send, account=None, known_id=known_id)
        host = Host(core=core, journal=journal, death=death)
        host.observe()
        async with core:
            yield host


async def do(job: dict[str, Any]) -> None:
    async with hosted(job) as host:
        work = getattr(host, job["do"])
        async with asyncio.TaskGroup() as accounts:
            for account in job["accounts"]:
                accounts.create_task(work(account))


def live(job: dict[str, Any]) -> None:
    """Be the process."""
    logging.basicConfig(level=logging.DEBUG if job.get("is_loud") else logging.ERROR)
    asyncio.run(do(job), debug=job.get("is_loud"))
