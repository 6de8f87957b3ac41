"""`mimi-async store`, as processes."""

import time
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


async def test_init_makes_the_tables_of_postgresql_and_may_be_run_again(dsn: str) -> None:
    for _ in range(2):
        ended = await run("store", "init", dsn)
        assert (ended.status, ended.out) == (0, "")
        assert "is ready" in ended.err
    assert await filled(PostgresStore(dsn), "a")


async def test_init_prints_what_a_migration_of_ones_own_may_run(postgres: Postgres, dsn: str) -> None:
    ended = await run("store", "init", dsn, "--print")
    assert ended.status == 0
    postgres.tell(ended.out, dsn.rpartition("/")[2])
    assert await filled(PostgresStore(dsn), "a")


async def test_init_makes_the_file_of_sqlite_and_has_nothing_to_print(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ids"
    assert (await run("store", "init", url)).status == 0
    assert (tmp_path / "ids").exists()
    ended = await run("store", "init", url, "--print")
    assert ended.status == 2
    assert "--print is for PostgreSQL" in ended.err


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


async def test_check_fails_where_a_record_cant_be_read_and_names_it_when_asked(tmp_path: Path) -> None:
    await filled(SQLiteStore(tmp_path / "ids"), "a", "b")
    spoil(tmp_path / "ids", "secret = 'gone'")
    ended = await run("store", "check", f"sqlite:///{tmp_path}/ids", "--list")
    assert ended.status == 1
    assert "corrupt: 'a'" in ended.out
    assert "'b'" not in ended.out


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
    ended = await run("store", "copy", f"sqlite:///{tmp_path}/source", f"sqlite:///{tmp_path}/target", "--list")
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
