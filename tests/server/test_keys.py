"""The keys: made once, kept private, and refused for a database that is not theirs."""

import secrets
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from mimi_async.errors import ConfigurationError
from mimi_async.identity import ClientSecret, CreateKey
from mimi_async.server import Server, Settings
from mimi_async.server.keyfile import NAMES, from_environment, from_file, make_file
from mimi_async.server.keys import Keys
from mimi_async.server.places import FilePlace

from .client import PlainClient

LOOPBACK = Settings(port=0, creation_limit=None)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "users.sqlite3"


def key_file(database: Path) -> Path:
    return database.with_name("users.sqlite3.keys")


async def started(database: Path, environ: Mapping[str, str] | None = None) -> Keys:
    async with Server(database, LOOPBACK, environ=environ or {}) as server:
        return server.desk.keys


def an_environment(**changes: str) -> dict[str, str]:
    return {name: secrets.token_hex(32) for name in NAMES} | changes


async def test_the_first_start_makes_a_private_file_that_the_next_one_reads(database: Path) -> None:
    keys = await started(database)
    assert key_file(database).stat().st_mode & 0o777 == 0o600
    assert await started(database) == keys
    assert len({keys.id_key, keys.pepper, *keys.token_keys}) == 3


async def test_a_lost_key_file_is_no_reason_to_make_another(database: Path) -> None:
    await started(database)
    key_file(database).unlink()
    with pytest.raises(ConfigurationError, match="missing: restore it"):
        await started(database)
    assert not key_file(database).exists()


@pytest.mark.parametrize(("name", "words"), [("MIMI_ID_KEY", "id key"), ("MIMI_PEPPER", "pepper")])
async def test_another_id_key_or_pepper_is_refused(database: Path, name: str, words: str) -> None:
    environ = an_environment()
    await started(database, environ)
    with pytest.raises(ConfigurationError, match=f"was made with another {words}: under the one given"):
        await started(database, environ | {name: secrets.token_hex(32)})
    await started(database, environ)


async def test_the_keys_of_another_database_are_refused(database: Path, tmp_path: Path) -> None:
    await started(database)
    make_file(tmp_path / "other")
    (tmp_path / "other").replace(key_file(database))
    with pytest.raises(ConfigurationError, match="was made with another id key and another pepper: under"):
        await started(database)


async def test_the_environment_goes_before_the_file(database: Path) -> None:
    keys = await started(database, an_environment())
    assert not key_file(database).exists()
    with pytest.raises(ConfigurationError, match="missing"):
        await started(database)
    assert from_environment(an_environment()) != keys


async def test_the_token_key_may_be_rotated(database: Path) -> None:
    environ = an_environment()
    old = await started(database, environ)
    token = old.token("ab" * 16, 1000.0).reveal()
    new = await started(database, environ | {"MIMI_TOKEN_KEY": f"{secrets.token_hex(32)},{environ['MIMI_TOKEN_KEY']}"})
    assert new.holder(token, 0.0) == "ab" * 16
    assert old.holder(new.token("ab" * 16, 1000.0).reveal(), 0.0) is None
    newest = await started(database, environ | {"MIMI_TOKEN_KEY": secrets.token_hex(32)})
    assert newest.holder(token, 0.0) is None


SHARED = {
    "MIMI_ID_KEY and MIMI_PEPPER": ("ab" * 32, "AB" * 32, "cd" * 32),
    "MIMI_ID_KEY and MIMI_TOKEN_KEY": ("ab" * 32, "cd" * 32, "ab" * 32),
    "MIMI_PEPPER and MIMI_TOKEN_KEY": ("ab" * 32, "cd" * 32, f"{'ef' * 32},{'cd' * 32}"),
    "MIMI_ID_KEY and MIMI_PEPPER and MIMI_TOKEN_KEY": ("ab" * 32,) * 3,
}


@pytest.mark.parametrize("names", SHARED)
async def test_a_new_database_wants_three_different_keys(database: Path, names: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{names} hold the same key: .*`openssl rand -hex 32`") as caught:
        await started(database, dict(zip(NAMES, SHARED[names], strict=True)))
    assert not [digits for digits in ("abab", "cdcd") if digits in str(caught.value).lower()]
    await started(database, an_environment())  # nothing of the refused keys has stayed


async def test_a_database_that_was_made_with_equal_keys_opens(database: Path) -> None:
    environ = dict.fromkeys(NAMES, "ab" * 32)
    keys = from_environment(environ)
    assert keys is not None
    book = FilePlace(database).book(LOOPBACK)
    await book.open()
    await book.keep_check_values(keys.check_values())
    await book.close()
    assert await started(database, environ) == keys


def test_keys_of_a_programs_own_are_long_enough() -> None:
    long, short = b"k" * 32, b"k" * 31
    for flaw in ({"id_key": short}, {"pepper": short}, {"token_keys": (long, short)}, {"token_keys": ()}):
        with pytest.raises((ConfigurationError, ValueError)):
            Keys(**{"id_key": long, "pepper": long, "token_keys": (long,), **flaw})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"MIMI_PEPPER": ""}, "set MIMI_PEPPER too"),
        ({"MIMI_PEPPER": "", "MIMI_TOKEN_KEY": ""}, "set MIMI_PEPPER and MIMI_TOKEN_KEY too"),
        ({"MIMI_ID_KEY": "no hex"}, "must set MIMI_ID_KEY to 32 bytes or more in hex digits: `openssl rand -hex 32`"),
        ({"MIMI_PEPPER": "ab" * 31}, "must set MIMI_PEPPER to 32 bytes or more"),
        ({"MIMI_PEPPER": "cd" * 32 + ",abab"}, "must set MIMI_PEPPER to 32 bytes or more"),
        ({"MIMI_TOKEN_KEY": "cd" * 32 + ",abab"}, "must set MIMI_TOKEN_KEY to 32 bytes or more"),
        ({"MIMI_ID_KEY": "no hex", "MIMI_TOKEN_KEY": "no hex"}, "set MIMI_ID_KEY and MIMI_TOKEN_KEY, each to 32 bytes"),
    ],
)
async def test_keys_that_are_none_are_refused_and_not_quoted(
    database: Path, changes: dict[str, str], remedy: str
) -> None:
    with pytest.raises(ConfigurationError, match=remedy) as caught:
        await started(database, an_environment(**changes))
    assert "no hex" not in str(caught.value)
    assert "abab" not in str(caught.value)


async def test_a_key_file_that_others_may_read_is_refused(database: Path) -> None:
    await started(database)
    key_file(database).chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        await started(database)


async def test_a_key_file_that_is_a_link_is_refused(database: Path, tmp_path: Path) -> None:
    await started(database)
    key_file(database).replace(tmp_path / "elsewhere")
    key_file(database).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="can't be opened"):
        await started(database)


async def test_a_key_file_that_is_broken_is_refused(database: Path) -> None:
    await started(database)
    whole = key_file(database).read_text()
    key_file(database).write_text(whole.replace("MIMI_PEPPER=", "MIMI_PEPPER=x"))
    with pytest.raises(ConfigurationError, match=r"must set MIMI_PEPPER to 32 bytes .*: restore it$"):
        await started(database)
    key_file(database).write_text("MIMI_ID_KEY=00\n")
    with pytest.raises(ConfigurationError, match="must set MIMI_ID_KEY and MIMI_PEPPER and MIMI_TOKEN_KEY, each to"):
        await started(database)


def test_two_first_starts_agree_on_one_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    make_file(path)
    first = path.read_bytes()
    make_file(path)
    assert path.read_bytes() == first
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="can't be written"):
        make_file(tmp_path / "nowhere" / "keys")
    assert from_file(tmp_path / "nowhere" / "keys") is None


def test_every_derivation_hangs_on_its_key_and_on_all_it_is_made_of() -> None:
    keys = Keys(id_key=b"i" * 32, pepper=b"p" * 32, token_keys=(b"t" * 32,))
    other_id = attrs.evolve(keys, id_key=b"j" * 32)
    other_pepper = attrs.evolve(keys, pepper=b"q" * 32)
    key, partner = CreateKey("k" * 64), "acme"
    an_id = keys.anonymous_id(key, partner)
    assert an_id == keys.anonymous_id(key, partner) == other_pepper.anonymous_id(key, partner)
    assert an_id not in (other_id.anonymous_id(key, partner), keys.anonymous_id(key, "other"))
    assert an_id != keys.anonymous_id(CreateKey("k" * 63), "k" + partner)
    assert keys.id_digest(an_id) != other_pepper.id_digest(an_id)
    assert keys.create_digest(key) != other_pepper.create_digest(key)
    assert keys.client_digest(ClientSecret("k" * 64)) != keys.create_digest(key)
    assert keys.test_digest("a" * 32, key) != keys.test_digest("b" * 32, key)


def test_keys_are_not_shown() -> None:
    assert repr(Keys(id_key=b"i" * 32, pepper=b"p" * 32, token_keys=(b"t" * 32,))) == "Keys(…)"


async def test_the_database_holds_no_key(client: PlainClient) -> None:
    await client.create()
    keys = client.server._entered().desk.keys
    folder = client.server.database.parent
    held = b"".join(path.read_bytes() for path in folder.iterdir() if path.suffix != ".keys")
    for key in (keys.id_key, keys.pepper, *keys.token_keys):
        assert key not in held
        assert key.hex().encode() not in held
