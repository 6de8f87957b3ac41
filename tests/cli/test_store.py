"""`mimi-async store`, as processes."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from mimi_async.stores import IdentityStore, PostgresStore, SQLiteStore, StoredIdentity, open_store
from mimi_async.testing.store_contract_base import fresh_active, fresh_pending

from ..postgres_server import Postgres
from ..server.processes import Ended, run
from ..stores.damages import spoil


def read_counts(ended: Ended) -> dict[str, int]:
    """Return what was printed: words, and a number at the end of the line."""
    lines = (line.rpartition(" ") for line in ended.out.splitlines() if not line.endswith("'"))
    return {words.strip(): int(number.replace(",", "")) for words, _, number in lines}


async def fill(store: IdentityStore, *accounts: str) -> dict[str, StoredIdentity]:
    async with store:
        return {account: await store.claim(account, fresh_active()) for account in accounts}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_init_creates_the_store_and_says_whether_it_is_new(kind: str, dsn: str, tmp_path: Path) -> None:
    url = dsn if kind == "postgresql" else f"sqlite:///{tmp_path}/ids"
    for state in ("is new, and empty", "existed, and was kept as it is"):
        ended = await run("store", "init", url)
        assert (ended.status, ended.out) == (0, "")
        *_, last = ended.err.splitlines()
        assert last == f"{open_store(url)!r} is ready: it {state}"
    assert await fill(open_store(dsn if kind == "postgresql" else f"{url}?mode=rw"), "a")


async def test_init_prints_what_a_migration_of_ones_own_may_run(postgres: Postgres, dsn: str) -> None:
    ended = await run("store", "init", dsn, "--print")
    assert ended.status == 0
    postgres.execute(ended.out, dsn.rpartition("/")[2])
    assert await fill(PostgresStore(dsn), "a")


@pytest.mark.parametrize("options", [("--print",), ("--print", "postgresql://user@nowhere.invalid/ids")])
async def test_init_prints_the_tables_of_postgresql_without_asking_a_database(options: tuple[str, ...]) -> None:
    ended = await run("store", "init", *options)
    assert (ended.status, ended.out, ended.err) == (0, PostgresStore.script(), "")


async def test_init_has_nothing_to_print_for_sqlite_and_shows_what_it_prints_for(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ids"
    for arguments, environ in (((url,), {}), ((), {"MIMI_STORE_URL": url})):
        ended = await run("store", "init", "--print", *arguments, environ=environ)
        assert (ended.status, ended.out) == (2, "")
        assert "--print is for PostgreSQL" in ended.err
        assert "mimi-async store init postgresql://user@host/database --print" in ended.err
        assert not (tmp_path / "ids").exists()


async def test_check_counts_the_records_by_state_and_lists_pending_accounts(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "ids") as store:
        for account in ("a", "b"):
            await store.claim(account, fresh_active())
        await store.claim("c", attrs.evolve(fresh_pending(), changed_at=time.time() - 4000))
        await store.claim("d", fresh_pending())
        await store.claim("e", fresh_active().with_state("rejected"))
    ended = await run("store", "check", environ={"MIMI_STORE_URL": f"sqlite:///{tmp_path}/ids"})
    states = {"active": 2, "pending": 2, "rejected": 1, "erasing": 0, "corrupt": 0}
    assert (ended.status, read_counts(ended)) == (0, states | {"pending for over an hour": 1})
    assert ended.out.splitlines()[6:] == ["pending: 'd'", "pending for over an hour: 'c'"]


async def test_check_fails_where_a_record_cant_be_read_and_names_it(tmp_path: Path) -> None:
    records = await fill(SQLiteStore(tmp_path / "ids"), "a", "b")
    spoil(tmp_path / "ids", "state = 'gone'")
    ended = await run("store", "check", f"sqlite:///{tmp_path}/ids")
    assert ended.status == 1
    assert ended.out.splitlines()[-1] == "corrupt: 'a'"
    assert "'b'" not in ended.out
    secret = records["a"].secret.reveal()
    assert not [word for word in (secret, secret[:8], secret[-8:]) if word in ended.out + ended.err]


async def test_check_names_twenty_of_many_and_counts_the_rest(tmp_path: Path) -> None:
    accounts = [f"account-{number:02}" for number in range(23)]
    await fill(SQLiteStore(tmp_path / "ids"), *accounts)
    with closing(sqlite3.connect(tmp_path / "ids", isolation_level=None)) as connection:
        connection.execute("UPDATE identities SET state = 'gone'")
    few = await run("store", "check", f"sqlite:///{tmp_path}/ids")
    named = [f"corrupt: {account!r}" for account in accounts]
    assert few.status == 1
    assert few.out.splitlines()[6:] == [*named[:20], "corrupt: 3 more accounts, which --list shows, too"]
    whole = await run("store", "check", f"sqlite:///{tmp_path}/ids", "--list")
    assert whole.out.splitlines()[6:] == named


async def test_check_names_the_accounts_that_are_not_in_nfc_and_copy_takes_them_along(tmp_path: Path) -> None:
    records = await fill(SQLiteStore(tmp_path / "ids"), "jose\u0301", "jos\u00e9", "anna")
    checked = await run("store", "check", f"sqlite:///{tmp_path}/ids")
    assert (checked.status, read_counts(checked)["active"]) == (1, 3), checked.err
    assert checked.out.splitlines()[-1] == "not in NFC: 'jose\u0301'"
    async with SQLiteStore(tmp_path / "copy") as target:
        assert not [account async for account in target.accounts()]
    copied = await run("store", "copy", f"sqlite:///{tmp_path}/ids", f"sqlite:///{tmp_path}/copy")
    assert (copied.status, read_counts(copied)["copied"]) == (0, 3), copied.err
    async with SQLiteStore(tmp_path / "copy") as target:
        assert {account: await target.load(account) for account in records} == records


async def test_copy_goes_from_a_file_to_postgresql_and_on_where_it_was_cut_off(tmp_path: Path, dsn: str) -> None:
    records = await fill(SQLiteStore(tmp_path / "ids"), *"abcde")
    assert (await run("store", "init", dsn)).status == 0
    async with PostgresStore(dsn) as target:
        await target.claim("a", records["a"])
    first = await run("store", "copy", f"sqlite:///{tmp_path}/ids", dsn)
    assert (first.status, read_counts(first)["copied"], read_counts(first)["already there"]) == (0, 4, 1)
    async with PostgresStore(dsn) as target:
        assert {account: await target.load(account) for account in records} == records


async def test_copy_writes_over_no_other_id_and_fails(tmp_path: Path) -> None:
    await fill(SQLiteStore(tmp_path / "source"), "a", "b")
    theirs = await fill(SQLiteStore(tmp_path / "target"), "a")
    ended = await run("store", "copy", f"sqlite:///{tmp_path}/source", f"sqlite:///{tmp_path}/target")
    assert (ended.status, "different: 'a'" in ended.out) == (1, True)
    async with SQLiteStore(tmp_path / "target") as target:
        assert await target.load("a") == theirs["a"]


async def test_copy_goes_to_a_store_that_lasts_and_is_another(
    tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = f"sqlite:///{tmp_path}/source"
    records = await fill(SQLiteStore(tmp_path / "source"), "a")
    assert (await run("store", "init", dsn)).status == 0
    for names in (
        (source, "memory://"),
        (source, source),
        (source, "sqlite:///source"),
        (dsn, dsn.replace("postgres@", "mimi:hush@")),
    ):
        ended = await run("store", "copy", *names)
        assert (ended.status, ended.out) == (2, "")
        assert "Error: name a TARGET that is durable, and another store than SOURCE" in ended.err
        assert not [word for word in ("Traceback", "hush") if word in ended.err]
    async with SQLiteStore(tmp_path / "source") as store:
        assert {account: await store.load(account) async for account in store.accounts()} == records


async def test_copy_takes_hosts_in_options_for_two_servers(postgres: Postgres, dsn: str) -> None:
    assert (await run("store", "init", dsn)).status == 0
    await fill(PostgresStore(dsn), "a")
    database = dsn.rpartition("/")[2]
    here, there, here_otherwise = (
        f"postgresql://postgres@/{database}?host={host}&port={postgres.port}{rest}"
        for host, rest in (("127.0.0.1", ""), ("localhost", ""), ("127.0.0.1", "&application_name=copy"))
    )
    copied = await run("store", "copy", here, there)
    assert (copied.status, read_counts(copied)["already there"]) == (0, 1), copied.err
    refused = await run("store", "copy", here, here_otherwise)
    assert (refused.status, "another store than SOURCE" in refused.err) == (2, True)


ERRORS = {
    "no URL": (("check",), 2, "MIMI_STORE_URL"),
    "a missing file": (("check", "sqlite:///{}/nowhere"), 2, "there is no file {}/nowhere"),
    "a missing source": (("copy", "sqlite:///{}/nowhere", "sqlite:///{}/other"), 2, "there is no file {}/nowhere"),
    "a database that does not answer": (("check", "postgresql://me:hush@127.0.0.1:1/ids"), 1, "it can't be reached"),
    "an unknown kind": (("check", "nosql://me:hush@host"), 2, "a store is "),
    "a long name": (("check", f"sqlite:///{{}}/{'x' * 300}"), 1, "File name too long (stat {}/xxx"),
    "a long name to create": (("init", f"sqlite:///{{}}/{'x' * 300}"), 1, "xxx): choose a shorter name"),
}


@pytest.mark.parametrize("what", ERRORS)
async def test_an_error_is_one_line_without_a_password_and_nothing_is_created(what: str, tmp_path: Path) -> None:
    arguments, status, message = ERRORS[what]
    ended = await run("store", *(argument.format(tmp_path) for argument in arguments))
    assert (ended.status, ended.out) == (status, "")
    assert message.format(tmp_path) in " ".join(ended.err.split())
    assert not [word for word in ("Traceback", "hush") if word in ended.err]
    assert list(tmp_path.iterdir()) == []


async def test_a_database_without_the_tables_says_what_creates_them(dsn: str) -> None:
    ended = await run("store", "check", dsn)
    assert (ended.status, "`mimi-async store init`" in ended.err) == (1, True)
    assert "Traceback" not in ended.err
