"""Users in PostgreSQL: locks, and answers that are lost on the way."""

import asyncio
import datetime as dt
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import attrs
import pytest

from mimi_async.databases.postgres import Database
from mimi_async.server.users import postgres_schema as schema
from mimi_async.server.users.postgres import PostgresUserRepository
from mimi_async.server.users.repository import DEV_CLIENT, PartnerUser, Refusal, Submission
from mimi_async.wire import server_side

from ..postgres_server import Postgres
from .client import PlainClient, a_key, a_test
from .on_postgres import PostgresIdentityServer
from .repositories import ACME, make_new_user, open_repositories

DATABASES = ["postgresql"]
TABLES = ("clients", "key_checks", "users", "hearing_tests", "version")


def a_result() -> Any:
    test = server_side.read_new_test(json.dumps(a_test()).encode(), dt.datetime.now(dt.UTC))
    return attrs.evolve(test, id=secrets.token_hex(16))


class OpenRepository(PostgresUserRepository):
    """A repository with an accessible database."""

    @property
    def database(self) -> Database:
        return self._database


@pytest.fixture
async def users(dsn: str) -> AsyncIterator[OpenRepository]:
    async with open_repositories(OpenRepository(dsn)) as repository:
        assert await repository.add_client("acme", ACME.client_id, ACME.secret_digest)
        yield repository


@pytest.fixture
async def other(dsn: str) -> AsyncIterator[Any]:
    """Another connection to the database."""
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def a_user(users: PostgresUserRepository) -> str:
    user = await users.create(ACME, make_new_user(), may_make=True)
    assert isinstance(user, PartnerUser)
    return user.profile.id


async def wait_until_it_waits(other: Any) -> None:
    """Return once a connection waits for a lock."""
    while not await other.fetchval(  # noqa: ASYNC110 - a lock sets no event
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())"
    ):
        await asyncio.sleep(0.01)


async def wait_until_it_waits_or_ends(other: Any, task: "asyncio.Task[Any]") -> None:
    await asyncio.wait([task, asyncio.create_task(wait_until_it_waits(other))], return_when=asyncio.FIRST_COMPLETED)


def lose_the_first_answer(users: OpenRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Break the connection after the next call has finished, and before its answer."""
    run = users.database.run
    lost: list[str] = []

    async def lossy(work: Callable[[Any], Awaitable[Any]]) -> Any:
        async def once(connection: Any) -> Any:
            answer = await work(connection)
            if not lost:
                lost.append("this answer")
                raise ConnectionResetError
            return answer

        return await run(once)

    monkeypatch.setattr(users.database, "run", lossy)


async def test_a_creation_whose_answer_was_lost_is_new_all_the_same(
    users: OpenRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_the_first_answer(users, monkeypatch)
    key = a_key()
    new_user = make_new_user(key)
    user = await users.create(ACME, new_user, may_make=True)
    assert isinstance(user, PartnerUser)
    assert (user.is_new, user.profile.id) == (True, new_user.user_id)
    replay = await users.create(ACME, make_new_user(key), may_make=True)
    assert isinstance(replay, PartnerUser)
    assert (replay.is_new, replay.profile.id) == (False, new_user.user_id)


async def test_an_erasure_whose_answer_was_lost_is_done(users: OpenRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    user_id = await a_user(users)
    lose_the_first_answer(users, monkeypatch)
    assert await users.erase(user_id) is None
    assert await users.erase(user_id) is Refusal.TOKEN


async def test_a_test_whose_answer_was_lost_is_new_and_kept_once(
    users: OpenRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id, test = await a_user(users), a_result()
    lose_the_first_answer(users, monkeypatch)
    submission = await users.add_test(user_id, b"k" * 32, test, 1)
    assert isinstance(submission, Submission)
    assert (submission.is_new, submission.test) == (True, test)
    replay = await users.add_test(user_id, b"k" * 32, a_result(), 1)
    assert isinstance(replay, Submission)
    assert (replay.is_new, replay.test) == (False, test)


async def test_a_client_whose_answer_was_lost_is_added(users: OpenRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_the_first_answer(users, monkeypatch)
    assert await users.add_client("acme", "acme-radio", b"r" * 32)
    assert not await users.add_client("acme", "acme-radio", b"q" * 32)


async def test_mimi_dev_is_never_added_beside_a_client_that_is_added_at_the_same_moment(
    users: PostgresUserRepository, other: Any
) -> None:
    await schema.REMOVE_CLIENT.fetch(other, ACME.client_id)
    async with other.transaction():
        await schema.ADD_CLIENT.fetch(other, "first", "acme", b"f" * 32)
        adding = asyncio.create_task(users.add_first_client("mimi-dev", DEV_CLIENT.client_id, b"d" * 32))
        await wait_until_it_waits_or_ends(other, adding)
    assert not await adding
    assert await users.clients() == ["first"]


async def test_a_client_replaces_a_mimi_dev_that_is_added_at_the_same_moment(
    users: PostgresUserRepository, other: Any
) -> None:
    await schema.REMOVE_CLIENT.fetch(other, ACME.client_id)
    async with other.transaction():
        await schema.ADD_FIRST_CLIENT.fetch(other, DEV_CLIENT.client_id, "mimi-dev", b"d" * 32)
        adding = asyncio.create_task(users.add_client("acme", "first", b"f" * 32))
        await wait_until_it_waits_or_ends(other, adding)
    assert await adding
    assert await users.clients() == ["first"]


async def test_a_test_that_meets_an_erasure_is_refused(users: PostgresUserRepository, other: Any) -> None:
    user_id = await a_user(users)
    async with other.transaction():
        await schema.ERASE_USER.fetch(other, bytes.fromhex(user_id))
        adding = asyncio.create_task(users.add_test(user_id, b"k" * 32, a_result(), 1))
        await wait_until_it_waits(other)
    assert await adding is Refusal.TOKEN


async def test_an_erasure_that_meets_a_test_erases_it(users: PostgresUserRepository, other: Any) -> None:
    user_id = await a_user(users)
    await users.add_test(user_id, b"k" * 32, a_result(), 1)
    async with other.transaction():
        await other.execute(
            "INSERT INTO mimi_server.hearing_tests SELECT user_id, $1, $2, taken_at, calibrated, left_250, left_500,"
            "left_1000, left_2000, left_4000, left_8000, right_250, right_500, right_1000, right_2000, right_4000,"
            "right_8000, received + 1 FROM mimi_server.hearing_tests",
            secrets.token_hex(16),
            b"l" * 32,
        )
        erasing = asyncio.create_task(users.erase(user_id))
        await wait_until_it_waits(other)
    assert await erasing is None
    assert await other.fetchval("SELECT count(*) FROM mimi_server.hearing_tests") == 0


async def test_two_creations_of_one_user_at_the_same_moment_agree(users: PostgresUserRepository, other: Any) -> None:
    new_user = make_new_user()
    async with other.transaction():
        row = (new_user.create_digest, new_user.id_digest("acme"), bytes(16), 0)
        await schema.MAKE_USER.fetch(other, ACME.client_id, ACME.secret_digest, "acme", *row)
        creating = asyncio.create_task(users.create(ACME, new_user, may_make=True))
        await wait_until_it_waits(other)
    user = await creating
    assert isinstance(user, PartnerUser)
    assert (user.is_new, user.profile.id) == (False, bytes(16).hex())


async def test_the_first_keys_of_a_database_win(users: PostgresUserRepository) -> None:
    ours, theirs = {"id_key": b"a" * 32, "pepper": b"b" * 32}, {"id_key": b"c" * 32, "pepper": b"d" * 32}
    assert await users.check_values() == {}
    kept = await asyncio.gather(*(users.keep_check_values(values) for values in (ours, theirs) * 5))
    assert kept[0] in (ours, theirs)
    assert kept == [kept[0]] * 10
    assert await users.check_values() == kept[0]


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
    assert server.execute("SELECT count(*) FROM mimi_server.hearing_tests") == "0"
    row = server.execute("SELECT * FROM mimi_server.users").split("|")
    assert (row[0], row[3:]) == ("acme", ["", "", "", ""])


def rows(server: PostgresIdentityServer) -> str:
    """Every row of every table."""
    return "\n".join(server.execute(f"SELECT t::text FROM mimi_server.{table} t") for table in TABLES)


async def test_changes_without_a_condition_all_take_effect_under_any_isolation(postgres: Postgres, dsn: str) -> None:
    postgres.execute(f"ALTER DATABASE {dsn.rpartition('/')[2]} SET default_transaction_isolation = 'serializable'")
    async with open_repositories(OpenRepository(dsn)) as users:
        assert await users.add_client("acme", ACME.client_id, ACME.secret_digest)
        user = await users.create(ACME, make_new_user(), may_make=True)
        assert isinstance(user, PartnerUser)
        years = [{"year_of_birth": 1950 + number} for number in range(50)]
        changed = await asyncio.gather(*(users.change(user.profile.id, changes) for changes in years))
    assert [
        {"year_of_birth": found.year_of_birth} for found in changed if isinstance(found, server_side.Profile)
    ] == years
