"""The command line as the main function of forked processes."""

import os
import sys
from typing import Any

import mimi_async.cli
import mimi_async.server.users.postgres
import mimi_async.stores.postgres  # noqa: F401 - the forked processes do not import it again
from mimi_async.__main__ import main


def live(job: dict[str, Any]) -> None:
    """Run the arguments of a job in its folder and environment, with its files as standard output and error."""
    for number in (1, 2):
        os.dup2(os.open(job["outputs"][number - 1], os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.chdir(job["folder"])
    os.environ.clear()
    os.environ.update(job["environ"])
    sys.argv[1:] = job["arguments"]
    main()
