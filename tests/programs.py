"""Programs that tests need and that pip does not install."""

import os
import shutil
from typing import NoReturn

import pytest

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def skip_without(missing: str, packages: str) -> NoReturn:
    """Skip the test, or in CI fail it, with the remedy."""
    remedy = f"this test needs {missing}. On Debian: apt-get install {packages}"
    (pytest.fail if os.environ.get("CI") else pytest.skip)(remedy)


def require_program(name: str, package: str, *, or_program: str | None = None) -> str:
    """Return the path of a program, or of another one that does as well; or skip the test."""
    found = shutil.which(name, path=PATH) or (or_program and shutil.which(or_program, path=PATH))
    return found or skip_without(name, package)
