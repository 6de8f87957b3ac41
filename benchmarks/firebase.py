"""The Firebase Auth emulator, from npm's `firebase-tools`, in a cache outside the checkout."""

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from .harness import SkippedError
from .server import free_port, started

SIGN_UP = "/identitytoolkit.googleapis.com/v1/accounts:signUp?key=any"

_PACKAGE = "firebase-tools@15.30.0"
_INSTALL_SECONDS = 900


@contextlib.asynccontextmanager
async def emulator(*, may_install: bool) -> AsyncIterator[str]:
    """Run the emulator as its documentation says, with Auth alone; yield its address.

    Raises:
        SkippedError: node is missing, or the package and `may_install` is False, or npm could not install it.
    """
    program = await asyncio.to_thread(_find, may_install=may_install)
    with tempfile.TemporaryDirectory() as name:
        port = free_port()
        here = "127.0.0.1"
        ports = {service: {"host": here, "port": free_port()} for service in ("hub", "logging")}
        settings = {"emulators": {"auth": {"host": here, "port": port}, "ui": {"enabled": False}, **ports}}
        await asyncio.to_thread(Path(name, "firebase.json").write_text, json.dumps(settings))
        # A project "demo-…" asks nothing of Google. The emulator writes its settings into the home folder.
        command = (str(program), "emulators:start", "--only", "auth", "--project", "demo-bench")
        extra = {"HOME": name, "XDG_CONFIG_HOME": name, "CI": "1"}
        async with started(*command, url=f"http://{here}:{port}", path="/", cwd=Path(name), extra=extra) as url:
            yield url


def _find(*, may_install: bool) -> Path:
    if not (shutil.which("node") and shutil.which("npm")):
        msg = "node is missing: install nodejs and npm"
        raise SkippedError(msg)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "mimi-async-bench", _PACKAGE)
    program = cache / "node_modules" / ".bin" / "firebase"
    complete = cache / "complete"
    if complete.exists():
        return program
    if not may_install:
        msg = f"{_PACKAGE} is not installed yet: make bench ARGS=firebase"
        raise SkippedError(msg)
    cache.mkdir(parents=True, exist_ok=True)
    # Without scripts and optional packages nothing is compiled; the Auth emulator is plain JavaScript.
    options = ("--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--loglevel=error")
    command = ("npm", "install", "--prefix", str(cache), *options, _PACKAGE)
    try:
        subprocess.run(command, check=True, cwd=cache, timeout=_INSTALL_SECONDS, stdout=subprocess.DEVNULL)
    except (subprocess.SubprocessError, OSError):
        msg = f"npm could not install {_PACKAGE}: check the network, then make bench ARGS=firebase"
        raise SkippedError(msg) from None
    complete.touch()
    return program
