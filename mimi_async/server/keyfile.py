"""Where the keys come from: the environment, or a private file beside the embedded database."""

import os
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..errors import ConfigurationError
from .keys import KEY_BYTES, Keys

NAMES: Final = ("MIMI_ID_KEY", "MIMI_PEPPER", "MIMI_TOKEN_KEY")
"""The variables, in the environment and in the file. Each holds 32 bytes or more in hex digits.

MIMI_TOKEN_KEY may hold several, separated by commas: the first signs, all verify, so that it can be rotated.
"""

_PREAMBLE = """\
# The keys of a mimi_async identity server. Keep a copy in a safe place, apart from the database:
# without MIMI_ID_KEY and MIMI_PEPPER every anonymousId is unknown for ever.
"""


def from_environment(environ: Mapping[str, str]) -> Keys | None:
    """Return the keys that the environment names, None where it names none.

    Raises:
        ConfigurationError: It names some of them only, or one that is no key.
    """
    missing = [name for name in NAMES if not environ.get(name)]
    if len(missing) == len(NAMES):
        return None
    if missing:
        msg = f"set {' and '.join(missing)} too: an environment that gives one key of the server must give all three"
        raise ConfigurationError(msg)
    remedy = f"`openssl rand -hex {KEY_BYTES}` makes one for a new database"
    return _keys({name: environ[name] for name in NAMES}, "the environment", remedy)


def from_file(path: Path) -> Keys | None:
    """Return the keys of a file, None where there is no such file.

    Raises:
        ConfigurationError: The file is not private, or it can't be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        msg = f"the key file {path} can't be opened: {error.strerror}"
        raise ConfigurationError(msg) from None
    with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
            msg = f"the key file {path} must be a file of your own that nobody else may read: `chmod 600 {path}`"
            raise ConfigurationError(msg)
        lines = (line.strip().partition("=") for line in file if not line.startswith("#"))
        return _keys({name: value for name, _, value in lines}, f"the key file {path}", "restore it")


def make_file(path: Path) -> None:
    """Write new keys into a file of mode 0600, whole or not at all. One that another process made first is kept.

    Raises:
        ConfigurationError: It can't be written.
    """
    text = _PREAMBLE + "".join(f"{name}={secrets.token_hex(KEY_BYTES)}\n" for name in NAMES)
    building = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        _write(building, path, text)
    except OSError as error:
        msg = f"the key file {path} can't be written: {error.strerror}"
        raise ConfigurationError(msg) from None
    finally:
        building.unlink(missing_ok=True)


def _write(building: Path, path: Path, text: str) -> None:
    descriptor = os.open(building, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    with suppress(FileExistsError):  # another process was first: its keys are the keys
        os.link(building, path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _keys(texts: Mapping[str, str], source: str, remedy: str) -> Keys:
    keys = {name: _read(name, texts.get(name, "")) for name in NAMES}
    bad = [name for name, read in keys.items() if not read]
    if bad:
        each = ", each" if len(bad) > 1 else ""
        msg = f"{source} must set {' and '.join(bad)}{each} to {KEY_BYTES} bytes or more in hex digits: {remedy}"
        raise ConfigurationError(msg)
    (id_key,), (pepper,), token_keys = keys.values()
    return Keys(id_key=id_key, pepper=pepper, token_keys=token_keys)


def _read(name: str, text: str) -> tuple[bytes, ...]:
    """Return the keys in the text of a variable, none where one of them is no key."""
    try:
        keys = tuple(map(bytes.fromhex, text.split(",") if name == NAMES[2] else [text]))
    except ValueError:
        return ()
    return keys if all(len(key) >= KEY_BYTES for key in keys) else ()


def check_different(keys: Keys) -> None:
    """Refuse a key that serves two purposes, for a new database: in an old one every id hangs on it already.

    Raises:
        ConfigurationError: Two of the three have a key in common. It is not quoted.
    """
    ours = dict(zip(NAMES, ({keys.id_key}, {keys.pepper}, {*keys.token_keys}), strict=True))
    equal = [name for name, own in ours.items() if any(own & ours[other] for other in NAMES if other != name)]
    if equal:
        msg = (
            f"{' and '.join(equal)} hold the same key: a new database wants three different ones, each from a call of "
            f"its own of `openssl rand -hex {KEY_BYTES}`"
        )
        raise ConfigurationError(msg)
