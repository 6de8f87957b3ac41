"""A real Secret Service for tests: GNOME Keyring on a private bus, in a private folder."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs
import secretstorage
from jeepney.io.blocking import DBusConnection, open_dbus_connection  # type: ignore[import-untyped]  # carries none
from secretstorage.util import DBusAddressWrapper, format_secret, open_session

from ..programs import require_program

NEEDED = ("dbus-daemon", "gnome-keyring-daemon")
LOGIN = "/org/freedesktop/secrets/collection/login"
PASSWORD = b"password of the keyring"
SECONDS = 30.0

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir={folder}</listen>
  <policy context="default">
    <allow send_destination="*"/><allow own="*"/><allow receive_sender="*"/>
  </policy>
</busconfig>
"""
"""No service is started on demand: no other keyring answers, and no window asks for a password."""


@attrs.frozen
class SecretService:
    """The bus, and the lock of its keyring."""

    address: str
    daemon: "subprocess.Popen[bytes]"

    @contextmanager
    def _collection(self) -> Iterator[secretstorage.Collection]:
        with open_dbus_connection(self.address) as bus:
            yield secretstorage.Collection(bus, LOGIN)

    def lock(self) -> None:
        with self._collection() as collection:
            collection.lock()
            assert collection.is_locked()

    def unlock(self) -> None:
        """Unlock it as the log-in to a desktop does, without a window."""
        with self._collection() as collection:
            unlock(collection.connection)
            assert not collection.is_locked()

    def is_open(self) -> bool:
        try:
            with self._collection() as collection:
                return not collection.is_locked()
        except secretstorage.exceptions.SecretStorageException:
            return False


def unlock(bus: DBusConnection) -> None:
    service = DBusAddressWrapper(
        "/org/freedesktop/secrets", "org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface", bus
    )
    secret = format_secret(open_session(bus), PASSWORD, "text/plain")
    service.call("UnlockWithMasterPassword", "o(oayays)", LOGIN, secret)


@contextmanager
def running(command: list[str], environment: Mapping[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def started(folder: Path) -> Iterator[SecretService]:
    """Start both programs; end them."""
    for program in NEEDED:
        require_program(program, "gnome-keyring dbus")
    names = ("HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **dict.fromkeys(names, str(folder))}
    (folder / "bus.conf").write_text(BUS.format(folder=folder))
    with ExitStack() as stack:
        command = ["dbus-daemon", f"--config-file={folder / 'bus.conf'}", "--nofork", "--print-address=1"]
        bus = stack.enter_context(running(command, environment))
        assert bus.stdout is not None
        environment["DBUS_SESSION_BUS_ADDRESS"] = bus.stdout.readline().decode().strip()
        command = ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"]
        daemon = stack.enter_context(running(command, environment))
        assert daemon.stdin is not None
        daemon.stdin.write(PASSWORD)
        daemon.stdin.close()
        service = SecretService(environment["DBUS_SESSION_BUS_ADDRESS"], daemon)
        deadline = time.monotonic() + SECONDS
        while not service.is_open():
            assert time.monotonic() < deadline, "GNOME Keyring did not start"
            time.sleep(0.05)
        yield service
