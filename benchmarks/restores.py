"""Restores: many at once, and the one at the start of an app."""

import base64
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from functools import partial

import aiohttp

from .accounts import Accounts, at_once, many_accounts
from .harness import Line, Scale, in_turn
from .server import CREDENTIALS

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON", "cell_size_check=ON")
BASIC = "Basic " + base64.b64encode(f"{CREDENTIALS.client_id}:{CREDENTIALS.secret.reveal()}".encode()).decode()
_HEADERS = {"Authorization": BASIC}


async def restores(scale: Scale) -> AsyncIterator[Line]:
    """Restores in a second, 64 at once."""
    async with many_accounts(scale.of(5_000, least=64)) as accounts:
        ours, theirs = await in_turn(partial(_restore, accounts), partial(_log_in, accounts), scale.pairs)
    yield Line(
        what=f"restores/s, {len(accounts.ids):,} accounts, 64 at once",
        against="a bare aiohttp loop",
        ours=ours,
        theirs=theirs,
        goal=0.80,
        moonshot=1.0,
        kind="rate",
    )


async def _restore(accounts: Accounts) -> float:
    async with accounts.core() as core:
        return await at_once(core.auth_for, accounts.ids) / len(accounts.ids)


async def _log_in(accounts: Accounts) -> float:
    url = f"{accounts.url}/v1/sessions"
    async with aiohttp.ClientSession() as session:

        async def log_in(account: str) -> None:
            async with session.post(url, json={"anonymous_id": accounts.ids[account]}, headers=_HEADERS) as reply:
                await reply.json()

        return await at_once(log_in, accounts.ids) / len(accounts.ids)


async def start(scale: Scale) -> AsyncIterator[Line]:
    """The start with a stored id: everything cold, until the gate is open."""
    async with many_accounts(1) as accounts:
        ours, theirs = await in_turn(partial(_start, accounts), partial(_start_by_hand, accounts), 5 * scale.pairs)
    yield Line(
        what="start with a stored id",
        against="a session, a POST, a SQLite read",
        ours=ours,
        theirs=theirs,
        goal=1.5,
        moonshot=1.15,
        kind="time",
    )


async def _start(accounts: Accounts) -> float:
    begun = time.perf_counter()
    async with accounts.core(next(iter(accounts.ids))) as core:
        ended = time.perf_counter()
        assert core.auth.gate.is_open
    return ended - begun


async def _start_by_hand(accounts: Accounts) -> float:
    account = next(iter(accounts.ids))
    begun = time.perf_counter()
    with contextlib.closing(sqlite3.connect(accounts.database, isolation_level=None)) as connection:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        select = "SELECT secret FROM identities WHERE account = ?"
        (anonymous_id,) = connection.execute(select, (account,)).fetchone()
        async with aiohttp.ClientSession() as session:
            url, body = f"{accounts.url}/v1/sessions", {"anonymous_id": anonymous_id}
            async with session.post(url, json=body, headers=_HEADERS) as reply:
                user = (await reply.json())["user"]
            ended = time.perf_counter()
    assert user["is_anonymous"]
    return ended - begun
