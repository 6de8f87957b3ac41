"""The address of a PostgreSQL database: what is taken for one, and what is shown of it."""

import re
import traceback

import pytest

from mimi_async.databases.dsn import redact_dsn, validate_dsn
from mimi_async.errors import ConfigurationError

BROKEN = {
    "# in the password": "postgresql://mimi:hush#hush@db.example/ids",
    "/ in the password": "postgresql://mimi:hush/hush@db.example/ids",
    "? in the password": "postgresql://mimi:hush?hush@db.example/ids",
    "@ in the password": "postgresql://mimi:hush@hush@db.example/ids",
    "[ in the password": "postgresql://mimi:hush[hush@db.example/ids",
    "a blank in the password": "postgresql://mimi:hush hush@db.example/ids",
    "# after digits": "postgresql://mimi:1#hush@db.example/ids",
    "/ after digits": "postgresql://mimi:1/hush@db.example",
    "? after digits": "postgresql://mimi:1?hush@db.example/ids",
    "a port of letters": "postgresql://mimi:hush@db.example:abc/ids",
    "a port too high": "postgresql://mimi:hush@db.example:99999/ids",
    "a second port too high": "postgresql://mimi:hush@one:1,two:99999/ids",
    "a bracket not closed": "postgresql://mimi:hush@[::1/ids",
    "a label of 70": f"postgresql://mimi:hush@{'a' * 70}.example/ids",
    "an empty label": "postgresql://mimi:hush@db..example/ids",
    "no second host": "postgresql://mimi:hush@db.example,/ids",
    "a line feed": "postgresql://mimi:hush@db.example/ids\n",
    "no address": "mimi:hush@db.example",
    "another scheme": "mysql://mimi:hush@db.example/ids",
}
"""The flaw → an address whose password contains "hush"."""

NUL = ("postgresql://mimi:hush\0@db/ids", "postgresql://mimi:hush@db\0/ids", "postgresql://mimi:hush@db/ids\0")

SHOWN = {
    "postgresql://db.example": "postgresql://db.example",
    "postgres://mimi:hush@db.example:5432/ids": "postgresql://db.example:5432/ids",
    "postgresql://mimi:hu%23%2Fsh%40@db.example/ids": "postgresql://db.example/ids",
    "postgresql://mimi:hush@one:5432,two,three.example:1/ids": "postgresql://one:5432,two,three.example:1/ids",
    "postgresql://mimi:hush@[::1]:5432,[fe80::1%25eth0]/ids": "postgresql://[::1]:5432,[fe80::1%25eth0]/ids",
    "postgresql://mimi:hush@db/ids?target_session_attrs=any&sslmode=require": "postgresql://db/ids",
    "postgresql:///ids": "postgresql:///ids",
    "postgresql:///ids?host=/run/postgresql&user=mimi&password=hush": "postgresql:///ids",
    "postgresql://mimi:hush@%2Frun%2Fpostgresql/ids": "postgresql://%2Frun%2Fpostgresql/ids",
    f"postgresql://mimi:hush@%2Frun%2F{'a' * 70}/ids": f"postgresql://%2Frun%2F{'a' * 70}/ids",
    "postgresql://mimi:hush@db.example/ids:99999": "postgresql://db.example/ids:99999",
}


@pytest.mark.parametrize("address", [*BROKEN.values(), *NUL], ids=[*BROKEN, "NUL 1", "NUL 2", "NUL 3"])
def test_refuses_a_broken_address_and_quotes_nothing_of_it(address: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape("named by postgresql://user:password@host")) as caught:
        validate_dsn(address)
    error = caught.value
    assert error.__context__ is None
    assert "hush" not in "".join((*traceback.format_exception(error), repr(error), *map(repr, error.args)))
    assert not [word for word in ("mimi:", "hush", "example") if word in redact_dsn(address)]


@pytest.mark.parametrize("part", ["%2F", "%2Fa.", "%2Fa,", "a.", "a,", ":1,", "["])
def test_no_address_takes_long_to_refuse(part: str) -> None:
    """The limit of a test ends it, where the pattern tries each way to divide the hosts."""
    for address in (f"postgresql://{part * 200}#", f"postgresql://hush@{part * 200}#/ids"):
        with pytest.raises(ConfigurationError):
            validate_dsn(address)


@pytest.mark.parametrize("text", [None, 7, b"postgresql://db/ids", ""])
def test_refuses_a_value_that_is_not_a_text(text: object) -> None:
    with pytest.raises(ConfigurationError, match="or given as an asyncpg pool"):
        validate_dsn(text)


@pytest.mark.parametrize("address", SHOWN)
def test_keeps_a_complete_address_and_shows_neither_its_user_nor_an_option(address: str) -> None:
    assert validate_dsn(address) == address
    assert redact_dsn(address) == SHOWN[address]
