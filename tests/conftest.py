"""What all tests share."""

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import settings

from examples.partner_cluster.postgres import Postgres

settings.register_profile("mimi", deadline=None)  # a busy machine is no failure
settings.load_profile("mimi")


FIGURES = "figures"
"""By this name what a proof has shown goes with the report of its test, whichever process ran it."""


def rounds(short: int, long: int) -> int:
    """Return how often to do something: `make proof` sets MIMI_PROOF and takes its time."""
    return long if os.environ.get("MIMI_PROOF") else short


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL for all tests that leave it as it is; those that freeze or end it start one of their own."""
    with Postgres() as server:
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures of all proofs: here, since where the tests run in other processes no other conftest is read."""
    proofs: dict[str, Counter[str]] = {}
    for report in terminalreporter.getreports(""):
        for name, value in report.user_properties:
            if name == FIGURES and report.when == "teardown":
                proof, figures = value
                proofs.setdefault(proof, Counter()).update(figures)
    if proofs:
        terminalreporter.section("proofs")
    for proof, numbers in sorted(proofs.items()):
        terminalreporter.write_line(f"{proof}: {', '.join(f'{number} {name}' for name, number in numbers.items())}")
