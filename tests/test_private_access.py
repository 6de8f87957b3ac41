"""Tests use public names: an access to a private attribute needs a reason."""

import ast
from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parent
MOST = 20

REASONS: dict[str, tuple[int, str]] = {
    "databases/postgres/test_listener.py": (1, "a listener that reads a payload in another way"),
    "examples/test_partner_cluster.py": (2, "where the programs of PostgreSQL are found, which the tests start"),
    "examples/test_partner_sign_in.py": (1, "a sign-in without a request, which no browser can send"),
    "hearing/test_staircase.py": (1, "the search of one ear, which ends before the test does"),
    "internals.py": (6, "the parts of a core that no public call shows: each function says which, and why"),
    "transport/test_retries.py": (2, "the server listens on another port than the one that the kernel refused"),
}
"""File → how many accesses it has, and why it can't use a public name."""


def accesses_of(file: Path) -> int:
    """Count the accesses to private attributes of other objects, save those that Python documents, as `os._exit`."""
    return sum(
        isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.endswith("__")
        and ast.unparse(node.value) not in ("self", "cls", "os", "sys", "super()")
        and node.attr != "_replace"
        for node in ast.walk(ast.parse(file.read_text()))
    )


def test_each_access_to_a_private_attribute_has_a_reason() -> None:
    names = {file: str(file.relative_to(TESTS)) for file in TESTS.rglob("*.py")}
    counts = Counter({name: accesses_of(file) for file, name in names.items()})
    assert +counts == {name: count for name, (count, _) in REASONS.items()}
    assert counts.total() <= MOST
