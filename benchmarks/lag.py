"""How long one callback holds the event loop."""

import asyncio
import contextlib
import gc
import itertools
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from mimi_async import MimiCore
from mimi_async.stores import SQLiteStore

from .accounts import at_once, many_accounts
from .harness import Batch, Line, Measure, Scale
from .restores import restore
from .server import CREDENTIALS, reference_server

_FSYNC = 0.050


class _SlowConnection(sqlite3.Connection):
    """A connection to a slow disk: each commit takes 50 ms more, without the interpreter lock, as fsync does."""

    commits = 0

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql == "COMMIT":
            type(self).commits += 1
            time.sleep(_FSYNC)
        return super().execute(sql, *parameters)


async def lag(scale: Scale) -> AsyncIterator[Line]:
    """The longest callback of a round: 64 restores at once, and 64 creations at once over a slow disk."""
    async with many_accounts(scale.of(2_000, least=64)) as accounts:
        async for line in _measure(scale, "64 restores at once", partial(restore, accounts)):
            yield line
    with tempfile.TemporaryDirectory() as name, mock.patch("sqlite3.connect", _connect_slowly):
        async with reference_server(Path(name)) as url:
            files = (Path(name, f"{number}.sqlite3") for number in itertools.count())
            _SlowConnection.commits = 0
            create = partial(_create, url, files, scale.of(640, least=64))
            async for line in _measure(scale, "64 creations at once, fsync takes 50 ms", create):
                yield line
    assert _SlowConnection.commits, "the store commits in another way: the disk was not slow"


async def _measure(scale: Scale, what: str, measure: Measure) -> AsyncIterator[Line]:
    longest, collecting = [], []
    for _ in range(scale.rounds):
        with _timed_collections() as collections, _timed_callbacks(collections) as durations:
            seconds = 0.0
            while not seconds or seconds < scale.seconds:
                seconds += (await measure())[0]
        longest.append(max(durations))
        collecting.append(max(collections, default=0.0))
    yield Line(what=f"longest callback in the loop, {what}", ours=longest, goal=0.005, moonshot=0.002, kind="seconds")
    yield Line(what=f"longest run of the garbage collector, {what}", ours=collecting, kind="seconds")


@contextlib.contextmanager
def _timed_callbacks(collections: list[float]) -> Iterator[list[float]]:
    """Time each callback of the event loop: those of aiohttp and of the benchmark too, and what the machine adds.

    The garbage collector runs at the allocation of any code, and takes time for all objects of the process: it has a
    line of its own.
    """
    durations: list[float] = []
    run = asyncio.Handle._run  # noqa: SLF001 - the loop calls it for every callback

    def timed(handle: asyncio.Handle) -> None:
        start, before = time.perf_counter(), len(collections)
        run(handle)
        durations.append(time.perf_counter() - start - sum(collections[before:]))

    with mock.patch.object(asyncio.Handle, "_run", timed):
        yield durations


@contextlib.contextmanager
def _timed_collections() -> Iterator[list[float]]:
    """Time each run of the garbage collector."""
    durations: list[float] = []
    started = 0.0

    def note(phase: str, _: object) -> None:
        nonlocal started
        if phase == "start":
            started = time.perf_counter()
        else:
            durations.append(time.perf_counter() - started)

    gc.callbacks.append(note)
    try:
        yield durations
    finally:
        gc.callbacks.remove(note)


def _connect_slowly(*arguments: Any, **options: Any) -> sqlite3.Connection:
    return _connect(*arguments, factory=_SlowConnection, **options)


_connect = sqlite3.connect


async def _create(url: str, files: Iterator[Path], count: int) -> Batch:
    async with MimiCore(CREDENTIALS, server=url, store=SQLiteStore(next(files)), account=None) as core:

        async def create(account: str) -> None:
            await (await core.auth_for(account)).ensure_user()

        return await at_once(create, [f"account-{number}" for number in range(count)])
