"""What is PostgreSQL's own: its constraints, its locks, and answers that are lost on the way."""

import asyncio
import datetime as dt
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from examples.partner_cluster.postgres import Postgres
from mimi_async.identity import CreateKey
from mimi_async.server import postgres_schema as schema
from mimi_async.server.keyfile import from_environment
from mimi_async.server.postgres import PostgresUserBook
from mimi_async.server.users import DEV_CLIENT, Caller, Candidate, Member, Refusal, Submission
from mimi_async.wire import service

from .client import PlainClient, a_key, a_test
from .on_postgres import ENVIRON, PostgresIdentityServer

BOOKS = ["postgresql"]
KEYS = from_environment(ENVIRON)
assert KEYS is not None
ACME = Caller("acme-player", b"s" * 32)
TABLES = ("clients", "key_checks", "users", "hearing_tests", "version")


def a_candidate() -> Candidate:
    assert KEYS is not None
    key = CreateKey(a_key())
    return Candidate(KEYS, key, KEYS.create_digest(key))


def a_result() -> Any:
    test = service.read_new_test(json.dumps(a_test()).encode())
    return type(test)(
        id=secrets.token_hex(16),
        taken_at=dt.datetime.now(dt.UTC),
        calibrated=test.calibrated,
        left=test.left,
        right=test.right,
    )


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    return postgres.make_database()


@pytest.fixture
async def users(dsn: str) -> AsyncIterator[PostgresUserBook]:
    book = PostgresUserBook(dsn)
    await book.open()
    assert await book.add_client("acme", ACME.client_id, ACME.secret_digest)
    yield book
    await book.close()


@pytest.fixture
async def other(dsn: str) -> AsyncIterator[Any]:
    """A connection of somebody else."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def a_user(users: PostgresUserBook) -> str:
    member = await users.create(ACME, a_candidate(), may_make=True)
    assert isinstance(member, Member)
    return member.profile.id


async def until_it_waits(other: Any) -> None:
    """Return once somebody waits for a lock."""
    while not await other.fetchval(  # noqa: ASYNC110 - a lock sets no event
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())"
    ):
        await asyncio.sleep(0.01)


async def until_it_waits_or_ends(other: Any, task: "asyncio.Task[Any]") -> None:
    await asyncio.wait([task, asyncio.create_task(until_it_waits(other))], return_when=asyncio.FIRST_COMPLETED)


def losing_the_first_answer(users: PostgresUserBook, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the connection break after the next work was done, and before its answer came."""
    run = users._database.run
    lost: list[str] = []

    async def lossy(work: Callable[[Any], Awaitable[Any]]) -> Any:
        async def once(connection: Any) -> Any:
            answer = await work(connection)
            if not lost:
                lost.append("this answer")
                raise ConnectionResetError
            return answer

        return await run(once)

    monkeypatch.setattr(users._database, "run", lossy)


async def test_a_creation_whose_answer_was_lost_is_new_all_the_same(
    users: PostgresUserBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing_the_first_answer(users, monkeypatch)
    candidate = a_candidate()
    member = await users.create(ACME, candidate, may_make=True)
    assert isinstance(member, Member)
    assert (member.is_new, member.profile.id) == (True, candidate.user_id)
    replay = await users.create(ACME, a_replay(candidate), may_make=True)
    assert isinstance(replay, Member)
    assert (replay.is_new, replay.profile.id) == (False, candidate.user_id)


def a_replay(candidate: Candidate) -> Candidate:
    return Candidate(candidate._keys, candidate._create_key, candidate.create_digest)


async def test_an_erasure_whose_answer_was_lost_is_done(
    users: PostgresUserBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = await a_user(users)
    losing_the_first_answer(users, monkeypatch)
    assert await users.erase(user_id) is None
    assert await users.erase(user_id) is Refusal.TOKEN


async def test_a_test_whose_answer_was_lost_is_new_and_kept_once(
    users: PostgresUserBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id, test = await a_user(users), a_result()
    losing_the_first_answer(users, monkeypatch)
    submission = await users.add_test(user_id, b"k" * 32, test)
    assert isinstance(submission, Submission)
    assert (submission.is_new, submission.test) == (True, test)
    replay = await users.add_test(user_id, b"k" * 32, a_result())
    assert isinstance(replay, Submission)
    assert (replay.is_new, replay.test) == (False, test)


async def test_a_client_whose_answer_was_lost_is_added(
    users: PostgresUserBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    losing_the_first_answer(users, monkeypatch)
    assert await users.add_client("acme", "acme-radio", b"r" * 32)
    assert not await users.add_client("acme", "acme-radio", b"q" * 32)


async def test_mimi_dev_is_never_added_beside_a_client_that_comes_at_the_same_moment(
    users: PostgresUserBook, other: Any
) -> None:
    await other.execute(schema.REMOVE_CLIENT, ACME.client_id)
    async with other.transaction():
        await other.execute(schema.ADD_CLIENT, "first", "acme", b"f" * 32)
        adding = asyncio.create_task(users.add_first_client("mimi-dev", DEV_CLIENT.client_id, b"d" * 32))
        await until_it_waits_or_ends(other, adding)
    assert not await adding
    assert await users.clients() == ["first"]


async def test_a_client_takes_the_place_of_a_mimi_dev_that_comes_at_the_same_moment(
    users: PostgresUserBook, other: Any
) -> None:
    await other.execute(schema.REMOVE_CLIENT, ACME.client_id)
    async with other.transaction():
        await other.execute(schema.ADD_FIRST_CLIENT, DEV_CLIENT.client_id, "mimi-dev", b"d" * 32)
        adding = asyncio.create_task(users.add_client("acme", "first", b"f" * 32))
        await until_it_waits_or_ends(other, adding)
    assert await adding
    assert await users.clients() == ["first"]


async def test_mimi_dev_is_added_once(users: PostgresUserBook, other: Any) -> None:
    await other.execute(schema.REMOVE_CLIENT, ACME.client_id)
    adding = (users.add_first_client("mimi-dev", DEV_CLIENT.client_id, b"d" * 32) for _ in range(5))
    assert sorted(await asyncio.gather(*adding)) == [False] * 4 + [True]


async def test_a_test_that_meets_an_erasure_is_refused(users: PostgresUserBook, other: Any) -> None:
    user_id = await a_user(users)
    async with other.transaction():
        await other.execute(schema.ERASE_USER, bytes.fromhex(user_id))
        adding = asyncio.create_task(users.add_test(user_id, b"k" * 32, a_result()))
        await until_it_waits(other)
    assert await adding is Refusal.TOKEN


async def test_an_erasure_that_meets_a_test_takes_it_along(users: PostgresUserBook, other: Any) -> None:
    user_id = await a_user(users)
    await users.add_test(user_id, b"k" * 32, a_result())
    async with other.transaction():
        await other.execute(
            "INSERT INTO mimi_server.hearing_tests SELECT user_id, $1, $2, taken_at, calibrated, left_250, left_500,"
            "left_1000, left_2000, left_4000, left_8000, right_250, right_500, right_1000, right_2000, right_4000,"
            "right_8000 FROM mimi_server.hearing_tests",
            secrets.token_hex(16),
            b"l" * 32,
        )
        erasing = asyncio.create_task(users.erase(user_id))
        await until_it_waits(other)
    assert await erasing is None
    assert await other.fetchval("SELECT count(*) FROM mimi_server.hearing_tests") == 0


async def test_two_creations_of_one_user_at_the_same_moment_agree(users: PostgresUserBook, other: Any) -> None:
    candidate = a_candidate()
    async with other.transaction():
        row = (candidate.create_digest, candidate.id_digest("acme"), bytes(16), 0)
        await other.execute(schema.MAKE_USER, ACME.client_id, ACME.secret_digest, "acme", *row)
        creating = asyncio.create_task(users.create(ACME, candidate, may_make=True))
        await until_it_waits(other)
    member = await creating
    assert isinstance(member, Member)
    assert (member.is_new, member.profile.id) == (False, bytes(16).hex())


async def test_the_first_keys_of_a_database_win(users: PostgresUserBook) -> None:
    ours, theirs = {"id_key": b"a" * 32, "pepper": b"b" * 32}, {"id_key": b"c" * 32, "pepper": b"d" * 32}
    assert await users.check_values() == {}
    kept = await asyncio.gather(*(users.keep_check_values(values) for values in (ours, theirs) * 5))
    assert kept[0] in (ours, theirs)
    assert kept == [kept[0]] * 10
    assert await users.check_values() == kept[0]


PERSONAL = [
    "INSERT INTO mimi_server.users VALUES ('Ada Lovelace', '{digest}', '{digest}')",
    "INSERT INTO mimi_server.users VALUES ('ada@example.org', '{digest}', '{digest}')",
    "INSERT INTO mimi_server.users VALUES ('acme', 'Ada', '{digest}')",
    "INSERT INTO mimi_server.users VALUES ('acme', '{digest}', 'Ada')",
    "UPDATE mimi_server.users SET user_id = 'Ada'",
    "UPDATE mimi_server.users SET user_id = '\\x00'",
    "UPDATE mimi_server.users SET created_at = 'Ada'",
    "UPDATE mimi_server.users SET year_of_birth = 'Ada'",
    "UPDATE mimi_server.users SET year_of_birth = 1815",
    "UPDATE mimi_server.users SET sex = 'Ada'",
    "UPDATE mimi_server.users SET user_id = NULL",
    "UPDATE mimi_server.users SET created_at = NULL, user_id = NULL, year_of_birth = 1980",
    "UPDATE mimi_server.hearing_tests SET test_id = 'Ada'",
    "UPDATE mimi_server.hearing_tests SET test_id = 'zdazdazdazdazdazdazdazdazdazdazda'",
    "UPDATE mimi_server.hearing_tests SET key_digest = 'Ada'",
    "UPDATE mimi_server.hearing_tests SET taken_at = 'Ada'",
    "UPDATE mimi_server.hearing_tests SET calibrated = 'Ada'",
    "UPDATE mimi_server.hearing_tests SET left_250 = 'Ada'",
    "UPDATE mimi_server.hearing_tests SET left_250 = 'NaN'",
    "UPDATE mimi_server.hearing_tests SET right_8000 = 121",
    "UPDATE mimi_server.hearing_tests SET user_id = '\\xffffffffffffffffffffffffffffffff'",
    "UPDATE mimi_server.clients SET partner = 'Ada Lovelace'",
    "UPDATE mimi_server.clients SET client_id = 'ada@example.org'",
    "UPDATE mimi_server.clients SET secret_digest = 'Ada'",
    "INSERT INTO mimi_server.key_checks VALUES ('Ada', '{digest}')",
]


async def test_no_column_can_name_a_person(users: PostgresUserBook, other: Any) -> None:
    user_id = await a_user(users)
    for statement in sorted(PERSONAL, key=lambda statement: "hearing_tests" in statement):
        if "hearing_tests" in statement:
            await users.add_test(user_id, b"k" * 32, a_result())
        with pytest.raises((asyncpg.IntegrityConstraintViolationError, asyncpg.DataError)):
            await other.execute(statement.format(digest="\\x" + "00" * 32))


async def test_no_secret_is_in_any_row_and_an_erasure_leaves_digests_alone(
    client: PlainClient, server: PostgresIdentityServer
) -> None:
    key, test_key = a_key(), a_key()
    made = (await client.create(key)).json
    token = made["access_token"]
    await client.ask("PATCH", "/v1/user", {"year_of_birth": 1980, "sex": "intersex"}, token=token)
    test = (await client.submit(token, key=test_key)).json
    held = rows(server)
    assert made["user"]["id"] in held
    assert test["id"] in held
    for secret in (made["anonymous_id"], key, test_key, token, server.credentials.secret.reveal()):
        assert secret not in held
        assert secret.replace("-", "") not in held
        assert secret.encode().hex() not in held
    assert (await client.ask("DELETE", "/v1/user", token=token)).status == 204
    assert server.tell("SELECT count(*) FROM mimi_server.hearing_tests") == "0"
    row = server.tell("SELECT * FROM mimi_server.users").split("|")
    assert (row[0], row[3:]) == ("acme", ["", "", "", ""])


def rows(server: PostgresIdentityServer) -> str:
    """Every row of every table."""
    return "\n".join(server.tell(f"SELECT t::text FROM mimi_server.{table} t") for table in TABLES)
