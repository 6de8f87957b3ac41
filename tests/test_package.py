"""The public names of the package, and the few packages that it needs."""

import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import mimi_async

ROOT = Path(__file__).parents[1]
REQUIRED = {"aiohttp", "attrs", "blinker", "msgspec", "tenacity"}
NEVER_IMPORTED = ("asyncpg", "click", "cryptography", "jinja2", "keyring", "platformdirs", "pytest", "rich", "sqlite3")
ON_DEMAND = ("mimi_async.databases.dsn", "mimi_async.views")


def project() -> dict[str, list[str]]:
    settings: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return settings


def name_of(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def with_requirements(names: set[str]) -> set[str]:
    """Return the installed distributions that these need, without extras."""
    found: set[str] = set()
    while names:
        name = names.pop()
        try:
            needed = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another version of Python, or another system
        found.add(name)
        names |= {name_of(each) for each in needed if "extra ==" not in each} - found
    return found


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the required packages and what they need, and nothing else."""
    home = tmp_path_factory.mktemp("bare")
    venv.create(home, symlinks=True, with_pip=False)
    site = next(home.glob("lib/python*/site-packages"))
    for name in with_requirements(set(REQUIRED)):
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or [] if file.parts[0] != ".."}:
            if not (site / top).exists():
                (site / top).symlink_to(str(distribution.locate_file(top)))
    (site / "mimi_async").symlink_to(ROOT / "mimi_async")
    return home / "bin" / "python"


def output_of(python: Path, code: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV"))}
    command = [str(python), "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd="/").stdout


def test_names_what_it_offers_in_order_and_has_it() -> None:
    assert list(mimi_async.__all__) == sorted(set(mimi_async.__all__))
    assert all(hasattr(mimi_async, name) for name in mimi_async.__all__)


def test_requires_five_packages() -> None:
    assert {name_of(requirement) for requirement in project()["dependencies"]} == REQUIRED


def test_is_imported_with_only_the_required_packages_installed(bare: Path) -> None:
    assert "No module named 'click'" in output_of(bare, "try: import click\nexcept ImportError as error: print(error)")
    output = output_of(bare, "from mimi_async import *; import mimi_async; print(mimi_async.__all__)")
    assert output == f"{mimi_async.__all__}\n"


def test_the_stores_and_the_server_need_no_more_than_that(bare: Path) -> None:
    code = "from mimi_async.stores import MemoryStore, SQLiteStore; from mimi_async.testing import IdentityServer"
    assert output_of(bare, code) == ""


def test_the_pages_say_which_extra_they_need(bare: Path) -> None:
    code = "try: import mimi_async.web\nexcept ImportError as error: print(error)"
    assert output_of(bare, code) == "the pages need jinja2: pip install 'mimi-async[web]'\n"


def test_the_wheel_holds_what_the_pages_are_made_of(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        held = set(wheel.namelist())
    web = ROOT / "mimi_async" / "web"
    made_of = {file for folder in ("templates", "static", "texts") for file in (web / folder).iterdir()}
    assert len(made_of) > 10
    assert {str(file.relative_to(ROOT)) for file in made_of} <= held
    assert "mimi_async/__pyinstaller/hook-mimi_async.web.py" in held


def test_imports_no_extra_and_no_driver() -> None:
    names = NEVER_IMPORTED + ON_DEMAND
    assert output_of(Path(sys.executable), "import mimi_async; print(mimi_async.views.Profile)").startswith("<class")
    code = f"import sys, mimi_async; print([name for name in {names!r} if name in sys.modules])"
    assert output_of(Path(sys.executable), code) == "[]\n"


def test_each_public_name_exists_and_no_other() -> None:
    assert dir(mimi_async) == mimi_async.__all__
    assert all(getattr(mimi_async, name).__module__.startswith("mimi_async.") for name in mimi_async.__all__)
    with pytest.raises(AttributeError, match="'nothing'"):
        _ = mimi_async.nothing


def test_is_marked_as_typed() -> None:
    assert (ROOT / "mimi_async" / "py.typed").exists()


def test_names_no_registry_in_its_pinned_versions() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"#.*|[\w.-]+==[\w.]+", line) for line in lines)
    assert {name_of(line) for line in lines} >= REQUIRED
