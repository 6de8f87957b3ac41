"""`python -m mimi_async`, and the command `mimi-async`."""

import io
import sys


def escape_unencodable() -> None:
    """Let standard output escape what its encoding cannot hold, as standard error does: accounts are any text."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def main() -> None:
    """Run the command line; say what to install where its libraries are missing."""
    escape_unencodable()
    try:
        from .cli import command
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit("the command line needs click: pip install 'mimi-async[cli]'")
    command(prog_name="mimi-async")


if __name__ == "__main__":
    main()
