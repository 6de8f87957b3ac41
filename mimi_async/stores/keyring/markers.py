"""The files beside the keyring that say for which accounts it holds a record; and the lock that all processes share.

A marker holds no secret: it names the account, what was last begun or done, and the revisions of records.
"""

import hashlib
import json
import os
import re
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, Self, cast, get_args

import attrs

from ...errors import ConfigurationError, StoreUnavailableError
from .thread import Wanted

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

Doing = Literal["writing", "written", "forgetting", "forgotten"]

_NAME = re.compile("[0-9a-f]{64}", re.ASCII)
_PAUSE = 0.003
"""Seconds between two looks at a lock: to wait in the call itself would have no end."""

_READING = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_WRITING = _READING | os.O_RDWR | os.O_CREAT


def name_of(account: str) -> str:
    """Return what stands for an account in the names of files and entries: any system can hold it, and tells all apart.

    Some keyrings fold case or normal forms, or have no room for 200 characters.
    """
    return hashlib.sha256(account.encode()).hexdigest()


@attrs.frozen(kw_only=True)
class Marker:
    """What was last begun or done with the record of an account.

    Attributes:
        account: The account, None where the marker can't be read.
        doing: "writing": a record was to be written over `before` · "written": it was written and read back ·
            "forgetting": a tombstone was to be written over `before` · "forgotten": it was written and read back.
        revision: Of that record or tombstone, in hex; None where it is not known: any may be found.
        before: Of the record that was to be written over; None if there was none, or if it can't be read.
    """

    account: str | None
    doing: Doing
    revision: str | None
    before: str | None = None

    @classmethod
    def writing(cls, account: str, new: bytes, before: bytes | None) -> Self:
        """Return what to say before a record is written."""
        return cls(account=account, doing="writing", revision=new.hex(), before=_hex(before))

    @classmethod
    def written(cls, account: str, record: bytes) -> Self:
        """Return what to say before anybody is told of a record."""
        return cls(account=account, doing="written", revision=record.hex())

    @classmethod
    def forgetting(cls, account: str, tombstone: bytes, before: bytes | None) -> Self:
        """Return what to say before a tombstone is written."""
        return cls(account=account, doing="forgetting", revision=tombstone.hex(), before=_hex(before))

    @classmethod
    def forgotten(cls, account: str, tombstone: bytes) -> Self:
        """Return what to say before a tombstone is deleted, and before anybody is told that a record is gone."""
        return cls(account=account, doing="forgotten", revision=tombstone.hex())

    @property
    def allows_absence(self) -> bool:
        """Whether there may be nothing: nobody was told of a first record yet, or it is gone."""
        return self.doing == "forgotten" or (self.doing == "writing" and self.before is None)

    @property
    def is_overwriting(self) -> bool:
        """Whether a record was to be written over, of which there is a copy."""
        return self.doing in ("writing", "forgetting") and not self.allows_absence

    def allows_record(self, revision: bytes) -> bool:
        """Tell whether it may be the record of this revision.

        Where there may be nothing nobody was told of any record since, and any that turns up counts. So does any where
        damage was to be forgotten: it may be what the damage was.
        """
        any_counts = self.allows_absence or (self.doing == "forgetting" and self.before is None)
        return any_counts or self.revision is None or revision.hex() in (self.revision, self.before)

    def allows_tombstone(self, revision: bytes) -> bool:
        """Tell whether it may be the tombstone of this revision: any will do where there may be nothing."""
        return self.allows_absence or (self.doing == "forgetting" and self.revision == revision.hex())


def _hex(revision: bytes | None) -> str | None:
    return None if revision is None else revision.hex()


_UNREADABLE = Marker(account=None, doing="written", revision=None)
"""A marker that can't be read says that there is a record, and not which."""


class Markers:
    """The folder of the markers of one service."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> None:
        """Make the folder, mode 0700, or check the one that is there.

        Raises:
            ConfigurationError: It is no place for markers, or this system can't lock files.
            OSError: The operating system refuses.
        """
        if fcntl is None:
            msg = "a KeyringStore needs a system with fcntl, such as Linux or macOS: use another store on this one"
            raise ConfigurationError(msg)
        for folder in reversed([each for each in (self.folder, *self.folder.parents) if not each.exists()]):
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
                _sync(folder.parent)
        for folder in (self.folder.parent, self.folder):
            _check(folder)

    @contextmanager
    def lock(self, wanted: Wanted) -> Iterator[None]:
        """Keep all others of this machine out.

        Who comes waits at the door first, where the next one stands: nobody who comes back at once goes before it.

        Raises:
            StoreUnavailableError: The caller no longer waits.
            OSError: The operating system refuses.
        """
        door = _taken(self.folder / "door", wanted)
        try:
            lock = _taken(self.folder / "lock", wanted)
        finally:
            _let_go(door)
        try:
            _check_wanted(wanted)
            yield
        finally:
            _let_go(lock)

    def path(self, account: str) -> Path:
        """Return where the marker of an account lies."""
        return self.folder / name_of(account)

    def read(self, account: str) -> Marker | None:
        """Return the marker, None if there is none."""
        try:
            return _read(self.path(account))
        except FileNotFoundError:
            return None

    def read_all(self) -> list[Marker]:
        """Return all markers."""
        return [_read(path) for path in sorted(self.folder.iterdir()) if _NAME.fullmatch(path.name)]

    def write(self, marker: Marker) -> None:
        """Put the marker in place of the one that is there: whole or not at all, and on the disk."""
        path = self.path(cast("str", marker.account))
        draft = path.with_suffix(".draft")
        with os.fdopen(os.open(draft, _WRITING | os.O_TRUNC, 0o600), "w") as file:
            file.write(json.dumps(attrs.asdict(marker)))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _sync(self.folder)

    def remove(self, account: str) -> None:
        """Take the marker away."""
        self.path(account).unlink(missing_ok=True)
        _sync(self.folder)


def default_folder() -> Path:
    """Return where a program keeps its state.

    Raises:
        ConfigurationError: There is no home.
    """
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if state.is_absolute():
        return state / "mimi_async" / "keyring"
    try:
        home = Path.home()
    except RuntimeError:
        msg = "there is no home folder: name the folder of the KeyringStore"
    else:
        state = home / ("Library/Application Support" if sys.platform == "darwin" else ".local/state")
        return state / "mimi_async" / "keyring"
    raise ConfigurationError(msg)


def _check(folder: Path) -> None:
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode):
        msg = f"{folder} is a link or no folder: name the folder itself"
    elif facts.st_uid != os.geteuid():
        msg = f"the folder {folder} belongs to another user: choose one of your own"
    elif facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        msg = f"others may write to the folder {folder}: choose a folder of your own, or `chmod go-w {folder}`"
    else:
        return
    raise ConfigurationError(msg)


def _taken(path: Path, wanted: Wanted) -> int:
    descriptor = os.open(path, _WRITING, 0o600)
    try:
        while not _is_locked(descriptor):
            _check_wanted(wanted)
            time.sleep(_PAUSE)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_wanted(wanted: Wanted) -> None:
    if not wanted():
        msg = "another process held the keyring for too long"
        raise StoreUnavailableError(msg)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _let_go(descriptor: int) -> None:
    """Unlock and close: where a child was forked meanwhile, which has the file open too, to close is not enough."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _read(path: Path) -> Marker:
    with os.fdopen(os.open(path, _READING), "rb") as file:
        text = file.read()
    try:
        marker = Marker(**json.loads(text))
        is_whole = name_of(cast("str", marker.account)) == path.name
    except (ValueError, TypeError, AttributeError, RecursionError):
        return _UNREADABLE
    return marker if is_whole and marker.doing in get_args(Doing) else _UNREADABLE


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
