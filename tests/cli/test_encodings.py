"""What the encoding of the terminal cannot hold is escaped, in every command."""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mimi_async.stores import SQLiteStore
from mimi_async.testing.store_contract_base import fresh_active

from ..server.processes import COMMAND, Ended, run_command, serving

NAME, ESCAPED = "łeś", r"\u0142e\u015b"
LATIN_1 = {"PYTHONIOENCODING": "latin-1"}
VERBS = [("store", "init"), ("clients", "add", "acme", "app", "--database")]
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


async def fill(path: Path) -> Path:
    async with SQLiteStore(path) as store:
        await store.claim(NAME, fresh_active())
    return path


async def run_in_terminal(*arguments: str, environ: dict[str, str] | None = None) -> Ended:
    ended = await run_command(*COMMAND, *arguments, environ=environ or LATIN_1)
    assert "Traceback" not in ended.err
    return ended


@pytest.mark.parametrize("environ", [LATIN_1, ASCII], ids=["Latin-1", "ASCII"])
async def test_check_names_a_damaged_record(tmp_path: Path, environ: dict[str, str]) -> None:
    path = await fill(tmp_path / "ids.sqlite3")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE identities SET secret = 'x'")
    ended = await run_in_terminal("store", "check", f"sqlite:///{path}", environ=environ)
    assert ended.status == 1
    # click takes a terminal that says ASCII for one whose locale is wrong, and writes UTF-8
    assert f"corrupt: '{ESCAPED if environ is LATIN_1 else NAME}'" in ended.out


async def test_copy_names_a_different_record(tmp_path: Path) -> None:
    source, target = [await fill(tmp_path / name) for name in ("from", "to")]
    ended = await run_in_terminal("store", "copy", f"sqlite:///{source}", f"sqlite:///{target}")
    assert ended.status == 1
    assert f"different: '{ESCAPED}'" in ended.out


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
async def test_a_path_is_shown(tmp_path: Path, verb: tuple[str, ...]) -> None:
    ended = await run_in_terminal(*verb, f"sqlite:///{tmp_path}/{NAME}")
    assert str(tmp_path) in ended.err


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
async def test_a_path_that_the_locale_can_not_read_is_refused(tmp_path: Path, verb: tuple[str, ...]) -> None:
    ended = await run_in_terminal(*verb, f"sqlite:///{tmp_path}/{NAME}", environ=ASCII)
    assert ended.status == 2
    assert "holds the invisible character U+DCC5" in ended.err
    assert list(tmp_path.iterdir()) == []


async def test_serve_says_where_its_database_is(tmp_path: Path) -> None:
    async with serving(tmp_path / f"{NAME}.sqlite3", environ=LATIN_1) as server:
        assert f"{ESCAPED}.sqlite3" in server.line
        assert (await server.end(signal.SIGTERM)).status == 0
