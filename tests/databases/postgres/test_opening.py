"""The checks of a PostgreSQL database before its answers are used: its address, version, rows."""

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import asyncpg
import attrs
import pytest

from mimi_async.databases.postgres import Database
from mimi_async.errors import ConfigurationError, MimiError, NotStartedError, StoreUnavailableError

from ...postgres_server import Postgres
from .numbers import COUNT, INSERT, NUMBERS, open_numbers

UNKNOWN = r"has an option that is unknown or has a wrong value: .* such as connect_timeout"


@pytest.fixture
async def dsn(postgres: Postgres) -> str:
    """The address of a database with one number."""
    dsn = postgres.make_database()
    async with open_numbers(dsn) as database:
        await database.run(lambda connection: connection.execute(INSERT, 7))
    return dsn


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(dsn, min_size=0) as pool:
        yield pool


async def count(database: Database) -> int:
    await database.open()
    try:
        numbers: int = await database.run(lambda connection: connection.fetchval(COUNT))
    finally:
        await database.close()
    return numbers


async def test_new_tables_are_logged_once_with_their_database(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    dsn = postgres.make_database()
    for _ in range(2):
        async with open_numbers(dsn):
            pass
    (logged,) = [record for record in caplog.records if record.name == "mimi_async.databases.postgres.database"]
    assert logged.levelname == "WARNING"
    assert logged.getMessage().endswith(f"/{dsn.rpartition('/')[2]}: they were created, empty")


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


async def test_the_driver_reads_an_address_as_this_library_does(postgres: Postgres, dsn: str, closed_port: int) -> None:
    name, user = dsn.rpartition("/")[2], "postgres:h%23%2F%40sh"
    for address in (
        f"postgresql://{user}@127.0.0.1:{closed_port},127.0.0.1:{postgres.port}/{name}",
        f"postgres://{user}@127.0.0.1:{postgres.port}/{name}?target_session_attrs=primary&application_name=me",
        f"postgresql:///{name}?host=127.0.0.1&port={postgres.port}&user=postgres",
        f"postgresql://{user}@%31%32%37.0.0.1:{postgres.port}/{name}",
    ):
        assert await count(Database(address, NUMBERS)) == 1


@pytest.mark.parametrize("is_pool", [False, True], ids=["address", "pool"])
async def test_callers_that_wait_while_another_is_refused_are_refused_as_well(
    postgres: Postgres, dsn: str, pool: asyncpg.Pool, is_pool: bool
) -> None:
    postgres.execute("UPDATE numbers.version SET version = 2", dsn.rpartition("/")[2])
    database = Database(pool if is_pool else dsn, NUMBERS)
    entries = (database.open() for _ in range(3))
    refused = await asyncio.gather(*entries, return_exceptions=True)
    assert [type(each) for each in refused] == [ConfigurationError] * 3
    with pytest.raises(NotStartedError, match="is not open"):
        await database.run(lambda connection: connection.fetchval(COUNT))
    postgres.execute("UPDATE numbers.version SET version = 1", dsn.rpartition("/")[2])
    assert await count(database) == 1


async def test_a_caller_that_waits_while_another_is_cancelled_checks_again(
    postgres: Postgres, dsn: str, pool: asyncpg.Pool
) -> None:
    postgres.execute("UPDATE numbers.version SET version = 2", dsn.rpartition("/")[2])
    database = Database(pool, NUMBERS)
    first, second = (asyncio.create_task(database.open()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(ConfigurationError, match="are of version 2"):
        await second
    assert (first.cancelled(), database.entries) == (True, 0)


async def test_a_table_whose_rows_are_hidden_is_not_taken_for_an_empty_one(postgres: Postgres, dsn: str) -> None:
    reader = f"r{uuid.uuid4().hex}"
    postgres.execute(
        f"CREATE ROLE {reader} LOGIN; GRANT USAGE ON SCHEMA numbers TO {reader};"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA numbers TO {reader}",
        dsn.rpartition("/")[2],
    )
    database = Database(dsn.replace("postgres@", f"{reader}@"), NUMBERS)
    assert await count(database) == 1
    postgres.execute("ALTER TABLE numbers.numbers ENABLE ROW LEVEL SECURITY", dsn.rpartition("/")[2])
    with pytest.raises(ConfigurationError, match=r"hides rows of the box of numbers from this user: .*BYPASSRLS"):
        await count(database)
    postgres.execute(f"ALTER ROLE {reader} BYPASSRLS")
    assert await count(database) == 1


@pytest.mark.parametrize(
    ("option", "kind", "message"),
    [
        ("port={closed_port}", StoreUnavailableError, "is not available: it can't be reached: check that it runs"),
        ("connect_timeout=5", ConfigurationError, UNKNOWN),
        ("statement_timeout=soon", ConfigurationError, UNKNOWN),
        ("data_directory=mine", ConfigurationError, UNKNOWN),
        ("sslmode=perhaps", ConfigurationError, UNKNOWN),
        ("target_session_attrs=mine", ConfigurationError, UNKNOWN),
    ],
)
async def test_an_error_that_would_repeat_is_met_once(
    postgres: Postgres, closed_port: int, option: str, kind: type[MimiError], message: str
) -> None:
    attempts = []

    async def connect(*args: Any, **settings: Any) -> asyncpg.Connection:
        attempts.append(args)
        return await asyncpg.connect(*args, **settings)

    address = f"postgresql:///postgres?user=postgres&host=127.0.0.1&{option.format(closed_port=closed_port)}"
    address += "" if "port" in option else f"&port={postgres.port}"
    for source in (asyncpg.create_pool(address, min_size=0, connect=connect), address):
        if isinstance(source, asyncpg.Pool):
            await source
        with pytest.raises(kind, match=message) as caught:
            await Database(source, NUMBERS).open()
        assert caught.value.__context__ is None
    assert len(attempts) == 1


@pytest.mark.parametrize(
    ("kind", "encoder", "decoder"),
    [
        ("float8", str, Decimal),
        ("float8", lambda _: 1 / 0, float),
        ("bytea", lambda value: value.hex(), lambda text: text),
        ("text", lambda value: value, str.upper),
        ("bool", str, str),
        ("int8", str, str),
    ],
)
async def test_a_pool_that_converts_values_in_another_way_is_refused(
    dsn: str, kind: str, encoder: Callable[[Any], str], decoder: Callable[[str], Any]
) -> None:
    async def set_codec(connection: asyncpg.Connection) -> None:
        await connection.set_type_codec(kind, encoder=encoder, decoder=decoder, schema="pg_catalog")

    async with asyncpg.create_pool(dsn, min_size=0, init=set_codec) as pool:
        with pytest.raises(
            ConfigurationError, match="the connections of the box of numbers have type codecs of their own"
        ):
            await count(Database(pool, NUMBERS))


async def test_a_pool_of_another_event_loop_is_refused(dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=1) as pool:
        with pytest.raises(ConfigurationError, match="belongs to another event loop: create one in the loop that"):
            await asyncio.to_thread(asyncio.run, count(Database(pool, NUMBERS)))
        assert await count(Database(pool, NUMBERS)) == 1


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "EUC_JP", "SQL_ASCII", "EUC_TW"])
async def test_an_encoding_other_than_utf8_is_refused(dsn: str, encoding: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=0, server_settings={"client_encoding": encoding}) as pool:
        for source in (pool, f"{dsn}?client_encoding={encoding}"):
            with pytest.raises(ConfigurationError, match="client_encoding"):
                await count(Database(source, NUMBERS))


@pytest.mark.parametrize("name", ["user", "select", "pg_numbers"])
async def test_a_schema_that_is_named_by_a_reserved_word_is_refused(postgres: Postgres, name: str) -> None:
    schema = attrs.evolve(NUMBERS, name=name)
    with pytest.raises(ConfigurationError, match="its schema is a reserved word of PostgreSQL"):
        await Database(postgres.make_database(), schema).open(create=True)
