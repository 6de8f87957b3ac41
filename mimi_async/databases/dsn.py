"""Read the address of a store or of a database, without a driver, and refuse an address that is nearly right.

A nearly right address must never mean "nothing is stored yet": in a new store each account gets a second user, and a
new database has new keys. Messages name the flaw and the remedy; they quote no address, which may hold a password.
"""

import os
import re
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote

import attrs

from ..errors import ConfigurationError

SCHEMES: Final = ("postgresql://", "postgres://")

Creation = Literal["nothing", "file", "folder"]
"""What is created where a file is missing: nothing; the file, in an existing folder; or the file and its folders."""

_FORMS: Final = {
    "memory": "memory://",
    "sqlite": "sqlite:///relative/path or sqlite:////absolute/path",
    "postgresql": "postgresql://user@host/database",
    "keyring": "keyring://service",
}
_CREATION = "(?P<creation>mode=rwc?|create=folder)"
_QUERIES: Final = {
    "sqlite": re.compile(_CREATION),
    "keyring": re.compile(rf"(?=.)(?:path=(?P<path>/[^&?]+))?(?:(?(path)&){_CREATION})?"),
}
_KNOWN_OPTIONS: Final = {
    "sqlite": "?mode=rw or ?create=folder",
    "keyring": "?path=/absolute/path, ?mode=rw, ?create=folder, or ?path=/absolute/path&mode=rw",
}
_OPTIONS: Final[dict[str, Creation]] = {"mode=rw": "nothing", "mode=rwc": "file", "create=folder": "folder"}

_QUOTES = "\"'`\u2018\u2019\u201c\u201d\u201e\u00ab\u00bb"
_LEFT_BEHIND = ",;\\"
# Invisible, though `str.isprintable` counts them as printable: fillers, joiners, variation selectors.
_SHAPELESS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_VARIABLE = re.compile(r"(?:^|/)\$\w|\$[({]|\{\{", re.ASCII)
_OPTION = re.compile(r"\?\w+=", re.ASCII)
_LEFTOVER = re.compile(r"&\w+=|[;\\]", re.ASCII)
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")

# These characters appear nowhere, but for one '@' after the password: a second one ends a password that was cut.
_BAD = r"#@\x00-\x20\x7f"
_HOST = r"(?:%2[Ff][\w.%-]+|(?!%2[Ff])[\w%-]{1,63}(?:\.[\w%-]{1,63})*\.?|\[[\w:.%]+\])"
_PORT = r"(?::\d{0,5})?"
_HOSTS = rf"(?P<hosts>(?:{_HOST}{_PORT}(?:,{_HOST}{_PORT})*|{_PORT}))"
_ADDRESS = re.compile(
    rf"postgres(?:ql)?://(?:[^/?\[\]{_BAD}]*@)?(?P<shown>{_HOSTS}(?:/(?P<database>[^/?{_BAD}]*))?)"
    rf"(?:\?(?P<query>[^{_BAD}]*))?",
    re.ASCII,
)
_PORTS = re.compile(r":(\d+)(?=,|$)", re.ASCII)
_MAX_PORT = 65_535


@attrs.frozen(repr=False)
class Location:
    """The store or database that an address names.

    Attributes:
        scheme: "memory", "sqlite", "postgresql" or "keyring".
        name: The path of the file, the whole address of the PostgreSQL database, or the service of the keyring.
        creation: What is created where the file is missing.
        path: The file of a keyring; None where the address names none.
    """

    scheme: str
    name: str
    creation: Creation = "file"
    path: str | None = None


def read_url(url: object, what: str, schemes: Sequence[str]) -> Location:
    """Return what a URL names, for the stores and for the server.

    Args:
        url: The URL.
        what: What the URL names, for messages: "store".
        schemes: The allowed schemes.

    Raises:
        ConfigurationError: The URL names no such thing, or is nearly right. It is not quoted.
    """
    text = url if isinstance(url, str) else ""
    if text.startswith(SCHEMES) and text not in SCHEMES and "postgresql" in schemes:
        return Location("postgresql", validate_dsn(text))
    _refuse(f"the URL of the {what}", _find_flaw_at_ends(text) or _find_bad_character(text) or _find_flaw_of_url(text))
    scheme, _, rest = text.partition("://")
    name = unquote(rest.partition("?")[0])
    if scheme == "sqlite":
        is_whole, name = name.startswith("/") and len(name) > 1, name[1:]
    else:
        is_whole = bool(name) == (scheme != "memory") and name.strip("/") == name
    if scheme not in schemes or not is_whole:
        forms = " or ".join(_FORMS[each] for each in schemes)
        _refuse(f"a {what} is {forms}, percent-encoded;", "this URL has another form")
    return _read_options(text, what, Location(scheme, name))


def _read_options(url: str, what: str, location: Location) -> Location:
    _, mark, query = url.partition("?")
    if not mark:
        return location
    pattern = _QUERIES.get(location.scheme)
    found = pattern.fullmatch(query) if pattern else None
    if found is None:
        known = _KNOWN_OPTIONS.get(location.scheme, "none")
        _refuse(f"the URL of the {what}", f"has an option that is not known: it takes {known}; a '?' in a name is %3F")
        return location
    options = found.groupdict()
    path, creation = options.get("path"), options["creation"]
    return attrs.evolve(location, creation=_OPTIONS.get(creation, "file"), path=path and unquote(path))


def validate_name(name: str, what: str) -> None:
    """Check that a text names something exactly.

    Raises:
        ConfigurationError: It is nearly right: blanks or quotation marks around it, invisible characters, a variable
            that was not replaced. It is not quoted.
    """
    _refuse(what, _find_flaw_of_name(name))


def validate_path(path: str | os.PathLike[str], what: str) -> Path:
    """Return the absolute path of a file. Its folders may have unusual names, since they exist; the file may not.

    Raises:
        ConfigurationError: The path is nearly right, or not a path of a file.
    """
    found, text = Path(path), os.fspath(path)
    flaw = _find_flaw_of_name(found.name) if found.name else None
    flaw = flaw or _find_flaw_at_ends(text) or _find_flaw_of_path(text)
    if found.parts and not found.is_absolute():
        flaw = flaw or _find_flaw_of_name(found.parts[0])
    _refuse(f"the path of the {what}", flaw)
    absolute = found.absolute()
    bundle = getattr(sys, "_MEIPASS", None)
    if bundle is not None and absolute.is_relative_to(bundle):
        _refuse(
            f"the path of the {what}",
            "is inside the frozen program, which is unpacked for one run or replaced by an update: name a file outside"
            " it, such as Path.home() / '.player' / 'ids.sqlite3'",
        )
    return absolute


def validate_dsn(text: object) -> str:
    """Return the address of a PostgreSQL database, if it is complete.

    Raises:
        ConfigurationError: It is not an address, it is nearly right, or a password cuts it. It is not quoted.
    """
    found = _read(text)
    flaw = _find_flaw_of_dsn(text, found) if isinstance(text, str) else None
    if found is not None and flaw is None:
        return found.string
    msg = (
        f"{f'the address of PostgreSQL {flaw}; ' if flaw else ''}"
        "a PostgreSQL database is named by postgresql://user:password@host:5432/database, or given as an asyncpg pool;"
        " in a password '#', '/', '?', '@', ':', brackets and blanks are percent-encoded"
    )
    raise ConfigurationError(msg)


def redact_dsn(text: str) -> str:
    """Return host, port and database of an address, without user, password and options."""
    found = _read(text)
    return f"postgresql://{found['shown'] if found else '…'}"


def _read(text: object) -> "re.Match[str] | None":
    found = _ADDRESS.fullmatch(text) if isinstance(text, str) else None
    is_whole = found is not None and all(int(port) <= _MAX_PORT for port in _PORTS.findall(found["hosts"]))
    return found if is_whole else None


def _refuse(what: str, flaw: str | None) -> None:
    if flaw:
        msg = f"{what} {flaw}"
        raise ConfigurationError(msg)


def _find_flaw_of_name(name: str) -> str | None:
    if _LEFTOVER.search(name.rstrip(_LEFT_BEHIND)):
        return r"holds '&option=', ';' or '\': an option begins with '?', and these names contain none of them"
    return _find_flaw_at_ends(name) or _find_bad_character(name) or _find_flaw_of_path(name)


def _find_flaw_at_ends(text: str) -> str | None:
    if not text.strip():
        return "is empty: write it out"
    if text[-1] in "\r\n":
        return "ends in a line end: remove it, also from the file or the secret that the value comes from"
    for where, character in (("begins with", text[0]), ("ends in", text[-1])):
        if character.isspace():
            return f"{where} a blank: remove it"
        if character in _QUOTES:
            return f"{where} a quotation mark: remove it; nothing reads the value as a shell does"
    return f"ends in '{text[-1]}': remove it" if text[-1] in _LEFT_BEHIND else None


def _find_bad_character(text: str) -> str | None:
    for character in text:
        if unicodedata.category(character) == "Cc":
            return f"holds the control character U+{ord(character):04X}: remove it"
        if not character.isprintable() or _SHAPELESS.match(character):
            return f"holds the invisible character U+{ord(character):04X}: remove it"
    return None


def _find_flaw_of_path(text: str) -> str | None:
    if any(unicodedata.category(character) == "Cc" for character in text):
        return _find_bad_character(text)
    if text.startswith("~"):
        return "begins with '~', which only a shell replaces: write an absolute path"
    if _VARIABLE.search(text):
        return "holds a variable that was not replaced, '$' or '{{': write its value"
    if _OPTION.search(text):
        return "holds an option, '?': only a URL has options; give it to open_store, or as an argument"
    if "://" in text:
        return "is a URL: give it to open_store"
    if text.startswith("file:") or text == ":memory:":
        return "is a notation of SQLite that is not supported: write a path, or use MemoryStore() for none"
    return None


def _find_flaw_of_url(text: str) -> str | None:
    if "#" in text:
        return "holds '#': a URL of this kind has no fragment; in a name it is %23"
    if _NO_ESCAPE.search(text):
        return "holds a '%' without two hex digits after it: a '%' in a name is %25"
    return _find_bad_escape(text)


def _find_bad_escape(text: str) -> str | None:
    """Find bytes that are not UTF-8: decoded, each would be the same character."""
    try:
        unquote(text, errors="strict")
    except UnicodeDecodeError:
        return "holds percent-encoded bytes that are not UTF-8: encode the name in UTF-8"
    return None


def _find_flaw_of_dsn(text: str, found: "re.Match[str] | None") -> str | None:
    flaw = _find_flaw_at_ends(text) or _find_bad_character(text)
    if flaw or found is None:
        return flaw
    encoded = f"{found['shown']}?{found['query'] or ''}"
    database = unquote(found["database"] or "")
    flaw = _find_bad_escape(encoded) or _find_bad_character(unquote(encoded))
    return flaw or (_find_flaw_of_name(database) if database else None)
