"""Many processes on one file, new or old, on each kind of file system."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from mimi_async.stores import SQLiteStore
from tests.conftest import rounds
from tests.exfat import exfat

from .claimant import claim_at_once


@pytest.mark.parametrize("file", ["a new file", "an old file", "a new file on exFAT"])
async def test_eight_processes_that_claim_the_same_accounts_agree(tmp_path: Path, file: str) -> None:
    accounts = rounds(20, 500)
    with ExitStack() as stack:
        folder = stack.enter_context(exfat(tmp_path)) if "exFAT" in file else tmp_path
        path = folder / "ids.sqlite3"
        if "old" in file:
            async with SQLiteStore(path):
                pass
        found = claim_at_once("sqlite", folder, accounts=accounts, processes=8)
        async with SQLiteStore(path) as store:
            stored = [await store.load(f"{number}") for number in range(accounts)]
        revisions = [record.revision.hex() for record in stored if record is not None]
        assert len(revisions) == accounts
        assert found == [revisions] * 8
        assert [each.name for each in folder.iterdir()] == ["ids.sqlite3"]
