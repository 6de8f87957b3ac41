"""`mimi-async store` on a keyring store, as processes."""

from pathlib import Path

from mimi_async.stores import SQLiteStore
from mimi_async.testing.store_contract_base import fresh_active

from ..server.processes import Ended, run
from ..stores.keyrings import SERVICE, keyring_at, store_at


async def run_with_keyring(folder: Path, *arguments: str) -> Ended:
    environ = {
        "PYTHON_KEYRING_BACKEND": "tests.cli.keyring_of_environment.KeyringOfEnvironment",
        "KEYRING_FILE": f"{folder}/keyring.sqlite3",
        "XDG_DATA_HOME": str(folder / "data"),
    }
    return await run("store", *arguments, environ=environ)


async def test_init_check_and_copy_take_a_keyring_with_a_path(tmp_path: Path) -> None:
    url = f"keyring://{SERVICE}?path={tmp_path}/ids.sqlite3"
    for words in ("is new, and empty", "existed, and was kept as it is"):
        ended = await run_with_keyring(tmp_path, "init", url)
        assert (ended.status, ended.err.splitlines()[-1]) == (0, f"{store_at(tmp_path)!r} is ready: it {words}")
    async with SQLiteStore(tmp_path / "plain") as plain:
        record = await plain.claim("a", fresh_active())
    copied = await run_with_keyring(tmp_path, "copy", f"sqlite:///{tmp_path}/plain", url)
    assert (copied.status, copied.out.split()[:2]) == (0, ["copied", "1"]), copied.err
    async with store_at(tmp_path) as store:
        assert await store.load("a") == record
    checked = await run_with_keyring(tmp_path, "check", f"{url}&mode=rw")
    assert (checked.status, checked.out.split()[:2]) == (0, ["active", "1"]), checked.err
    back = await run_with_keyring(tmp_path, "copy", url, f"sqlite:///{tmp_path}/back")
    assert (back.status, back.out.split()[:2]) == (0, ["copied", "1"]), back.err
    (key,) = keyring_at(tmp_path).entries().values()
    assert key not in "".join(ended.out + ended.err for ended in (copied, checked, back))


async def test_check_creates_nothing(tmp_path: Path) -> None:
    for url in (f"keyring://{SERVICE}", f"keyring://{SERVICE}?path={tmp_path}/ids"):
        ended = await run_with_keyring(tmp_path, "check", url)
        assert (ended.status, "there is no file" in ended.err) == (2, True), ended.err
    assert list(tmp_path.iterdir()) == []


async def test_a_missing_key_ends_a_check_with_the_remedy(tmp_path: Path) -> None:
    async with store_at(tmp_path) as store:
        await store.claim("a", fresh_active())
    (tmp_path / "keyring.sqlite3").unlink()
    ended = await run_with_keyring(tmp_path, "check", f"keyring://{SERVICE}?path={tmp_path}/ids.sqlite3")
    assert (ended.status, ended.out) == (1, "")
    assert "the keyring does not hold the key" in ended.err
    assert "unlock the keyring" in ended.err


async def test_copy_refuses_the_same_file_as_source_and_target(tmp_path: Path) -> None:
    async with store_at(tmp_path):
        pass
    url = f"keyring://{SERVICE}?path={tmp_path}/ids.sqlite3"
    for source, target in ((url, f"{url}&mode=rw"), (url, f"sqlite:///{tmp_path}/ids.sqlite3")):
        ended = await run_with_keyring(tmp_path, "copy", source, target)
        assert (ended.status, "another store than SOURCE" in ended.err) == (2, True), ended.err
