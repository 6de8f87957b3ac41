"""The database as coroutines see it: a pool of connections, a deadline, and another try where that is safe."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias, TypeVar

import asyncpg

from ..errors import ConfigurationError, MimiError, StoreUnavailableError
from ..home import Home
from .address import CONNECT_SECONDS, Address
from .checks import check_rows, check_values
from .connection import Connection
from .failures import ANY, ELSEWHERE, FLEETING, HOPELESS, LOST, is_missing, translated, unanswered
from .schema import Schema

_T = TypeVar("_T")

Source: TypeAlias = "str | asyncpg.Pool"
"""Where a database is: its address, or a pool of the host's."""


_MOST_TRIES: Final = 5


class Database:
    """A PostgreSQL database, for one event loop of one process. Entered as often as it is left.

    Args:
        source: Its address, `postgresql://user:password@host:5432/database`: a pool is opened for it and closed at the
            last leaving. Or a pool, which is only used: it belongs to who made it.
        schema: What it must hold.
        seconds: How long to wait for it, a free connection and further tries included.
        most: Connections of an own pool, at most.
    """

    def __init__(self, source: Source, schema: Schema, *, seconds: float = 10.0, most: int = 10) -> None:
        self.schema = schema
        self.seconds = seconds
        self._address = None if isinstance(source, asyncpg.Pool) else Address(source)
        self._most = most
        self._given = source if isinstance(source, asyncpg.Pool) else None
        self._pool: asyncpg.Pool | None = None
        self._is_checked = False
        self._home = Home(f"the {schema.purpose} in PostgreSQL")
        self._door = asyncio.Lock()

    async def open(self, *, make: bool = False) -> None:
        """Open it, or count one more entry.

        Args:
            make: Make the tables where they are missing.

        Raises:
            ConfigurationError: The tables are missing, or of a newer version than this program.
            StoreUnavailableError: It does not answer.
        """
        if self._home.enter():
            self._door, self._pool, self._is_checked = asyncio.Lock(), None, False
        try:
            async with self._door:
                if not self._is_checked:  # also where whoever came first has failed
                    self._pool = self._pool or self._given or await self._connected()
                    await self._check(make=make)
                    self._is_checked = True
        except BaseException:
            await self._leave()
            raise

    async def close(self) -> None:
        """Count one entry less; the last closes a pool of its own."""
        await self._leave()

    async def run(self, work: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Return what statements on one connection come to. They are run again where the first try may have been lost.

        A statement stands for itself; several are one where the work opens a transaction. Where the caller is
        cancelled, or the deadline comes, it is not known whether they took effect, and the connection is closed:
        an answer that is still on its way must not be the next caller's.

        Raises:
            StoreUnavailableError: It does not answer, or no connection was free in time.
            ConfigurationError: It was opened elsewhere.
        """
        pool = self.opened()
        try:
            async with asyncio.timeout(self.seconds):
                outcome = await self._tried(pool, work)
        except TimeoutError:
            outcome = unanswered(self.schema.purpose, self.seconds)
        if isinstance(outcome, MimiError):
            raise outcome
        return outcome

    async def make(self) -> None:
        """Make the tables where they are missing; safe from many processes at once.

        Raises:
            StoreUnavailableError: It does not answer, or this user may not make them.
        """
        await self.run(self._made)

    @asynccontextmanager
    async def line(self, address: Address | None = None) -> AsyncIterator[asyncpg.Connection]:
        """Lend a connection to listen on, which is cut off at the end; its errors are the driver's.

        It is a connection of its own, to `address`, or to where the database is. Where that is known to the host's pool
        alone, it is one of the pool's, which lacks it meanwhile.
        """
        address = address or self._address
        if address is not None:
            connection = await address.connect()
            try:
                yield connection
            finally:
                connection.terminate()
        else:
            pool = self.opened()
            connection = await pool.acquire(timeout=CONNECT_SECONDS)
            try:
                yield connection
            finally:
                connection.terminate()
                await pool.release(connection)

    @property
    def place(self) -> str:
        """Where it is, as far as it may be shown."""
        return "a pool" if self._address is None else repr(self._address)

    @property
    def entries(self) -> int:
        """How often it was opened, and not closed yet."""
        return self._home.entries

    def opened(self) -> asyncpg.Pool:
        """Return the pool.

        Raises:
            StoreUnavailableError: It is not open.
            ConfigurationError: It was opened elsewhere.
        """
        self._home.check()
        if self._pool is None:
            msg = f"the {self.schema.purpose} in PostgreSQL is not open"
            raise StoreUnavailableError(msg)
        return self._pool

    async def _tried(self, pool: asyncpg.Pool, work: Callable[[Connection], Awaitable[_T]]) -> _T | MimiError:
        """Try, and return an error of ours instead of raising it amid those of the driver."""
        for attempt in range(1, _MOST_TRIES + 1):
            try:
                return await self._once(pool, work)
            except MimiError:
                raise
            except ANY as error:
                failure = translated(error, self.schema.purpose)
                is_worth_it = isinstance(error, (*FLEETING, *LOST, *ELSEWHERE)) and not isinstance(error, HOPELESS)
                if attempt == _MOST_TRIES or not is_worth_it:
                    return failure
            await asyncio.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - no secret
        raise AssertionError

    async def _once(self, pool: asyncpg.Pool, work: Callable[[Connection], Awaitable[_T]]) -> _T:
        connection = await pool.acquire()
        try:
            _check_writable(connection)
            return await work(connection)
        except BaseException as error:
            if not isinstance(error, asyncpg.PostgresError) or isinstance(error, (*LOST, *ELSEWHERE)):
                connection.terminate()
            raise
        finally:
            await pool.release(connection)

    async def _connected(self) -> asyncpg.Pool:
        address: Any = self._address
        try:
            return await asyncpg.create_pool(
                address.reveal(),
                min_size=0,  # who keeps one open tries in the background, and logs what it meets there
                max_size=self._most,
                timeout=CONNECT_SECONDS,
                reset=_leave_as_it_is,
                **address.extras,
            )
        except ANY as error:
            failure = translated(error, self.schema.purpose)
        raise failure

    async def _check(self, *, make: bool) -> None:
        version = await self.run(self._version)
        if version is None and make:
            await self.make()
            version = await self.run(self._version)
        if version is None:
            msg = f"the tables of the {self.schema.purpose} are not in this database: {self.schema.remedy}"
            raise ConfigurationError(msg)
        await self.run(self._checked)
        if version > self.schema.version:
            msg = (
                f"the tables of the {self.schema.purpose} are of version {version}, this program knows "
                f"{self.schema.version}: update mimi-async; nothing was changed"
            )
            raise ConfigurationError(msg)

    async def _version(self, connection: Connection) -> int | None:
        try:
            version: int | None = await connection.fetchval(self.schema.select_version)
        except asyncpg.PostgresError as error:
            if not is_missing(error):
                raise
            return None
        return version

    async def _checked(self, connection: Connection) -> None:
        await check_values(connection, self.schema)
        await check_rows(connection, self.schema)

    async def _made(self, connection: Connection) -> None:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(hashtext($1))", self.schema.name)
            for statement in self.schema.ddl:
                await connection.execute(statement)

    async def _leave(self) -> None:
        if self._home.leave() and self._pool is not None:
            pool, self._pool = self._pool, None
            if pool is not self._given:
                await _close(pool)


def _check_writable(connection: Any) -> None:
    """Ask nothing of a replica that says so: one that lags behind would say "nothing stored". See `whole`, too."""
    if getattr(connection.get_settings(), "in_hot_standby", "off") == "on":
        raise asyncpg.ReadOnlySQLTransactionError


async def _leave_as_it_is(_: object) -> None:
    """Nothing here changes the state of a session: no round trip is spent on putting it back."""


async def _close(pool: asyncpg.Pool) -> None:
    """Close politely, but not for ever."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await pool.close()
    except (*ANY, TimeoutError):
        pool.terminate()
