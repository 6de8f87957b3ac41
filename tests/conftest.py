"""Fixtures and pytest hooks of all tests."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

import pytest
from hypothesis import settings

from .postgres_server import Postgres

_Number = TypeVar("_Number", int, float)

FIGURES = "figures"
"""The name of the user property in which a proof reports its figures, from whichever process ran it."""

SLOW_FIRST = ("browser", "examples", "proofs", "server", "stores", "cli")
"""Folders with slow files, in the order in which they run. They come first, so that no process runs one alone at the
end."""


def rounds(short: _Number, long: _Number) -> _Number:
    """Return the number of repetitions: the long form where `make proof` sets MIMI_PROOF, else the short form."""
    return long if os.environ.get("MIMI_PROOF") else short


settings.register_profile("mimi", deadline=None, max_examples=rounds(25, 100))  # an example is slow on a busy machine
settings.load_profile("mimi")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for all tests of this process. Tests that stop or freeze a server start their own."""
    with Postgres() as server:
        yield server


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL server that the tests of a module may freeze, restart and stop."""
    with Postgres() as server:
        yield server


@pytest.fixture
def dsn(postgres: Postgres) -> str:
    """The address of a new, empty database."""
    return postgres.make_database()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Move slow folders to the front; within a folder the random order stays."""
    items.sort(key=lambda item: _rank(item.path.parts))


def _rank(parts: tuple[str, ...]) -> int:
    return min((SLOW_FIRST.index(part) for part in parts if part in SLOW_FIRST), default=len(SLOW_FIRST))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of all proofs, and the reasons of all skipped tests in one line.

    With xdist, only this conftest is loaded in the process that prints.
    """
    _print_figures(terminalreporter)
    _print_skips(terminalreporter)


def _print_figures(reporter: pytest.TerminalReporter) -> None:
    proofs: dict[str, Counter[str]] = {}
    for report in reporter.getreports(""):
        for name, value in report.user_properties:
            if name == FIGURES and report.when == "teardown":
                proof, figures = value
                proofs.setdefault(proof, Counter()).update(figures)
    if proofs:
        reporter.section("proofs")
    for proof, numbers in sorted(proofs.items()):
        reporter.write_line(f"{proof}: {', '.join(f'{number} {name}' for name, number in numbers.items())}")


def _print_skips(reporter: pytest.TerminalReporter) -> None:
    reasons: Counter[str] = Counter()
    for report in reporter.getreports("skipped"):
        if isinstance(report.longrepr, tuple):
            text = report.longrepr[2].removeprefix("Skipped: ")
            reasons[re.sub(r"(?<!\w)/\S+", "…", text)] += 1  # without paths, equal reasons are counted together
    if reasons:
        reporter.write_line(f"skipped: {'; '.join(f'{count} × {reason}' for reason, count in reasons.most_common())}")
