"""Private files: created complete or not at all, in folders that no other user may write to."""

import errno
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from ..errors import ConfigurationError

_log = logging.getLogger(__name__)

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_WITHOUT_LINKS: Final = {errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What `link()` answers on exFAT, FAT and Android (where SELinux denies it), and on some network file systems."""

_WITHOUT_MODES: Final = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}
_WITHOUT_FOLDER_SYNC: Final = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}

_UNSUPPORTED = "the file system does not support this call: choose a folder on another one"
_REMEDIES: Final = {
    errno.EACCES: "run as a user that may read and write there, or choose another folder",
    errno.EPERM: "run as a user that may read and write there, or choose another folder",
    errno.EROFS: "mount the file system for writing, or choose another folder",
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.ENOENT: "check that the folder exists",
    errno.ENOTDIR: "a part of the path is a file: choose another path",
    errno.ELOOP: "the path is a symbolic link: name the file itself",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "raise the limit of open files of the machine (`sysctl fs.file-max`)",
    errno.EINVAL: _UNSUPPORTED,
    errno.ENOSYS: _UNSUPPORTED,
    errno.EOPNOTSUPP: _UNSUPPORTED,
    errno.ENOLCK: _UNSUPPORTED,
}


@contextmanager
def system_call(name: str, path: Path) -> Iterator[None]:
    """Add the call, the path and the remedy to the text of an `OSError`."""
    try:
        yield
    except OSError as error:
        number, reason = error.errno or 0, error.strerror or type(error).__name__
    else:
        return
    remedy = _REMEDIES.get(number, "check the disk and its file system")
    raise OSError(number, f"{reason} ({name} {path}): {remedy}")


def check_folder(folder: Path) -> None:
    """Refuse a folder of another user, or one that others than the owner and its private group may write to.

    Raises:
        ConfigurationError: It is refused.
        OSError: The operating system refuses.
    """
    with system_call("stat", folder):
        facts = folder.stat()
    if facts.st_uid not in (0, os.geteuid()):
        msg = f"the folder {folder} belongs to another user: choose one of your own"
        raise ConfigurationError(msg)
    if _may_others(facts, stat.S_IWOTH):
        mode = f"its mode is {stat.S_IMODE(facts.st_mode):o}, its group {facts.st_gid}"
        msg = f"others may write to the folder {folder}: choose a folder of your own{_or_change(folder, facts)}; {mode}"
        raise ConfigurationError(msg)


def _or_change(folder: Path, facts: os.stat_result) -> str:
    if facts.st_mode & stat.S_ISVTX:  # a folder for all, such as /tmp
        return ""
    return f", or `chmod go-w {folder}`" if keeps_modes(folder) else f", or {_mount_remedy()}"


def create_private(path: Path) -> int:
    """Create a file of mode 0600 that must not exist yet, and return its descriptor, open for reading and writing."""
    with system_call("open", path):
        return os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)


def make_private(path: Path, facts: os.stat_result) -> None:
    """Set the mode of a file to 0600. Warn where the file system keeps no modes and others can read the file."""
    if not facts.st_mode & _OTHERS:
        return
    try:
        with system_call("chmod", path):
            path.chmod(0o600)
    except OSError as error:
        if error.errno not in _WITHOUT_MODES:
            raise
    with system_call("stat", path):
        facts = path.stat()
    if may_others_read(facts):
        warn_readable(path)


def may_others_read(facts: os.stat_result) -> bool:
    """Return whether a file can be read or written by others than its owner and the owner's private group."""
    return _may_others(facts, stat.S_IRWXO)


def keeps_modes(folder: Path) -> bool:
    """Return whether the file system holds the modes of files: exFAT and FAT do not. True where that is not known."""
    try:
        with TemporaryFile(dir=folder) as probe:
            return not os.fstat(probe.fileno()).st_mode & _OTHERS
    except OSError:
        return True


def warn_readable(path: Path) -> None:
    """Log that others can read a file whose mode can't be changed: it is the mode of the mount."""
    _log.warning("open %s: other users of this machine can read it: %s", path, _mount_remedy())


def _mount_remedy() -> str:
    return f"mount its file system with uid={os.geteuid()},umask=077: it keeps no modes of files"


def publish(draft: Path, path: Path) -> None:
    """Give a complete file its name on the disk, unless a file of that name exists: another process was first.

    The draft keeps its own name where `link()` was used: the caller deletes it.
    """
    try:
        with system_call("link", path), suppress(FileExistsError):
            os.link(draft, path)
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        _rename_if_absent(draft, path)
    sync_folder(path.parent)


def _rename_if_absent(draft: Path, path: Path) -> None:
    """Rename the draft while no other process does. The lock is the folder's: it ends with the process."""
    import fcntl  # not on Windows, where a store in a file is refused

    with system_call("open", path.parent):
        folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with system_call("flock", path.parent):
            fcntl.flock(folder, fcntl.LOCK_EX)
        with system_call("rename", path):
            if not os.path.lexists(path):
                draft.rename(path)
    finally:
        os.close(folder)


def sync_folder(folder: Path) -> None:
    """Write the entries of a folder to the disk, where the file system can do that for a folder."""
    with system_call("open", folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with system_call("fsync", folder):
            os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _WITHOUT_FOLDER_SYNC:
            raise
    finally:
        os.close(descriptor)


def _may_others(facts: os.stat_result, rights: int) -> bool:
    """Return whether others than the owner and a private group have one of the rights, given as those of "others"."""
    if facts.st_mode & rights:
        return True
    return bool(facts.st_mode & rights << 3) and not _is_private_group(facts)


def _is_private_group(facts: os.stat_result) -> bool:
    """Return whether no other user is in the group of a file. Root does not count.

    That is the user-private group of the owner or of this user, which has its name; a group whose only member is this
    user; or a group of this process that has no name, as containers have it: Kubernetes' fsGroup, `docker run --user`.
    """
    import grp  # not on Windows
    import pwd

    try:
        group = grp.getgrgid(facts.st_gid)
    except KeyError:
        return facts.st_gid in (os.getegid(), *os.getgroups())
    this_user, owner = _user_name(os.geteuid()), _user_name(facts.st_uid)
    trusted = {this_user, owner, _user_name(0)}
    if not trusted.issuperset(group.gr_mem):
        return False
    if group.gr_name in (this_user, owner):
        return True
    others = {user.pw_name for user in pwd.getpwall() if user.pw_gid == facts.st_gid} - trusted
    return this_user in group.gr_mem and not others


def _user_name(uid: int) -> str | None:
    import pwd  # not on Windows

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None
