"""The URL of a PostgreSQL on the command line: a wrong one is reported in one line, without its password."""

import pytest

from ..databases.test_dsn import BROKEN
from ..postgres_server import Postgres
from ..server.on_postgres import an_environment
from ..server.processes import Ended, run

SOME = ("# in the password", "a port of letters")


def assert_is_a_clean_end(ended: Ended, status: int) -> None:
    assert (ended.status, ended.out) == (status, "")
    assert ended.err.splitlines()[-1].startswith("Error: ")
    assert not [word for word in ("Traceback", "hush", "example") if word in ended.err]


@pytest.mark.parametrize("flaw", SOME)
async def test_a_broken_url_of_the_server_is_reported_and_not_quoted(flaw: str) -> None:
    for options in ((), ("--workers", "2")):
        ended = await run("serve", "--port", "0", *options, "--database", BROKEN[flaw], environ=an_environment())
        assert_is_a_clean_end(ended, 2)
        assert "'#', '/', '?', '@', ':', brackets and blanks are percent-encoded" in ended.err


@pytest.mark.parametrize("flaw", SOME)
async def test_a_broken_url_of_a_store_is_reported_and_not_quoted(flaw: str) -> None:
    named = await run("store", "check", BROKEN[flaw])
    environ = await run("store", "check", environ={"MIMI_STORE_URL": BROKEN[flaw]})
    for ended in (named, environ):
        assert_is_a_clean_end(ended, 2)
        assert "'#', '/', '?', '@', ':', brackets and blanks are percent-encoded" in ended.err


async def test_an_unknown_option_is_reported(postgres: Postgres) -> None:
    dsn = f"{postgres.dsn.replace('postgres@', 'postgres:hush@')}?connect_timeout=5"
    serving = await run("serve", "--port", "0", "--database", dsn, environ=an_environment())
    checking = await run("store", "check", dsn)
    for ended in (serving, checking):
        assert_is_a_clean_end(ended, 1)
        assert "has an option that is unknown or has a wrong value" in ended.err
