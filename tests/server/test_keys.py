"""The keys: created once, kept private, and refused for a database of other keys."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

import attrs
import pytest

from mimi_async.errors import ConfigurationError
from mimi_async.secret import ClientSecret, CreateKey
from mimi_async.server import Server, Settings
from mimi_async.server.keyfile import NAMES, create_file, load_from_environment, load_from_file
from mimi_async.server.keys import Keys
from mimi_async.server.locations import SQLiteLocation

from .client import PlainClient
from .repositories import open_repositories

LOOPBACK = Settings(port=0, creation_limit=None)


def key_file(database: Path) -> Path:
    return database.with_name("users.sqlite3.keys")


async def start(database: Path, environ: Mapping[str, str] | None = None) -> Keys:
    async with Server(database, LOOPBACK, environ=environ or {}) as server:
        return server.context.keys


def an_environment(**changes: str) -> dict[str, str]:
    return {name: secrets.token_hex(32) for name in NAMES} | changes


async def test_the_first_start_creates_a_private_file_that_the_next_one_reads(database: Path) -> None:
    keys = await start(database)
    assert key_file(database).stat().st_mode & 0o777 == 0o600
    assert await start(database) == keys
    assert len({keys.id_key, keys.pepper, *keys.token_keys}) == 3


async def test_a_lost_key_file_is_not_replaced_by_a_new_one(database: Path) -> None:
    await start(database)
    key_file(database).unlink()
    with pytest.raises(ConfigurationError, match="missing: restore it"):
        await start(database)
    assert not key_file(database).exists()


async def test_a_lost_database_is_not_replaced_by_a_new_one(database: Path) -> None:
    await start(database)
    lost = database.rename(database.with_name("lost"))
    for environ in (None, an_environment()):
        with pytest.raises(
            ConfigurationError, match=f"{database} is missing, and {database}.keys is there: .* restore"
        ):
            await start(database, environ)
    assert not database.exists()
    lost.rename(database)
    await start(database)


@pytest.mark.parametrize("names", [NAMES, NAMES[:1]])
async def test_keys_that_are_set_and_empty_are_refused(database: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match=f"{' and '.join(NAMES)} must have a value: the environment sets all"):
        await start(database, dict.fromkeys(names, ""))
    assert not key_file(database).exists()
    await start(database)


@pytest.mark.parametrize(("name", "words"), [("MIMI_ID_KEY", "id key"), ("MIMI_PEPPER", "pepper")])
async def test_another_id_key_or_pepper_is_refused(database: Path, name: str, words: str) -> None:
    environ = an_environment()
    await start(database, environ)
    with pytest.raises(ConfigurationError, match=f"was created with another {words}, and with this one"):
        await start(database, environ | {name: secrets.token_hex(32)})
    await start(database, environ)


async def test_the_keys_of_another_database_are_refused(database: Path, tmp_path: Path) -> None:
    await start(database)
    create_file(tmp_path / "other")
    (tmp_path / "other").replace(key_file(database))
    with pytest.raises(ConfigurationError, match="was created with another id key and another pepper, and with"):
        await start(database)


async def test_the_environment_goes_before_the_file(database: Path) -> None:
    keys = await start(database, an_environment())
    assert not key_file(database).exists()
    with pytest.raises(ConfigurationError, match="missing"):
        await start(database)
    assert load_from_environment(an_environment()) != keys


async def test_the_token_key_may_be_rotated(database: Path) -> None:
    environ = an_environment()
    old = await start(database, environ)
    token = old.sign_token("ab" * 16, 1000.0).reveal()
    new = await start(database, environ | {"MIMI_TOKEN_KEY": f"{secrets.token_hex(32)},{environ['MIMI_TOKEN_KEY']}"})
    assert new.verify_token(token, 0.0) == "ab" * 16
    assert old.verify_token(new.sign_token("ab" * 16, 1000.0).reveal(), 0.0) is None
    newest = await start(database, environ | {"MIMI_TOKEN_KEY": secrets.token_hex(32)})
    assert newest.verify_token(token, 0.0) is None


SHARED = {
    "MIMI_ID_KEY and MIMI_PEPPER": ("ab" * 32, "AB" * 32, "cd" * 32),
    "MIMI_ID_KEY and MIMI_TOKEN_KEY": ("ab" * 32, "cd" * 32, "ab" * 32),
    "MIMI_PEPPER and MIMI_TOKEN_KEY": ("ab" * 32, "cd" * 32, f"{'ef' * 32},{'cd' * 32}"),
    "MIMI_ID_KEY and MIMI_PEPPER and MIMI_TOKEN_KEY": ("ab" * 32,) * 3,
}


@pytest.mark.parametrize("names", SHARED)
async def test_a_new_database_wants_three_different_keys(database: Path, names: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{names} hold the same key: .*`openssl rand -hex 32`") as caught:
        await start(database, dict(zip(NAMES, SHARED[names], strict=True)))
    assert not [digits for digits in ("abab", "cdcd") if digits in str(caught.value).lower()]
    await start(database, an_environment())  # nothing of the refused keys has stayed


async def test_a_database_that_was_created_with_equal_keys_opens(database: Path) -> None:
    environ = dict.fromkeys(NAMES, "ab" * 32)
    keys = load_from_environment(environ)
    assert keys is not None
    async with open_repositories(SQLiteLocation(database).create_repository(LOOPBACK)) as repository:
        await repository.keep_check_values(keys.check_values())
    assert await start(database, environ) == keys


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"MIMI_PEPPER": ""}, "^MIMI_PEPPER must have a value"),
        ({"MIMI_PEPPER": "", "MIMI_TOKEN_KEY": ""}, "^MIMI_PEPPER and MIMI_TOKEN_KEY must have a value"),
        ({"MIMI_ID_KEY": "no hex"}, "must set MIMI_ID_KEY to 32 bytes or more in hex digits: `openssl rand -hex 32`"),
        ({"MIMI_PEPPER": "ab" * 31}, "must set MIMI_PEPPER to 32 bytes or more"),
        ({"MIMI_PEPPER": "cd" * 32 + ",abab"}, "must set MIMI_PEPPER to 32 bytes or more"),
        ({"MIMI_TOKEN_KEY": "cd" * 32 + ",abab"}, "must set MIMI_TOKEN_KEY to 32 bytes or more"),
        ({"MIMI_ID_KEY": "no hex", "MIMI_TOKEN_KEY": "no hex"}, "set MIMI_ID_KEY and MIMI_TOKEN_KEY, each to 32 bytes"),
    ],
)
async def test_invalid_keys_are_refused_and_not_quoted(database: Path, changes: dict[str, str], remedy: str) -> None:
    with pytest.raises(ConfigurationError, match=remedy) as caught:
        await start(database, an_environment(**changes))
    assert "no hex" not in str(caught.value)
    assert "abab" not in str(caught.value)


async def test_a_key_file_that_others_may_read_is_refused(database: Path) -> None:
    await start(database)
    key_file(database).chmod(0o604)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        await start(database)


async def test_a_key_file_that_is_a_link_is_refused(database: Path, tmp_path: Path) -> None:
    await start(database)
    key_file(database).replace(tmp_path / "elsewhere")
    key_file(database).symlink_to(tmp_path / "elsewhere")
    seen = r"can't be opened: Too many levels of symbolic links \(open .*\.keys\): .* name the file itself"
    with pytest.raises(ConfigurationError, match=seen):
        await start(database)


def test_a_fifo_instead_of_the_key_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keys", 0o600)
    with pytest.raises(ConfigurationError, match="must be a regular file of your own"):
        load_from_file(tmp_path / "keys")


async def test_a_key_file_that_is_broken_is_refused(database: Path) -> None:
    await start(database)
    whole = key_file(database).read_text()
    key_file(database).write_text(whole.replace("MIMI_PEPPER=", "MIMI_PEPPER=x"))
    with pytest.raises(ConfigurationError, match=r"must set MIMI_PEPPER to 32 bytes .*: restore it$"):
        await start(database)
    key_file(database).write_text("MIMI_ID_KEY=00\n")
    with pytest.raises(ConfigurationError, match="must set MIMI_ID_KEY and MIMI_PEPPER and MIMI_TOKEN_KEY, each to"):
        await start(database)


def test_two_first_starts_agree_on_one_file(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    create_file(path)
    first = path.read_bytes()
    create_file(path)
    assert path.read_bytes() == first
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    seen = r"can't be written: No such file or directory \(open .*\): check that the folder exists"
    with pytest.raises(ConfigurationError, match=seen):
        create_file(tmp_path / "nowhere" / "keys")
    assert load_from_file(tmp_path / "nowhere" / "keys") is None


def test_every_derivation_depends_on_its_key_and_on_all_its_inputs() -> None:
    keys = Keys(id_key=b"i" * 32, pepper=b"p" * 32, token_keys=(b"t" * 32,))
    other_id = attrs.evolve(keys, id_key=b"j" * 32)
    other_pepper = attrs.evolve(keys, pepper=b"q" * 32)
    key, partner = CreateKey("k" * 64), "acme"
    an_id = keys.derive_id(key, partner)
    assert an_id == keys.derive_id(key, partner) == other_pepper.derive_id(key, partner)
    assert an_id not in (other_id.derive_id(key, partner), keys.derive_id(key, "other"))
    assert an_id != keys.derive_id(CreateKey("k" * 63), "k" + partner)
    assert keys.digest_id(an_id) != other_pepper.digest_id(an_id)
    assert keys.digest_create_key(key) != other_pepper.digest_create_key(key)
    assert keys.digest_client_secret(ClientSecret("k" * 64)) != keys.digest_create_key(key)
    assert keys.digest_test_key("a" * 32, key) != keys.digest_test_key("b" * 32, key)


async def test_the_database_holds_no_key(client: PlainClient) -> None:
    await client.create()
    keys = client.server.context.keys
    folder = client.server.database.parent
    held = b"".join(path.read_bytes() for path in folder.iterdir() if path.suffix != ".keys")
    for key in (keys.id_key, keys.pepper, *keys.token_keys):
        assert key not in held
        assert key.hex().encode() not in held
