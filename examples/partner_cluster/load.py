"""Visitors, and the balancer in front of the workers, as they are met in any data centre."""

import asyncio
import itertools
import random
from collections.abc import Sequence

import aiohttp

PATIENCE = 20.0
"""Seconds after which a person gives up."""


class Balancer:
    """Passes each visit to one worker after another, until one of them lets the person in.

    Args:
        urls: Of the workers; may change while visits are under way.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self.urls = list(urls)
        self.answered = 0
        self.passed_on = 0
        self.failed = 0
        self._turn = itertools.count()

    async def visit(self, session: aiohttp.ClientSession, account: str) -> str | None:
        """Return the id of the account's user, None where no worker let the person in in time."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    user = await self._asked(session, account)
                    if user is not None:
                        self.answered += 1
                        return user
                    self.passed_on += 1
                    await asyncio.sleep(0.02)
        except TimeoutError:
            self.failed += 1
            return None

    async def _asked(self, session: aiohttp.ClientSession, account: str) -> str | None:
        url = self.urls[next(self._turn) % len(self.urls)]
        try:
            async with session.post(f"{url}/visits/{account}") as response:
                if response.status != 200:
                    return None
                user: str = (await response.json())["user"]
                return user
        except aiohttp.ClientError:
            return None  # it is being restarted


async def visit_until(
    stopped: asyncio.Event, balancer: Balancer, accounts: Sequence[str], visitors: int
) -> dict[str, set[str]]:
    """Let so many people at once visit random accounts, each account once at least; return whom they met there."""
    met: dict[str, set[str]] = {account: set() for account in accounts}
    first = iter(random.sample(accounts, len(accounts)))

    async def visitor(session: aiohttp.ClientSession) -> None:
        while (account := next(first, None)) is not None or not stopped.is_set():
            account = account or random.choice(accounts)  # noqa: S311 - no secret
            user = await balancer.visit(session, account)
            met[account] |= {user} if user else set()

    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as people:
        for _ in range(visitors):
            people.create_task(visitor(session))
    return met
