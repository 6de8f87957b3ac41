"""The ports that a command line names."""

import argparse

MOST = 65_535


class PortTakenError(Exception):
    """Somebody else listens on the port."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"port {number} is taken: choose another, by --port, or with `make web` by ARGS='--ports 8090 8091'"
        )


def port(text: str) -> int:
    """Return the port that an argument names.

    Raises:
        ArgumentTypeError: It is none.
    """
    if text.isascii() and text.isdigit() and int(text) <= MOST:
        return int(text)
    msg = f"a port is 0 to {MOST}, not {text!r}"
    raise argparse.ArgumentTypeError(msg)
