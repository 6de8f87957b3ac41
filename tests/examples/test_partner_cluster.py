"""The cluster demo: the checks at its end hold, and its exit status says so."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from .. import postgres_server as postgres

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
async def test_a_rolling_restart_under_load_loses_no_id_and_duplicates_no_user() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.demo.cluster", "--accounts", "20", "--visitors", "4"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, out.decode() + err.decode()
    table = dict(line.rsplit(maxsplit=1) for line in out.decode().splitlines() if " s  " not in line)
    assert table == {"accounts": "20", "users": "20", "lost ids": "0", "duplicates": "0", "failed visits": "0"}
    assert out.decode().count("restarted") == 5


@pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL runs as another user only for root")
def test_postgresql_runs_for_root_if_other_users_cannot_read_its_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel, hidden = postgres._installed(), tmp_path / "hidden"
    hidden.mkdir(0o700)
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        (hidden / part.name).symlink_to(part)
    monkeypatch.setattr(postgres, "_installed", lambda: hidden / wheel.name)
    with postgres.Postgres() as server:
        assert Path(server._program("postgres")).is_relative_to(server.folder)
        assert server.execute("SELECT 1") == "1"
    assert not server.folder.exists()
