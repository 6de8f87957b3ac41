"""`mimi-async store`, as processes."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from examples.partner_cluster.postgres import Postgres
from mimi_async.stores import IdentityStore, PostgresStore, SQLiteStore, StoredIdentity
from mimi_async.testing.store_scenarios import fresh_active, fresh_pending

from ..server.processes import Ended, run
from ..stores.test_damage import spoil


def counts(ended: Ended) -> dict[str, int]:
    """What was printed: words, and a number at the end of the line."""
    lines = (line.rpartition(" ") for line in ended.out.splitlines() if not line.endswith("'"))
    return {words.strip(): int(number.replace(",", "")) for words, _, number in lines}


async def filled(store: IdentityStore, *accounts: str) -> dict[str, StoredIdentity]:
    async with store:
        return {account: await store.claim(account, fresh_active()) for account in accounts}


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    return postgres.make_database()


async def test_init_makes_the_tables_of_postgresql_and_says_whether_they_are_new(dsn: str) -> None:
    for news in ("is new, and empty", "was there, and was kept as it is"):
        ended = await run("store", "init", dsn)
        assert (ended.status, ended.out) == (0, "")
        assert ended.err == f"{PostgresStore(dsn)!r} is ready: it {news}\n"
    assert await filled(PostgresStore(dsn), "a")


async def test_init_prints_what_a_migration_of_ones_own_may_run(postgres: Postgres, dsn: str) -> None:
    ended = await run("store", "init", dsn, "--print")
    assert ended.status == 0
    postgres.tell(ended.out, dsn.rpartition("/")[2])
    assert await filled(PostgresStore(dsn), "a")


@pytest.mark.parametrize("options", [("--print",), ("--print", "postgresql://somebody@nowhere.invalid/ids")])
async def test_init_prints_the_tables_of_postgresql_without_asking_a_database(options: tuple[str, ...]) -> None:
    ended = await run("store", "init", *options)
    assert (ended.status, ended.out, ended.err) == (0, PostgresStore.script(), "")


async def test_init_makes_the_file_of_sqlite_and_says_whether_it_is_new(tmp_path: Path) -> None:
    for news in ("is new, and empty", "was there, and was kept as it is"):
        ended = await run("store", "init", f"sqlite:///{tmp_path}/ids")
        assert (ended.status, ended.err) == (0, f"SQLiteStore('{tmp_path}/ids') is ready: it {news}\n")
        assert (tmp_path / "ids").exists()


async def test_init_has_nothing_to_print_for_sqlite_and_shows_what_it_prints_for(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ids"
    for arguments, environ in (((url,), {}), ((), {"MIMI_STORE_URL": url})):
        ended = await run("store", "init", "--print", *arguments, environ=environ)
        assert (ended.status, ended.out) == (2, "")
        assert "--print is for PostgreSQL" in ended.err
        assert "mimi-async store init postgresql://user@host/database --print" in ended.err
        assert not (tmp_path / "ids").exists()


async def test_check_counts_the_records_by_state(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "ids") as store:
        for account in ("a", "b"):
            await store.claim(account, fresh_active())
        await store.claim("c", attrs.evolve(fresh_pending(), changed_at=time.time() - 4000))
        await store.claim("d", fresh_active().turned("rejected"))
    ended = await run("store", "check", environ={"MIMI_STORE_URL": f"sqlite:///{tmp_path}/ids"})
    assert ended.status == 0
    assert counts(ended) == {
        "active": 2,
        "pending": 1,
        "rejected": 1,
        "erasing": 0,
        "corrupt": 0,
        "pending for over an hour": 1,
    }


async def test_check_fails_where_a_record_cant_be_read_and_names_it(tmp_path: Path) -> None:
    records = await filled(SQLiteStore(tmp_path / "ids"), "a", "b")
    spoil(tmp_path / "ids", "state = 'gone'")
    ended = await run("store", "check", f"sqlite:///{tmp_path}/ids")
    assert ended.status == 1
    assert ended.out.splitlines()[-1] == "corrupt: 'a'"
    assert "'b'" not in ended.out
    secret = records["a"].secret.reveal()
    assert not [word for word in (secret, secret[:8], secret[-8:]) if word in ended.out + ended.err]


async def test_check_names_twenty_of_many_and_counts_the_rest(tmp_path: Path) -> None:
    accounts = [f"account-{number:02}" for number in range(23)]
    await filled(SQLiteStore(tmp_path / "ids"), *accounts)
    with closing(sqlite3.connect(tmp_path / "ids", isolation_level=None)) as connection:
        connection.execute("UPDATE identities SET state = 'gone'")
    few = await run("store", "check", f"sqlite:///{tmp_path}/ids")
    named = [f"corrupt: {account!r}" for account in accounts]
    assert few.status == 1
    assert few.out.splitlines()[6:] == [*named[:20], "corrupt: 3 more accounts, which --list names, too"]
    whole = await run("store", "check", f"sqlite:///{tmp_path}/ids", "--list")
    assert whole.out.splitlines()[6:] == named


async def test_check_names_cut_off_creations_only_when_asked(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "ids") as store:
        await store.claim("c", attrs.evolve(fresh_pending(), changed_at=time.time() - 4000))
    plain = await run("store", "check", f"sqlite:///{tmp_path}/ids")
    asked = await run("store", "check", f"sqlite:///{tmp_path}/ids", "--list")
    assert (plain.status, asked.status) == (0, 0)
    assert asked.out == f"{plain.out}pending for over an hour: 'c'\n"


async def test_copy_goes_from_a_file_to_postgresql_and_on_where_it_was_cut_off(tmp_path: Path, dsn: str) -> None:
    records = await filled(SQLiteStore(tmp_path / "ids"), *"abcde")
    assert (await run("store", "init", dsn)).status == 0
    async with PostgresStore(dsn) as target:
        await target.claim("a", records["a"])
    first = await run("store", "copy", f"sqlite:///{tmp_path}/ids", dsn)
    assert (first.status, counts(first)["copied"], counts(first)["there already"]) == (0, 4, 1)
    async with PostgresStore(dsn) as target:
        assert {account: await target.load(account) for account in records} == records


async def test_copy_writes_over_no_other_id_and_fails(tmp_path: Path) -> None:
    await filled(SQLiteStore(tmp_path / "source"), "a", "b")
    theirs = await filled(SQLiteStore(tmp_path / "target"), "a")
    ended = await run("store", "copy", f"sqlite:///{tmp_path}/source", f"sqlite:///{tmp_path}/target")
    assert (ended.status, "different: 'a'" in ended.out) == (1, True)
    async with SQLiteStore(tmp_path / "target") as target:
        assert await target.load("a") == theirs["a"]


async def test_copy_goes_to_a_store_that_lasts_and_is_another(
    tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = f"sqlite:///{tmp_path}/source"
    records = await filled(SQLiteStore(tmp_path / "source"), "a")
    assert (await run("store", "init", dsn)).status == 0
    for names in (
        (source, "memory://"),
        (source, source),
        (source, "sqlite:///source"),
        (dsn, dsn.replace("postgres@", "mimi:hush@")),
    ):
        ended = await run("store", "copy", *names)
        assert (ended.status, ended.out) == (2, "")
        assert "Error: name a TARGET that lasts, and that is another store than SOURCE" in ended.err
        assert not [word for word in ("Traceback", "hush") if word in ended.err]
    async with SQLiteStore(tmp_path / "source") as store:
        assert {account: await store.load(account) async for account in store.accounts()} == records


async def test_copy_takes_hosts_in_options_for_two_servers(postgres: Postgres, dsn: str) -> None:
    assert (await run("store", "init", dsn)).status == 0
    await filled(PostgresStore(dsn), "a")
    database = dsn.rpartition("/")[2]
    here, there, here_otherwise = (
        f"postgresql://postgres@/{database}?host={host}&port={postgres.port}{rest}"
        for host, rest in (("127.0.0.1", ""), ("localhost", ""), ("127.0.0.1", "&application_name=copy"))
    )
    copied = await run("store", "copy", here, there)
    assert (copied.status, counts(copied)["there already"]) == (0, 1), copied.err
    refused = await run("store", "copy", here, here_otherwise)
    assert (refused.status, "that is another store than SOURCE" in refused.err) == (2, True)


@pytest.mark.parametrize("command", [("check",), ("copy",)], ids=["check", "copy"])
async def test_a_wrong_path_is_no_empty_store(command: tuple[str], tmp_path: Path) -> None:
    urls = [f"sqlite:///{tmp_path}/nowhere", f"sqlite:///{tmp_path}/other"][: 1 if command == ("check",) else 2]
    ended = await run("store", *command, *urls)
    assert (ended.status, "there is no file" in ended.err) == (2, True)
    assert not list(tmp_path.iterdir())


async def test_a_database_without_the_tables_says_what_makes_them(dsn: str) -> None:
    ended = await run("store", "check", dsn)
    assert (ended.status, "`mimi-async store init`" in ended.err) == (1, True)
    assert "Traceback" not in ended.err


async def test_no_url_is_a_clear_error() -> None:
    ended = await run("store", "check")
    assert (ended.status, "MIMI_STORE_URL" in ended.err) == (2, True)


async def test_a_password_is_not_printed() -> None:
    for url in ("postgresql://me:hush@127.0.0.1:1/ids", "nosql://me:hush@host"):
        ended = await run("store", "check", url)
        assert ended.status != 0
        assert "hush" not in ended.out + ended.err
