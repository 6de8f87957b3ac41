"""Which layer may import which, the limits of size, and forbidden names."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mimi_async"

CORE_AND_BELOW = (
    "core",
    "presenting",
    "startup",
    "auth",
    "records",
    "updates",
    "operations",
    "stores",
    "gate",
    "transport",
    "databases",
    "entry",
    "host_functions",
    "timeouts",
    "wire",
    "identity",
    "secret",
    "hearing",
    "errors",
    "builtin_types",
)
BELOW_AN_ACCOUNT = ("operations", "records", "updates", "stores.base", "gate", "host_functions", "timeouts", "wire")
LAYERS: dict[str, tuple[str, ...]] = {
    "errors": (),
    "secret": ("builtin_types", "errors"),
    "builtin_types": (),
    "hearing": ("errors", "builtin_types"),
    "identity": ("hearing.results", "secret", "errors", "builtin_types"),
    "wire": ("identity", "secret", "hearing", "errors"),
    "timeouts": ("errors",),
    "databases": ("errors",),
    "databases.sqlite": (
        "databases.jobs",
        "databases.dsn",
        "databases.affinity",
        "databases.private_files",
        "errors",
    ),
    "databases.postgres": ("databases.dsn", "databases.affinity", "errors"),
    "entry": ("databases.affinity", "timeouts", "errors"),
    "host_functions": ("errors",),
    "transport": ("wire", "databases.affinity", "timeouts", "identity", "secret", "errors", "builtin_types"),
    "stores.base": ("identity", "secret", "errors", "builtin_types"),
    "stores.memory": ("stores.base", "databases.affinity", "identity", "secret", "errors"),
    "stores.rows": ("stores.base", "errors"),
    "stores.sqlite": (
        "stores.base",
        "stores.rows",
        "databases.sqlite",
        "databases.dsn",
        "identity",
        "secret",
        "errors",
        "builtin_types",
    ),
    "stores.copying": ("stores.base", "identity", "secret", "errors", "builtin_types"),
    "stores.audit": ("stores.base", "stores.copying", "errors"),
    "stores.postgres": ("stores.base", "stores.rows", "databases.postgres", "identity", "secret", "errors"),
    "stores.sealed": ("stores.base", "stores.copying", "identity", "secret", "errors", "builtin_types"),
    "stores.keyring": (
        "stores.base",
        "stores.sealed",
        "stores.sqlite",
        "databases.affinity",
        "databases.dsn",
        "secret",
        "errors",
    ),
    "stores": (
        "stores.base",
        "stores.memory",
        "stores.sqlite",
        "stores.postgres",
        "stores.keyring",
        "databases.dsn",
        "errors",
    ),
    "gate": ("entry", "errors"),
    "operations": ("entry", "timeouts", "errors"),
    "updates": ("entry", "host_functions", "timeouts", "identity", "secret", "errors"),
    "records": ("operations", "stores.base", "host_functions", "wire", "identity", "secret", "errors"),
    "auth": (*BELOW_AN_ACCOUNT, "hearing", "identity", "secret", "errors"),
    "presenting": ("auth", "operations", "updates", "gate", "host_functions", "errors"),
    "startup": (
        "auth",
        "records",
        "stores.base",
        "gate",
        "host_functions",
        "transport",
        "timeouts",
        "identity",
        "secret",
        "errors",
    ),
    "core": CORE_AND_BELOW[1:],
    "views": ("core", "auth", "hearing", "identity", "secret", "errors", "builtin_types"),
    "web": ("core", "auth", "views", "host_functions", "hearing", "identity", "secret", "errors"),
    "testing": (*CORE_AND_BELOW, "server"),
    "server": ("wire", "databases", "hearing", "identity", "secret", "errors"),
    "cli": (*CORE_AND_BELOW, "views", "web", "server", "testing"),
    "": (*CORE_AND_BELOW, "views", "web"),
    "__main__": ("cli",),
    "__pyinstaller": (),
}
"""A layer → the layers that it may import, besides itself. A layer that the table splits off is named for itself."""

LIBRARIES: dict[str, tuple[str, ...]] = {
    "aiohttp": (
        "transport",
        "server",
        "testing",
        "web",
        "core",
        "startup",
    ),  # the latter two: its session
    "blinker": (
        "updates.broadcaster",
        "updates.delivery",
        "auth.controller",
        "core",
    ),  # the latter two: the type of a signal
    "asyncpg": ("databases.postgres",),
    "click": ("cli",),
    "cryptography": ("stores.keyring", "stores.sealed"),
    "jinja2": ("web",),
    "keyring": ("stores.keyring",),
    "msgspec": ("wire",),
    "pytest": (),
    "rich": ("cli",),
    "platformdirs": ("stores.keyring",),
    "sqlite3": ("databases.sqlite", "stores.keyring", "stores.sqlite", "server", "testing.server"),
    "tenacity": ("transport", "auth.background"),
}
"""A library → who may import it."""

MOST_LINES = {"mimi_async": 280}
MOST_LINES_ELSEWHERE = 300
MOST_LINES_OF_A_FUNCTION = 40
"""Its body, without the docstring. In tests half as many more; ruff holds the complexity (pyproject)."""

MOST_LINES_OF_A_DELIVERY = 25

FORBIDDEN_NAMES = {"utils", "helpers", "common", "const", "constants", "models", "types", "manager"}

OURS = ("mimi_async", "mimi_async_pytest.py", "examples", "benchmarks", "tests")
FILES = sorted(
    file for name in OURS for file in ((ROOT / name).rglob("*.py") if (ROOT / name).is_dir() else [ROOT / name])
)
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(module: Path) -> str:
    """The dotted name below the package: "" for the package itself."""
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def layer_of(name: str) -> str:
    """The most special layer of the table that holds the module."""
    while name and name not in LAYERS:
        name = name.rpartition(".")[0]
    return name


def imports_of(module: Path) -> Iterator[str]:
    """Yield what a module imports, anywhere in it: ours as ".layer.module", a library by its first name."""
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
    """Cut off a name in a module."""
    parts = name.split(".")[1:]
    while parts and not (PACKAGE.joinpath(*parts).is_dir() or PACKAGE.joinpath(*parts).with_suffix(".py").exists()):
        parts.pop()
    return "." + ".".join(parts)


def may_import(layer: str, imported: str) -> bool:
    """Return whether the table lets a layer import a module of the package."""
    theirs = layer_of(imported)
    if theirs == layer:
        return True
    allowed = (layer, *LAYERS[layer]) if layer else LAYERS[layer]
    return any(imported == other or imported.startswith(f"{other}.") for other in allowed)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_imports_only_what_its_layer_may(module: Path) -> None:
    name = name_of(module)
    layer = layer_of(name)
    assert layer or name == "", f"{name} is in no layer of the table"
    ours = {imported[1:] for imported in imports_of(module) if imported.startswith(".")}
    assert sorted(imported for imported in ours if not may_import(layer, imported)) == []


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_library_is_known_to_few_rooms(module: Path) -> None:
    name = name_of(module)
    for library in set(imports_of(module)) & LIBRARIES.keys():
        assert any(name == layer or name.startswith(f"{layer}.") for layer in LIBRARIES[library]), library


def test_the_stores_import_a_back_end_only_when_it_is_asked_for() -> None:
    top = ast.parse((PACKAGE / "stores" / "__init__.py").read_text()).body
    ours = {node.module for node in top if isinstance(node, ast.ImportFrom) and node.level}
    assert ours == {"errors", "base", "copying"}


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function, without its signature and docstring."""
    body = function.body[ast.get_docstring(function, clean=False) is not None :]
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_is_short_and_well_named(file: Path) -> None:
    text = file.read_text()
    top = file.relative_to(ROOT).parts[0]
    assert text.count("\n") <= MOST_LINES.get(top, MOST_LINES_ELSEWHERE)
    assert not {part.removesuffix(".py") for part in file.relative_to(ROOT).parts} & FORBIDDEN_NAMES
    most = MOST_LINES_OF_A_FUNCTION if top == "mimi_async" else MOST_LINES_OF_A_FUNCTION * 3 // 2
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert lines_of(node) <= most, node.name


def test_a_delivery_reads_as_one_story() -> None:
    text = (PACKAGE / "updates" / "delivery.py").read_text()
    delivery = next(node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == "Delivery")
    (run,) = (node for node in delivery.body if isinstance(node, ast.AsyncFunctionDef) and node.name == "run")
    assert lines_of(run) <= MOST_LINES_OF_A_DELIVERY


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_call_loses_a_cancellation(file: Path) -> None:
    names = {ast.unparse(node) for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
    assert "asyncio.wait_for" not in names, "in Python 3.11 it swallows a cancellation: use asyncio.timeout"


@pytest.mark.parametrize("module", [each for each in MODULES if name_of(each)], ids=name_of)
def test_no_layer_needs_an_import_for_type_checkers_alone(module: Path) -> None:
    names = {node.id for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Name)}
    assert "TYPE_CHECKING" not in names


def test_the_table_knows_no_room_that_is_not_there() -> None:
    assert set(LAYERS) <= {layer_of(name_of(module)) for module in MODULES}
