"""Folders and files that only their owner, and a group without another user, may use."""

import grp
import os
import pwd
from pathlib import Path

import attrs
import pytest

from mimi_async.databases.private_files import check_folder
from mimi_async.errors import ConfigurationError

ME, OTHER = 54321, 54322
GROUP = 54400
ALONE = "mimi"


@attrs.define
class Machine:
    """The databases of users and groups, and the groups of this process."""

    users: dict[int, tuple[str, int]]
    groups: dict[int, tuple[str, list[str]]]
    supplementary: list[int] = attrs.Factory(list)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: ME)
        monkeypatch.setattr(os, "getegid", lambda: ME)
        monkeypatch.setattr(os, "getgroups", lambda: [ME, *self.supplementary])
        monkeypatch.setattr(pwd, "getpwuid", self._user)
        monkeypatch.setattr(pwd, "getpwall", lambda: [self._user(uid) for uid in self.users])
        monkeypatch.setattr(grp, "getgrgid", self._group)

    def _user(self, uid: int) -> pwd.struct_passwd:
        name, group = self.users[uid]
        return pwd.struct_passwd((name, "x", uid, group, "", "/", "/bin/sh"))

    def _group(self, gid: int) -> grp.struct_group:
        name, members = self.groups[gid]
        return grp.struct_group((name, "x", gid, members))


ROOT_USER = {0: ("root", 0)}
US = ROOT_USER | {ME: (ALONE, ME)}
BOTH = US | {OTHER: ("anna", GROUP)}

PRIVATE = {
    "the user-private group": Machine(US, {GROUP: (ALONE, [])}),
    "the user-private group, which lists its user": Machine(US, {GROUP: (ALONE, [ALONE])}),
    "root's group, for a folder of root": Machine(US, {GROUP: ("root", ["root"])}),
    "a group of which this user is the only member": Machine(US, {GROUP: ("data", [ALONE, "root"])}),
    "a group without a name, by fsGroup": Machine(US, {}, [GROUP]),
    "a group without a name, and a user without one": Machine(ROOT_USER, {}, [GROUP]),
}
SHARED = {
    "a group with another member": Machine(BOTH, {GROUP: ("data", [ALONE, "anna"])}),
    "a group that has the user's name and another member": Machine(BOTH, {GROUP: (ALONE, ["anna"])}),
    "a group that is another user's first group": Machine(BOTH, {GROUP: ("data", [ALONE])}),
    "a group that lists no member": Machine(US, {GROUP: ("users", [])}, [GROUP]),
    "a group without a name to which this process does not belong": Machine(US, {}),
    "another user's private group": Machine(BOTH, {GROUP: ("anna", [])}),
}


def a_folder(monkeypatch: pytest.MonkeyPatch, mode: int, *, owner: int = 0) -> Path:
    """A folder as `stat` shows it: to give a real one away takes root."""
    facts = os.stat_result((0o040000 | mode, 1, 1, 2, owner, GROUP, 4096, 0, 0, 0))
    monkeypatch.setattr(Path, "stat", lambda _: facts)
    return Path("/data")


@pytest.mark.parametrize("mode", [0o775, 0o2775, 0o770], ids=oct)
@pytest.mark.parametrize("machine", PRIVATE.values(), ids=PRIVATE)
def test_a_folder_that_only_a_private_group_may_write_to_is_used(
    monkeypatch: pytest.MonkeyPatch, machine: Machine, mode: int
) -> None:
    machine.install(monkeypatch)
    check_folder(a_folder(monkeypatch, mode))


@pytest.mark.parametrize("machine", SHARED.values(), ids=SHARED)
def test_a_folder_that_another_user_may_write_to_by_its_group_is_refused(
    monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> None:
    machine.install(monkeypatch)
    message = rf"others may write to the folder /data: .*, or `chmod go-w /data`; its mode is 2775, its group {GROUP}"
    with pytest.raises(ConfigurationError, match=message):
        check_folder(a_folder(monkeypatch, 0o2775))


@pytest.mark.parametrize("mode", [0o777, 0o2777, 0o1777, 0o702], ids=oct)
def test_a_folder_that_all_may_write_to_is_refused_even_with_a_private_group(
    monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    PRIVATE["the user-private group"].install(monkeypatch)
    with pytest.raises(ConfigurationError, match="others may write to the folder /data: choose a folder of your own"):
        check_folder(a_folder(monkeypatch, mode))


def test_the_folder_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    PRIVATE["the user-private group"].install(monkeypatch)
    with pytest.raises(ConfigurationError, match="the folder /data belongs to another user: choose one of your own"):
        check_folder(a_folder(monkeypatch, 0o755, owner=OTHER))
