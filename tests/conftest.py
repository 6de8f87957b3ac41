"""What all tests share."""

import os

from hypothesis import settings

settings.register_profile("mimi", deadline=None)  # a busy machine is no failure
settings.load_profile("mimi")


def rounds(short: int, long: int) -> int:
    """Return how often to do something: `make proof` sets MIMI_PROOF and takes its time."""
    return long if os.environ.get("MIMI_PROOF") else short
