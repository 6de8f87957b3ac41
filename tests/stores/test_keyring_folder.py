"""Where the markers lie, and where they may not."""

import os
import stat
from pathlib import Path

import pytest

from mimi_async.errors import ConfigurationError, StoreUnavailableError
from mimi_async.stores import KeyringStore
from mimi_async.stores.keyring import markers
from mimi_async.testing.store_scenarios import fresh_active

from .keyrings import SERVICE, keyring_at, marker_at, store_at

NOBODY = 65534


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def refused(place: Path, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        async with store_at(place):
            pass


async def test_files_and_folders_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        async with store_at(tmp_path) as store:
            await store.claim("a", fresh_active())
    finally:
        os.umask(before)
    folder = marker_at(tmp_path).parent
    assert mode_of(folder) == mode_of(folder.parent) == 0o700
    assert {mode_of(file) for file in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("level", [0, 1], ids=["of all services", "of the service"])
async def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path, level: int) -> None:
    async with store_at(tmp_path):
        folder = [tmp_path / "markers", marker_at(tmp_path).parent][level]
    folder.chmod(0o777)
    await refused(tmp_path, f"others may write to the folder {folder}: choose .* `chmod go-w {folder}`")


async def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "markers").symlink_to(tmp_path / "elsewhere")
    await refused(tmp_path, "is a link or no folder: name the folder itself")


async def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "markers").symlink_to(tmp_path / "nowhere")
    with pytest.raises((ConfigurationError, StoreUnavailableError)):
        async with store_at(tmp_path):
            pass
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
async def test_the_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    async with store_at(tmp_path):
        os.chown(marker_at(tmp_path).parent, NOBODY, NOBODY)
    await refused(tmp_path, "belongs to another user: choose one of your own")


async def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "markers").write_text("")
    with pytest.raises(StoreUnavailableError, match=r"the markers of the keyring store .* can't be used: Not a dir"):
        async with store_at(tmp_path):
            pass


async def test_a_marker_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    async with store_at(tmp_path) as store:
        await store.claim("a", fresh_active())
        marker = marker_at(tmp_path)
        marker.rename(tmp_path / "elsewhere")
        marker.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(StoreUnavailableError, match=r"the markers of the keyring store .* can't be used"):
            await store.load("a")


@pytest.mark.parametrize("state_home", ["", "relative", None])
async def test_the_folder_is_below_the_home_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state_home: str | None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    if state_home is not None:
        monkeypatch.setenv("XDG_STATE_HOME", state_home)
    async with KeyringStore(SERVICE, backend=keyring_at(tmp_path)) as store:
        await store.claim("a", fresh_active())
    assert len(list((tmp_path / ".local/state/mimi_async/keyring").glob("*/*"))) == 3


async def test_the_folder_is_in_the_state_home_where_one_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    async with KeyringStore(SERVICE, backend=keyring_at(tmp_path)):
        assert (tmp_path / "state/mimi_async/keyring").is_dir()


async def test_a_machine_without_a_home_is_told_to_name_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(ConfigurationError, match="there is no home folder: name the folder of the KeyringStore"):
        async with KeyringStore(SERVICE):
            pass


async def test_a_system_that_can_not_lock_files_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markers, "fcntl", None)
    await refused(tmp_path, "needs a system with fcntl, such as Linux or macOS")
