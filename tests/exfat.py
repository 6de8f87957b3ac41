"""A real exFAT file system for tests: without hard links, without modes of files."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .programs import PATH, require_program, skip_without

PROGRAMS = ("mkfs.exfat", "mount.exfat-fuse", "losetup", "mount", "umount")
PACKAGES = "exfatprogs exfat-fuse fuse3 mount"
PRIVATE = "uid={uid},gid={gid},umask=077"


def _run(*command: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, env=os.environ | {"PATH": PATH}, capture_output=True, text=True, check=False)


def _run_or_skip(*command: str | Path) -> str:
    ended = _run(*command)
    if ended.returncode:
        skip_without(f"root and exFAT: {command[0]}: {ended.stderr.strip()}", PACKAGES)
    return ended.stdout.strip()


def _mount(device: str, mount_point: Path, options: str) -> None:
    """Mount it by the kernel's driver, else by the one in user space."""
    if _run("mount", "-t", "exfat", "-o", options, device, mount_point).returncode:
        _run_or_skip("mount.exfat-fuse", "-o", options, device, mount_point)


@contextmanager
def exfat(folder: Path, options: str = PRIVATE) -> Iterator[Path]:
    """Mount a new file system below a folder; skip the test, or in CI fail it, where that is not possible."""
    for name in PROGRAMS:
        require_program(name, PACKAGES)
    if os.geteuid() != 0:
        skip_without("root", PACKAGES)
    image, mount_point = folder / "exfat.img", folder / "exfat"
    with image.open("wb") as file:
        file.truncate(8 * 1024 * 1024)
    _run_or_skip("mkfs.exfat", image)
    mount_point.mkdir()
    with ExitStack() as stack:
        device = _run_or_skip("losetup", "--find", "--show", image)
        stack.callback(_run, "losetup", "--detach", device)
        _mount(device, mount_point, options.format(uid=os.geteuid(), gid=os.getegid()))
        stack.callback(_run, "umount", "--lazy", mount_point)
        yield mount_point
