"""Who may import whom, how long things may get, and which names no room may have."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mimi_async"

CORE_AND_BELOW = (
    "core",
    "startup",
    "auth",
    "stores",
    "gate",
    "transport",
    "sqlite",
    "postgres",
    "dsn",
    "home",
    "wire",
    "identity",
    "hearing",
    "errors",
)
ROOMS: dict[str, tuple[str, ...]] = {
    "errors": (),
    "hearing": ("errors",),
    "identity": ("hearing.results", "errors"),
    "wire": ("identity", "hearing", "errors"),
    "dsn": ("errors",),
    "home": ("errors",),
    "sqlite": ("errors",),
    "postgres": ("dsn", "home", "errors"),
    "auth.routes": ("identity", "errors"),
    "auth.delivery": ("identity", "errors"),
    "auth.updates": ("auth.delivery", "identity", "errors"),
    "auth.signals": ("auth.delivery", "auth.updates", "identity", "errors"),
    "auth.turn": ("errors",),
    "auth.turns": ("auth.turn", "errors"),
    "stores.base": ("identity", "errors"),
    "gate": ("errors",),
    "stores.memory": ("stores.base", "home", "identity", "errors"),
    "stores.rows": ("stores.base", "errors"),
    "stores.sqlite": ("stores.base", "stores.rows", "sqlite", "identity", "errors"),
    "stores.copying": ("stores.base", "identity", "errors"),
    "stores.census": ("stores.base", "stores.copying", "errors"),
    "stores.postgres": ("stores.base", "stores.rows", "postgres", "identity", "errors"),
    "stores.sealed": ("stores.base", "stores.copying", "identity", "errors"),
    "stores.keyring": ("stores.base", "home", "identity", "errors"),
    "transport": ("wire", "identity", "errors"),
    "stores": ("stores.base", "stores.memory", "stores.sqlite", "stores.postgres", "stores.keyring", "errors"),
    "auth": ("stores.base", "gate", "wire", "hearing", "identity", "errors"),
    "startup": ("auth", "stores.base", "gate", "errors"),
    "core": CORE_AND_BELOW[1:],
    "views": ("core", "auth", "hearing", "identity", "errors"),
    "web": ("core", "auth", "views", "hearing", "identity", "errors"),
    "integrations": ("core", "auth", "views", "web", "errors"),
    "testing": (*CORE_AND_BELOW, "server"),
    "server": ("wire", "sqlite", "postgres", "dsn", "hearing", "identity", "errors"),
    "cli": (*CORE_AND_BELOW, "views", "web", "server", "testing"),
    "": (*CORE_AND_BELOW, "views", "web"),
    "__main__": ("cli",),
}
"""A room → the rooms that it may import, besides itself. A room that the table splits off is named for itself."""

LIBRARIES: dict[str, tuple[str, ...]] = {
    "aiohttp": ("transport", "server", "testing", "web", "integrations", "core"),  # core: the type of its session
    "blinker": ("auth.signals", "auth.delivery", "auth.controller", "core"),  # the latter two: the type of a signal
    "asyncpg": ("postgres",),
    "click": ("cli",),
    "cryptography": ("stores.sealed",),
    "jinja2": ("web",),
    "keyring": ("stores.keyring",),
    "msgspec": ("wire",),
    "pytest": (),
    "rich": ("cli",),
    "sqlite3": ("sqlite", "stores.sqlite", "server", "testing.server"),
    "tenacity": ("transport", "startup"),
}
"""A library → who may import it."""

MOST_LINES = 300
MOST_LINES_OF_A_FUNCTION = 60
FORBIDDEN_ROOMS = {"utils", "helpers", "common", "const", "constants", "models", "types", "manager"}

OURS = ("mimi_async", "mimi_async_pytest.py", "examples", "benchmarks", "tests")
FILES = sorted(
    file for name in OURS for file in ((ROOT / name).rglob("*.py") if (ROOT / name).is_dir() else [ROOT / name])
)
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(module: Path) -> str:
    """The dotted name below the package: "" for the package itself."""
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(name: str) -> str:
    """The most special room of the table that holds the module."""
    while name and name not in ROOMS:
        name = name.rpartition(".")[0]
    return name


def imports_of(module: Path) -> Iterator[str]:
    """Yield what a module imports, anywhere in it: ours as ".room.module", a library by its first name."""
    package = ["mimi_async", *module.parent.relative_to(PACKAGE).parts]
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            found = [".".join([*start, *filter(None, [node.module]), alias.name]) for alias in node.names]
        else:
            continue
        for name in found:
            yield _module_of(name) if name.split(".")[0] == "mimi_async" else name.split(".")[0]


def _module_of(name: str) -> str:
    """Cut off what is no module but a name in one."""
    parts = name.split(".")[1:]
    while parts and not (PACKAGE.joinpath(*parts).is_dir() or PACKAGE.joinpath(*parts).with_suffix(".py").exists()):
        parts.pop()
    return "." + ".".join(parts)


def may_import(room: str, imported: str) -> bool:
    """Tell whether the table lets a room import a module of ours."""
    theirs = room_of(imported)
    if theirs == room:
        return True
    allowed = (room, *ROOMS[room]) if room else ROOMS[room]
    return any(imported == other or imported.startswith(f"{other}.") for other in allowed)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_imports_only_what_its_layer_may(module: Path) -> None:
    name = name_of(module)
    room = room_of(name)
    assert room or name == "", f"{name} is in no room of the table"
    ours = {imported[1:] for imported in imports_of(module) if imported.startswith(".")}
    assert sorted(imported for imported in ours if not may_import(room, imported)) == []


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_library_is_known_to_few_rooms(module: Path) -> None:
    name = name_of(module)
    for library in set(imports_of(module)) & LIBRARIES.keys():
        assert any(name == room or name.startswith(f"{room}.") for room in LIBRARIES[library]), library


def test_the_stores_import_a_back_end_only_when_it_is_asked_for() -> None:
    top = ast.parse((PACKAGE / "stores" / "__init__.py").read_text()).body
    ours = {node.module for node in top if isinstance(node, ast.ImportFrom) and node.level}
    assert ours == {"errors", "base", "copying"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_is_short_and_well_named(file: Path) -> None:
    text = file.read_text()
    assert text.count("\n") <= MOST_LINES
    assert not {part.removesuffix(".py") for part in file.relative_to(ROOT).parts} & FORBIDDEN_ROOMS
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < MOST_LINES_OF_A_FUNCTION, node.name


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nobody_calls_what_loses_a_cancel(file: Path) -> None:
    names = {ast.unparse(node) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
    assert "asyncio.wait_for" not in names, "asyncio.wait_for on Python 3.11 swallows a cancel: use asyncio.timeout"


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_no_layer_needs_an_import_for_type_checkers_alone(module: Path) -> None:
    names = {node.id for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Name)}
    assert "TYPE_CHECKING" not in names


def test_the_table_knows_no_room_that_is_not_there() -> None:
    later = {"integrations"}
    rooms = {room_of(name_of(module)) for module in MODULES}
    assert set(ROOMS) - rooms <= later
