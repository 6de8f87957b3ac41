"""Samples of README, frozen by PyInstaller: stores are found, and so are the templates and texts of the pages."""

import os
import re
import socket
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from mimi_async.testing import IdentityServer

from .test_readme import environment, fetched, sample_of

ROOT = Path(__file__).parents[1]
COMMAND = "CI=true .venv/bin/python -m pytest -n0 tests/test_frozen.py"

frozen_in_ci = pytest.mark.skipif(not os.environ.get("CI"), reason=f"takes minutes; it is run by: {COMMAND}")


def freeze(sample: str, folder: Path) -> Path:
    """Return the program that PyInstaller makes of a sample. Nothing but the sample is given to PyInstaller."""
    (folder / "app.py").write_text(sample)
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR", "app.py"]
    environ = {**os.environ, "PYINSTALLER_CONFIG_DIR": str(folder / "cache")}
    built = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / "dist" / "app" / "app"


def run(program: Path, environ: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([program], cwd="/", env=environ, capture_output=True, text=True, check=False)


@frozen_in_ci
@pytest.mark.timeout(900)
def test_the_first_sample_works_frozen_and_finds_its_user_again(tmp_path: Path, mimi_server: IdentityServer) -> None:
    program = freeze(sample_of("One user"), tmp_path)
    home = tmp_path / "home"
    home.mkdir(0o700)
    for _ in range(2):
        ran = run(program, environment(mimi_server, home))
        assert (ran.returncode, ran.stdout.startswith("offers ")) == (0, True), ran.stderr
        assert mimi_server.users == 1
    assert (home / ".example-player" / "ids.sqlite3").exists()


@frozen_in_ci
@pytest.mark.timeout(900)
def test_the_pages_work_frozen_with_a_store_outside_the_program(tmp_path: Path, mimi_server: IdentityServer) -> None:
    beside = 'Path(__file__).with_name("pages.sqlite3")'
    sample = sample_of("As web pages")
    assert beside in sample
    program = freeze(sample.replace(beside, f'os.environ.get("IDS") or {beside}'), tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environ = {**environment(mimi_server, tmp_path), "PORT": str(port)}

    refused = run(program, environ)
    assert refused.returncode == 1
    assert "is inside the frozen program" in refused.stderr

    with subprocess.Popen([program], cwd="/", env={**environ, "IDS": str(tmp_path / "pages.sqlite3")}) as process:
        try:
            pages = f"http://127.0.0.1:{port}/mimi/"
            assert "Make sound fit your hearing" in fetched(pages, "account=anna")
            assert "--mimi-" in fetched(f"{pages}static/mimi.css", "account=anna")
        finally:
            process.terminate()


def test_pyinstaller_finds_the_hook_by_an_entry_point() -> None:
    (entry,) = (entry for entry in entry_points(group="pyinstaller40") if entry.module.startswith("mimi_async"))
    (folder,) = entry.load()()
    assert entry.name == "hook-dirs"
    assert 'collect_data_files("mimi_async.web")' in (Path(folder) / "hook-mimi_async.web.py").read_text()


def test_every_import_of_the_package_is_written_out() -> None:
    """A freezer reads imports from the bytecode: a name that is computed is not there."""
    texts = {str(file): file.read_text() for file in (ROOT / "mimi_async").rglob("*.py")}
    assert [name for name, text in texts.items() if re.search(r"\bimport_module\b|__import__", text)] == []
