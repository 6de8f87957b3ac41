"""Statements take their parameters in order: Python 3.12.0 to 3.12.3 warn of `?1` with a sequence."""

import ast
import re
from pathlib import Path

import pytest

import mimi_async

PACKAGE = Path(mimi_async.__file__).parent
NUMBERED = re.compile(r"= \?[0-9]|[<>(,] ?\?[0-9]")


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda module: str(module.relative_to(PACKAGE)))
def test_no_statement_numbers_its_parameters(module: Path) -> None:
    texts = (node.value for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Constant))
    assert [text for text in texts if isinstance(text, str) and NUMBERED.search(text)] == []
