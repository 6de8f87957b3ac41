"""How a command ends."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import click

from ..errors import MimiError


@contextmanager
def told() -> Iterator[None]:
    """Let an error of ours end the command by one line, without a traceback."""
    try:
        yield
    except MimiError as error:
        raise click.ClickException(str(error)) from None


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run what a command does."""
    with told(), suppress(KeyboardInterrupt):
        asyncio.run(work)
