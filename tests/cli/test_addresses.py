"""The address of a PostgreSQL on the command line: where it is wrong, that is told in a line, and no password is."""

import pytest

from examples.partner_cluster.postgres import Postgres

from ..server.on_postgres import an_environment
from ..server.processes import Ended, run
from ..test_dsn import BROKEN

SOME = ("# in the password", "/ after digits", "a port of letters", "a port too high", "a label of 70")


def assert_is_a_clean_end(ended: Ended, status: int) -> None:
    assert (ended.status, ended.out) == (status, "")
    assert ended.err.splitlines()[-1].startswith("Error: ")
    assert not [word for word in ("Traceback", "hush", "example") if word in ended.err]


@pytest.mark.parametrize("flaw", SOME)
async def test_a_broken_address_of_the_server_is_told_and_not_quoted(flaw: str) -> None:
    for options in ((), ("--workers", "2")):
        ended = await run("serve", "--port", "0", *options, "--database", BROKEN[flaw], environ=an_environment())
        assert_is_a_clean_end(ended, 1)
        assert "'#', '/', '?', '@', ':', brackets and blanks are percent-encoded" in ended.err


@pytest.mark.parametrize("flaw", SOME)
async def test_a_broken_address_of_a_store_is_told_and_not_quoted(flaw: str) -> None:
    named = await run("store", "check", BROKEN[flaw])
    environ = await run("store", "check", environ={"MIMI_STORE_URL": BROKEN[flaw]})
    for ended in (named, environ):
        assert_is_a_clean_end(ended, 2)
        assert "'#', '/', '?', '@', ':', brackets and blanks are percent-encoded" in ended.err


async def test_an_option_that_nobody_knows_is_told(postgres: Postgres) -> None:
    dsn = f"{postgres.dsn.replace('postgres@', 'postgres:hush@')}?connect_timeout=5"
    serving = await run("serve", "--port", "0", "--database", dsn, environ=an_environment())
    checking = await run("store", "check", dsn)
    for ended in (serving, checking):
        assert_is_a_clean_end(ended, 1)
        assert "has an option that is not known, or not so" in ended.err
