"""A PgBouncer in front of a PostgreSQL on this machine."""

import contextlib
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from ...postgres_server import Postgres
from ...programs import require_program

_STARTS_WITHIN = 60.0


def tracks_statements() -> bool:
    """Return whether this PgBouncer has `max_prepared_statements`: since 1.21."""
    out = subprocess.run(
        [require_program("pgbouncer", "pgbouncer"), "--version"], check=True, capture_output=True, text=True
    ).stdout
    major, minor = map(int, re.findall(r"\d+", out)[:2])
    return (major, minor) >= (1, 21)


class PgBouncer:
    """A pooler on a free port of loopback, without a password. `with` starts it; leaving it ends it.

    Args:
        postgres: Where it leads.
        settings: Of its section [pgbouncer].
    """

    def __init__(self, postgres: Postgres, **settings: object) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mimi-pgbouncer-"))
        self._postgres = postgres
        self._settings = {
            "pool_mode": "transaction",
            "default_pool_size": 4,
            "max_client_conn": 200,
            "listen_addr": "127.0.0.1",
            "unix_socket_dir": "",
            "auth_type": "any",
            "auth_file": self.folder / "users",
        } | settings
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def __enter__(self) -> Self:
        (self.folder / "users").write_text('"postgres" ""\n')
        lines = [f"* = host=127.0.0.1 port={self._postgres.port} user=postgres", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in {**self._settings, "listen_port": self.port}.items()]
        (self.folder / "ini").write_text("\n".join(["[databases]", *lines, ""]))
        self.folder.chmod(0o755)
        user = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [require_program("pgbouncer", "pgbouncer"), str(self.folder / "ini")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=user,
                group=None if user is None else pwd.getpwnam(user).pw_gid,
                extra_groups=None if user is None else [],
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder)

    def dsn_of(self, dsn: str) -> str:
        """Return the address of the same database by way of the pooler."""
        return dsn.replace(f":{self._postgres.port}/", f":{self.port}/")

    def _wait_until_ready(self) -> None:
        until = time.monotonic() + _STARTS_WITHIN
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.05)
        sys.stderr.write((self.folder / "log").read_text())
        msg = "PgBouncer did not start: its log is above"
        raise RuntimeError(msg)
