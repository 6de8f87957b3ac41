"""A PostgreSQL database for coroutines: a pool of connections, a time limit, and a retry where that is safe."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

import asyncpg

from ...errors import ConfigurationError, MimiError, StoreUnavailableError
from ..affinity import LoopAffinity, not_open
from .address import Address
from .checks import check_loop, check_rows, check_values, check_version, check_writable, may_mix_statements
from .errors import ANY, CONNECTION_LOST, NOT_PRIMARY, is_retryable, translate_error
from .schema import Schema
from .statement import Connection

_T = TypeVar("_T")

Source: TypeAlias = "str | asyncpg.Pool"
"""Where a database is: its address, or a pool of the host."""

_MAX_ATTEMPTS: Final = 5

_log = logging.getLogger(__name__)


class Database:
    """A PostgreSQL database, for one event loop of one process. Entries are counted; the last `close` closes it.

    Args:
        source: Its address, `postgresql://user:password@host:5432/database`: a pool is opened for it and closed at the
            last `close`. Or a pool, which is used and never closed. Where a pooler may mix up prepared statements, the
            own pool names none, and a given pool that names them is refused.
        schema: What the database must hold.
        timeout: Seconds of a call, including the wait for a free connection and further attempts.
        connect_timeout: Seconds to wait for a new connection, and for a pool to close.
        max_connections: The maximum number of connections of an own pool.
    """

    def __init__(
        self,
        source: Source,
        schema: Schema,
        *,
        timeout: float = 10.0,
        connect_timeout: float = 5.0,
        max_connections: int = 10,
    ) -> None:
        self.schema: Schema = schema
        self.timeout: float = timeout
        self.connect_timeout: float = connect_timeout
        self._address = None if isinstance(source, asyncpg.Pool) else Address(source)
        self._max_connections = max_connections
        self._given = source if isinstance(source, asyncpg.Pool) else None
        self._pool: asyncpg.Pool | None = None
        self._is_checked = False
        self._affinity = LoopAffinity(f"the {schema.purpose} in PostgreSQL")
        self._lock = asyncio.Lock()

    async def open(self, *, create: bool = False) -> None:
        """Open the database, or count one more entry.

        Args:
            create: Create the tables where they are missing, and migrate older ones.

        Raises:
            ConfigurationError: The tables are missing, older, or of a newer version than this program; or a pooler may
                mix up the prepared statements of a given pool.
            StoreUnavailableError: It does not answer.
        """
        if self._affinity.enter():
            self._lock, self._pool, self._is_checked = asyncio.Lock(), None, False
        try:
            async with self._lock:
                if not self._is_checked:  # also where the first caller has failed
                    check_loop(self._given, self.schema)
                    self._pool = self._pool or self._given or await self._connect_pool()
                    await self._check(create=create)
                    self._is_checked = True
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Count one entry less; the last closes a pool of its own."""
        if self._affinity.leave() and self._pool is not None:
            pool, self._pool = self._pool, None
            if pool is not self._given:
                await self._close_pool(pool)

    async def run(self, function: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Return what a function of a connection returns. It is called again where the first attempt may be lost.

        Each statement is a transaction, unless the function opens one. Where the caller is cancelled, or the time limit
        passes, it is not known whether the statements took effect, and the connection is closed: the next caller must
        not get their answer.

        Raises:
            StoreUnavailableError: The database does not answer, or no connection was free in time.
            ConfigurationError: The database is open in another event loop or process.
        """
        pool = self.require_pool()
        try:
            async with asyncio.timeout(self.timeout):
                outcome = await self._try(pool, function)
        except TimeoutError:
            msg = f"the {self.schema.purpose} in PostgreSQL did not answer within {self.timeout:g} s"
            outcome = StoreUnavailableError(msg)
        if isinstance(outcome, MimiError):
            raise outcome
        return outcome

    @asynccontextmanager
    async def dedicated_connection(self, address: Address | None = None) -> AsyncIterator[asyncpg.Connection]:
        """Yield a connection to listen on, which is terminated at the end; its errors are the driver's.

        It is a new connection to `address`, or to the address of this database. Without either it is one connection of
        the host's pool, which has one connection less until the end.
        """
        address = address or self._address
        if address is not None:
            connection = await address.connect(self.connect_timeout)
            try:
                yield connection
            finally:
                connection.terminate()
        else:
            pool = self.require_pool()
            connection = await pool.acquire(timeout=self.connect_timeout)
            try:
                yield connection
            finally:
                connection.terminate()
                await pool.release(connection)

    @property
    def location(self) -> str:
        """Where the database is, without user and password."""
        return "a pool" if self._address is None else repr(self._address)

    @property
    def entries(self) -> int:
        """How many times it was opened and not closed yet."""
        return self._affinity.entries

    def require_pool(self) -> asyncpg.Pool:
        """Return the pool.

        Raises:
            NotStartedError: The database is not open.
            ConfigurationError: The database is open in another event loop or process.
        """
        self._affinity.check()
        if self._pool is None:
            raise not_open(self._affinity.what)
        return self._pool

    async def _try(self, pool: asyncpg.Pool, function: Callable[[Connection], Awaitable[_T]]) -> _T | MimiError:
        """Try several times; return our error, so that it is not raised in the context of the driver's."""
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            try:
                return await self._try_once(pool, function)
            except MimiError:
                raise
            except ANY as error:
                failure = translate_error(error, self.schema.purpose)
                if attempt == _MAX_ATTEMPTS or not is_retryable(error):
                    return failure
            await asyncio.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - no secret
        raise AssertionError

    async def _try_once(self, pool: asyncpg.Pool, function: Callable[[Connection], Awaitable[_T]]) -> _T:
        connection = await pool.acquire()
        try:
            check_writable(connection)
            return await function(connection)
        except BaseException as error:
            if not isinstance(error, asyncpg.PostgresError) or isinstance(error, (*CONNECTION_LOST, *NOT_PRIMARY)):
                connection.terminate()
            raise
        finally:
            await pool.release(connection)

    async def _connect_pool(self, **options: int) -> asyncpg.Pool:
        address: Any = self._address
        try:
            return await address.create_pool(self._max_connections, self.connect_timeout, **options)
        except ANY as error:
            failure = translate_error(error, self.schema.purpose)
        raise failure

    async def _close_pool(self, pool: asyncpg.Pool) -> None:
        try:
            async with asyncio.timeout(self.connect_timeout):
                await pool.close()
        except (*ANY, TimeoutError):
            pool.terminate()

    async def _check(self, *, create: bool) -> None:
        schema = self.schema
        if await self.run(may_mix_statements):
            await self._stop_naming_statements()
        await self.run(partial(check_values, schema=schema))
        version = await self.run(schema.read_version)
        if version is None and create:
            await self.run(schema.create)
            _log.warning(
                "the tables of the %s were missing in %s: they were created, empty", schema.purpose, self.location
            )
            version = await self.run(schema.read_version)
        if version is not None:
            await self.run(partial(check_rows, schema=schema))
            if version < schema.version and create:
                version = await self.run(schema.migrate)
        check_version(version, schema)

    async def _stop_naming_statements(self) -> None:
        """Replace the own pool by one without named statements: a statement takes two round trips instead of one."""
        if self._pool is self._given or self._pool is None:
            msg = (
                f"the pool of the {self.schema.purpose} leads to a connection pooler that may mix up the prepared"
                " statements of its clients; nothing was changed: create the pool with statement_cache_size=0, or set"
                " max_prepared_statements in PgBouncer 1.21 or newer"
            )
            raise ConfigurationError(msg)
        pool, self._pool = self._pool, await self._connect_pool(statement_cache_size=0)
        await self._close_pool(pool)
