"""The command line on a system that refuses some forks: `python -m tests.server.forking NUMBERS ARGUMENTS`."""

import errno
import os
import sys
from itertools import count

from mimi_async.__main__ import main

_REFUSED = {int(number) for number in sys.argv.pop(1).split(",")}
_numbers, _fork = count(1), os.fork


def fork() -> int:
    """Fork, unless this fork is one to refuse."""
    if next(_numbers) in _REFUSED:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return _fork()


os.fork = fork
main()
