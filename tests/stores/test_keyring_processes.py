"""Processes that open one file for the first time at once, and processes that are killed while they do."""

import subprocess
import sys
from pathlib import Path

from mimi_async.errors import StoreUnavailableError
from mimi_async.testing.store_contract_base import fresh_active
from tests.conftest import rounds

from .claimant import ROOT, claim_at_once
from .keyrings import FileKeyring, fingerprint_at, keyring_at, store_at


async def test_processes_that_start_for_the_first_time_at_once_agree_on_one_key(tmp_path: Path) -> None:
    for number in range(rounds(1, 50)):
        folder = tmp_path / str(number)
        folder.mkdir()
        found = claim_at_once("keyring", folder, processes=4)
        assert list(keyring_at(folder).entries()) == [fingerprint_at(folder)], "each loser deletes its key"
        async with store_at(folder) as store:
            record = await store.load("0")
        assert record is not None
        assert found == [[record.revision.hex()]] * 4


async def test_a_process_that_is_killed_at_any_step_leaves_a_file_that_opens(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.stores.keyring_victim", str(tmp_path / "folder")]
    ended = subprocess.run(command, cwd=ROOT, check=True, timeout=100, stdout=subprocess.PIPE)
    stages: list[tuple[bool, bool, bool]] = []
    for number in range(1, int(ended.stdout) + 1):
        folder = tmp_path / f"folder-{number}"
        has_file = (folder / "ids.sqlite3").exists()
        fingerprint = fingerprint_at(folder) if has_file else None
        entries = keyring_at(folder).entries()
        assert fingerprint is None or fingerprint in entries, "the file names a key that the keyring holds"
        stage = (has_file, bool(entries), fingerprint is not None)
        if stages[-1:] != [stage]:
            stages.append(stage)
            await check_it_goes_on(folder, fingerprint)
    assert stages == [(False, False, False), (True, False, False), (True, True, False), (True, True, True)]


async def check_it_goes_on(folder: Path, fingerprint: str | None) -> None:
    """The next opening succeeds, with the key that the file names; another keyring opens no file that names a key."""
    other = store_at(folder, FileKeyring(folder / "other"))
    if fingerprint is not None:
        try:
            await other.__aenter__()
        except StoreUnavailableError:
            assert fingerprint_at(folder) == fingerprint
    async with store_at(folder) as store:
        record = await store.claim("a", fresh_active())
    assert fingerprint in (None, fingerprint_at(folder))
    async with store_at(folder) as store:
        assert await store.load("a") == record
