"""The keys of the server, from the environment or a private file beside the SQLite database."""

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ..databases.private_files import create_private, keeps_modes, may_others_read, publish, system_call, warn_readable
from ..errors import ConfigurationError
from .keys import KEY_BYTES, Keys

NAMES: Final = ("MIMI_ID_KEY", "MIMI_PEPPER", "MIMI_TOKEN_KEY")
"""The variables, in the environment and in the file. Each is 32 bytes or more in hex digits.

MIMI_TOKEN_KEY may be several keys, separated by commas, for a rotation: the first signs, all verify.
"""

_OPEN_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""A symlink is refused. A FIFO is opened without waiting for its other end, and then refused."""

_PREAMBLE = """\
# The keys of a mimi_async identity server. Keep a copy in a safe place, apart from the database:
# without MIMI_ID_KEY and MIMI_PEPPER no anonymousId can be recognised any more.
"""


def load_from_environment(environ: Mapping[str, str]) -> Keys | None:
    """Return the keys of the environment, or None if it has none of the variables.

    Raises:
        ConfigurationError: Only some of the variables are set, or a value is not a valid key. A variable that is set
            and empty is refused: its value was lost, and new keys would be created.
    """
    if not any(name in environ for name in NAMES):
        return None
    missing = [name for name in NAMES if not environ.get(name)]
    if missing:
        msg = f"{' and '.join(missing)} must have a value: the environment sets all three keys of the server, or none"
        raise ConfigurationError(msg)
    remedy = f"`openssl rand -hex {KEY_BYTES}` generates one for a new database"
    return _parse_keys(environ, "the environment", remedy)


def load_from_file(path: Path) -> Keys | None:
    """Return the keys of a file, or None if the file does not exist.

    Raises:
        ConfigurationError: The file is not private, or cannot be read.
    """
    try:
        with system_call("open", path):
            descriptor = os.open(path, _OPEN_FLAGS)
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"the key file {path} can't be opened: {error.strerror}"
        raise ConfigurationError(msg) from None
    with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
        _check_private(path, os.fstat(descriptor))
        lines = (line.strip().partition("=") for line in file if not line.startswith("#"))
        return _parse_keys({name: value for name, _, value in lines}, f"the key file {path}", "restore it")


def _check_private(path: Path, status: os.stat_result) -> None:
    is_own_file = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
    if is_own_file and not may_others_read(status):
        return
    if not is_own_file or keeps_modes(path.parent):
        msg = f"the key file {path} must be a regular file of your own that no other user may read: `chmod 600 {path}`"
        raise ConfigurationError(msg)
    warn_readable(path)


def create_file(path: Path) -> None:
    """Write new keys to a file of mode 0600, atomically. An existing file is kept: another process created it first.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    text = _PREAMBLE + "".join(f"{name}={secrets.token_hex(KEY_BYTES)}\n" for name in NAMES)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = create_private(temporary)
        with system_call("write", temporary), os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        publish(temporary, path)
    except OSError as error:
        msg = f"the key file {path} can't be written: {error.strerror}"
        raise ConfigurationError(msg) from None
    finally:
        temporary.unlink(missing_ok=True)


def _parse_keys(texts: Mapping[str, str], source: str, remedy: str) -> Keys:
    keys = {name: _parse(name, texts.get(name, "")) for name in NAMES}
    invalid = [name for name, parsed in keys.items() if not parsed]
    if invalid:
        each = ", each" if len(invalid) > 1 else ""
        msg = f"{source} must set {' and '.join(invalid)}{each} to {KEY_BYTES} bytes or more in hex digits: {remedy}"
        raise ConfigurationError(msg)
    (id_key,), (pepper,), token_keys = keys.values()
    return Keys(id_key=id_key, pepper=pepper, token_keys=token_keys)


def _parse(name: str, text: str) -> tuple[bytes, ...]:
    """Return the keys in the value of a variable, or () if one of them is not a valid key."""
    try:
        keys = tuple(map(bytes.fromhex, text.split(",") if name == NAMES[2] else [text]))
    except ValueError:
        return ()
    return keys if all(len(key) >= KEY_BYTES for key in keys) else ()


def check_different(keys: Keys) -> None:
    """Refuse a key with two purposes, for a new database. In an existing one every anonymousId depends on it already.

    Raises:
        ConfigurationError: Two variables have a key in common. The message does not quote it.
    """
    sets = dict(zip(NAMES, ({keys.id_key}, {keys.pepper}, {*keys.token_keys}), strict=True))
    equal = [name for name in NAMES if any(sets[name] & sets[other] for other in NAMES if other != name)]
    if equal:
        msg = (
            f"{' and '.join(equal)} hold the same key: a new database needs three different keys; generate each with "
            f"`openssl rand -hex {KEY_BYTES}`"
        )
        raise ConfigurationError(msg)
