"""The load: visitors, and a load balancer in front of the workers."""

import asyncio
import itertools
import random
from collections.abc import Sequence

import aiohttp

TIMEOUT = 20.0
"""Seconds after which a visit fails."""


class Balancer:
    """Send each visit to the workers in turn until one of them answers with 200.

    Args:
        urls: The addresses of the workers; may change at any time.
    """

    def __init__(self, urls: Sequence[str]) -> None:
        self.urls = list(urls)
        self.answered = 0
        self.passed_on = 0
        self.failed = 0
        self._next = itertools.count()

    async def request_user(self, session: aiohttp.ClientSession, account: str) -> str | None:
        """Return the id of the account's user; None if no worker answers in time."""
        try:
            async with asyncio.timeout(TIMEOUT):
                while True:
                    user = await self._try_worker(session, account)
                    if user is not None:
                        self.answered += 1
                        return user
                    self.passed_on += 1
                    await asyncio.sleep(0.02)
        except TimeoutError:
            self.failed += 1
            return None

    async def _try_worker(self, session: aiohttp.ClientSession, account: str) -> str | None:
        url = self.urls[next(self._next) % len(self.urls)]
        try:
            async with session.post(f"{url}/visits/{account}") as response:
                if response.status != 200:
                    return None
                user: str = (await response.json())["user"]
                return user
        except aiohttp.ClientError:
            return None  # the worker restarts


async def run_visitors(
    stopped: asyncio.Event, balancer: Balancer, accounts: Sequence[str], visitors: int
) -> dict[str, set[str]]:
    """Visit random accounts, each at least once, until stopped; return the users seen for each account."""
    seen: dict[str, set[str]] = {account: set() for account in accounts}
    first = iter(random.sample(accounts, len(accounts)))

    async def visitor(session: aiohttp.ClientSession) -> None:
        while (account := next(first, None)) is not None or not stopped.is_set():
            account = account or random.choice(accounts)  # noqa: S311 - no secret
            user = await balancer.request_user(session, account)
            seen[account] |= {user} if user else set()

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(visitor(session) for _ in range(visitors)))
    return seen
