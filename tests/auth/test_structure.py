"""An account is composed: no class is split by inheritance, and its state has one owner."""

import ast

import pytest

from ..test_layers import MODULES, name_of


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """The modules of the package by their names."""
    return {name_of(module): ast.parse(module.read_text()) for module in MODULES}


def test_no_class_of_auth_is_split_by_inheritance(trees: dict[str, ast.Module]) -> None:
    """A base class with a single subclass is a class in two files. Errors form a tree, and are left out."""
    bases: dict[str, list[str]] = {}
    ours = set()
    for module, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                ours.add(node.name)
                for base in node.bases:
                    name = ast.unparse(base).partition("[")[0]
                    bases.setdefault(name, []).append(f"{module}.{node.name}")
    split = {
        base: subclasses
        for base, subclasses in bases.items()
        if base in ours and not base.endswith("Error") and len(subclasses) == 1 and subclasses[0].startswith("auth.")
    }
    assert split == {}


def test_the_state_of_an_account_is_written_in_one_file(trees: dict[str, ast.Module]) -> None:
    slots = {
        ast.unparse(line.target)
        for node in ast.walk(trees["auth.state"])
        if isinstance(node, ast.ClassDef) and node.name == "AccountState"
        for line in node.body
        if isinstance(line, ast.AnnAssign)
    }
    written = {
        f"{module}: {ast.unparse(node)}"
        for module, tree in trees.items()
        if module != "auth.state"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and node.attr in slots
        and ast.unparse(node.value).endswith("state")
    }
    assert slots
    assert written == set()
