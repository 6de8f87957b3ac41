"""Port numbers on the command line."""

import argparse

MAX_PORT = 65_535


class PortTakenError(Exception):
    """Another process listens on the port."""

    def __init__(self, number: int) -> None:
        super().__init__(
            f"port {number} is taken: choose another, by --port, or with `make web` by ARGS='--ports 8090 8091'"
        )


def port(text: str) -> int:
    """Parse a port number.

    Raises:
        ArgumentTypeError: The text is not a port.
    """
    if text.isascii() and text.isdigit() and int(text) <= MAX_PORT:
        return int(text)
    msg = f"a port is 0 to {MAX_PORT}, not {text!r}"
    raise argparse.ArgumentTypeError(msg)
