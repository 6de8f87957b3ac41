"""The server starts where only its user, and that user's private group, may write; and without hard links."""

import grp
import os
import pwd
import signal
from pathlib import Path

import pytest

from ..exfat import exfat
from .processes import COMMAND, serving

NEW_CLONE = ("sh", "-c", 'umask 002 && mkdir -p -- "$0" && cd -- "$0" && exec "$@"')


def has_private_group() -> bool:
    user = pwd.getpwuid(os.geteuid())
    return grp.getgrgid(user.pw_gid).gr_name == user.pw_name and os.getegid() == user.pw_gid


needs_private_group = pytest.mark.skipif(not has_private_group(), reason="this user has no group of its own")


def modes_in(folder: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mode & 0o777 for file in folder.iterdir()}


@needs_private_group
async def test_serve_starts_twice_in_a_new_clone_under_umask_002(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    for _ in range(2):
        async with serving("sqlite:///users.sqlite3", command=(*NEW_CLONE, str(clone), *COMMAND)) as server:
            assert (await server.end(signal.SIGTERM)).status == 0
    assert clone.stat().st_mode & 0o777 == 0o775
    assert modes_in(clone) == {"users.sqlite3": 0o600, "users.sqlite3.keys": 0o600}


@needs_private_group
async def test_serve_starts_again_after_kubernetes_has_given_the_files_to_the_group(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(0o2775)
    database = volume / "users.sqlite3"
    async with serving(database) as server:
        await server.end(signal.SIGTERM)
    for file in volume.iterdir():
        file.chmod(0o660)
    async with serving(database) as server:
        assert (await server.end(signal.SIGTERM)).status == 0


async def test_serve_starts_twice_on_exfat(tmp_path: Path) -> None:
    with exfat(tmp_path) as folder:
        keys = set[bytes]()
        for _ in range(2):
            async with serving(folder / "users.sqlite3") as server:
                assert (await server.end(signal.SIGTERM)).status == 0
            keys.add((folder / "users.sqlite3.keys").read_bytes())
        assert sorted(file.name for file in folder.iterdir()) == ["users.sqlite3", "users.sqlite3.keys"]
        assert len(keys) == 1


async def test_serve_on_exfat_that_others_can_read_warns_of_both_files(tmp_path: Path) -> None:
    with exfat(tmp_path, "uid={uid},gid={gid},umask=022") as folder:
        async with serving(folder / "users.sqlite3") as server:
            ended = await server.end(signal.SIGTERM)
        for name in ("users.sqlite3", "users.sqlite3.keys"):
            assert f"open {folder / name}: other users of this machine can read it: mount its file" in ended.err
