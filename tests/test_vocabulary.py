"""The words of the project: docs/glossary.md lists those to use; this test holds those that must not appear."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(file for folder in ("mimi_async", "examples", "benchmarks") for file in (ROOT / folder).rglob("*.py"))
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

FORBIDDEN_IN_TEXT = re.compile(
    r"\b(?:tell(?:s|ing)?|told|heed\w*|mend(?:s|ed|ing)?|whoever|for ever|anew|meanwhile|c[oa]mes? to|set down"
    r"|none of ours|strangers?|(?:some|no|any|every)body(?: else)?(?:'s)?|by (?:it|him|her)self|by themselves"
    r"|as good as)\b"
    r"|(?<!there )\bis no (?!longer\b)\w+",
    re.IGNORECASE,
)
"""Figures of speech, old-fashioned grammar, and pronouns where the subject has a name."""

FORBIDDEN_IN_NAMES = frozenset(
    [
        "actor",
        "book",
        "candidate",
        "census",
        "desk",
        "doing",
        "door",
        "errand",
        "fleeting",
        "foreign",
        "heed",
        "heeding",
        "heeds",
        "hopeless",
        "manners",
        "meant",
        "mend",
        "mended",
        "news",
        "patience",
        "told",
        "tell",
        "tells",
        "translated",
        "trouble",
        "troubles",
        "turn",
        "turns",
        "visit",
        "whoever",
        "works",
    ]
)
"""Words of names, in any case: a synonym for a term of docs/glossary.md, or a participle in place of a verb."""


def texts_of(module: Path) -> Iterator[tuple[int, str]]:
    """Yield the strings (docstrings and messages) and comments of a module, with their lines."""
    source = module.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def names_of(module: Path) -> Iterator[tuple[int, str]]:
    """Yield the names that a module defines: its own, functions, classes, arguments, variables and attributes."""
    yield 1, module.stem
    for node in ast.walk(ast.parse(module.read_text())):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name


def words_of(name: str) -> set[str]:
    """Split a name in snake_case or CamelCase into its words."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(ROOT)))
def test_a_module_uses_plain_words(module: Path) -> None:
    texts = [f"{module}:{line}: {match[0]!r}" for line, text in texts_of(module)
             for match in [FORBIDDEN_IN_TEXT.search(" ".join(text.split()))] if match]  # fmt: skip
    names = [f"{module}:{line}: {name}" for line, name in names_of(module) if words_of(name) & FORBIDDEN_IN_NAMES]
    assert texts + names == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_a_document_uses_plain_words(document: Path) -> None:
    lines = document.read_text().splitlines()
    assert [
        f"{document}:{number}: {line}" for number, line in enumerate(lines, 1) if FORBIDDEN_IN_TEXT.search(line)
    ] == []
