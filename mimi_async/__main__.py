"""`python -m mimi_async`, and the command `mimi-async`."""

import sys


def main() -> None:
    """Run the command line; say what to install where its libraries are missing."""
    try:
        from .cli import command
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit("the command line needs click: pip install 'mimi-async[cli]'")
    command(prog_name="mimi-async")


if __name__ == "__main__":
    main()
