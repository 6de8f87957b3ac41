"""One attempt at one ear: seven or eight thresholds, and silences among the tones.

The order is that of ASHA (2005) and ISO 8253-1:2010: 1000, 2000, 4000, 8000, 500, 250 Hz, and 1000 Hz again. What
neither source needs, because an audiologist decides it, is decided here:

- A search begins 10 dB above the threshold of the nearest frequency that is known. Not of the one before: 500 Hz comes
  after 8000 Hz, and where only the high tones are lost that would be painfully loud.
- Two thresholds at 1000 Hz that agree within 5 dB: the better one stands. Otherwise the median of three does.
- One presentation in nine is a catch trial, a silence: one in each nine presentations, anywhere among them, but never
  first. The place is hashed from the seed, so that no answer foretells it.
- The attempt is unreliable, and ends, with the second silence that was "heard" (one may be a slip), with a search that
  is lost, and with three thresholds at 1000 Hz whose median is more than 10 dB from both others.
"""

import hashlib
from enum import StrEnum
from statistics import median
from typing import Final, Self

import attrs

from ..errors import InvalidInputError
from . import threshold
from .results import Audiogram
from .threshold import Limits, Search

_ORDER: Final = (1000, 2000, 4000, 8000, 500, 250, 1000, 1000)
_STARTS: Final = (0, 0, 1, 2, 0, 4, 0, 0)
"""For each search in `_ORDER` but the first, the earlier one near whose threshold it begins."""

_RETESTED: Final = 7
_AGREEMENT: Final = 5.0
_SCATTER: Final = 10.0
_MOST_FALSE_ALARMS: Final = 1
_BLOCK: Final = 9
_SEED_BYTES: Final = 16

MOST_PRESENTATIONS: Final = len(_ORDER) * threshold.MOST_PRESENTATIONS * _BLOCK // (_BLOCK - 1)
"""No attempt is longer, however it is answered."""


class Ear(StrEnum):
    """Which ear."""

    RIGHT = "right"
    LEFT = "left"


@attrs.frozen(kw_only=True)
class Presentation:
    """What to play next. Its repr hides the level: that is near the threshold, and reprs end in logs.

    Attributes:
        ear: The side to play it to.
        frequency: In Hz.
        level: In dB HL. None: a catch trial, nothing is played.
    """

    ear: Ear
    frequency: int
    level: float | None = attrs.field(repr=False)


def checked_seed(seed: bytes) -> bytes:
    """Return the seed.

    Raises:
        InvalidInputError: It is not 16 bytes.
    """
    if not isinstance(seed, bytes) or len(seed) != _SEED_BYTES:
        msg = f"a seed is {_SEED_BYTES} bytes, such as secrets.token_bytes({_SEED_BYTES})"
        raise InvalidInputError(msg)
    return seed


@attrs.frozen(kw_only=True, repr=False)
class Attempt:
    """An attempt at an ear as far as it has come.

    Attributes:
        number: 1 for the first attempt at the ear; another number, other places of the catch trials.
        thresholds: What was found so far, in the order of the test.
        responses: How many of them were heard. The others are the highest level, which was not.
        presented: The number of presentations so far, catch trials among them.
        false_alarms: How many catch trials were "heard".
    """

    seed: bytes
    ear: Ear
    number: int
    search: Search
    thresholds: tuple[float, ...] = ()
    responses: int = 0
    presented: int = 0
    false_alarms: int = 0

    @classmethod
    def begun(cls, seed: bytes, limits: Limits, ear: Ear, number: int = 1) -> Self:
        """Return an attempt with no answers yet."""
        return cls(seed=seed, ear=ear, number=number, search=Search.familiarising(limits))

    @property
    def is_silent(self) -> bool:
        """Whether a catch trial is next."""
        block, place = divmod(self.presented, _BLOCK)
        digest = hashlib.sha256(b"%b%b%d:%d" % (self.seed, self.ear.encode(), self.number, block)).digest()
        drawn = int.from_bytes(digest[:8])
        return place == (drawn % _BLOCK if block else 1 + drawn % (_BLOCK - 1))

    @property
    def presentation(self) -> Presentation:
        """What to play next."""
        level = None if self.is_silent else self.search.level
        return Presentation(ear=self.ear, frequency=_ORDER[len(self.thresholds)], level=level)

    @property
    def progress(self) -> float:
        """From 0.0 to 1.0. It never falls: a third threshold at 1000 Hz makes the last step smaller."""
        return len(self.thresholds) / (len(_ORDER) if len(self.thresholds) >= _RETESTED else _RETESTED)

    @property
    def is_unreliable(self) -> bool:
        """Whether the answers so far are no ground for an audiogram."""
        return self.false_alarms > _MOST_FALSE_ALARMS or self.search.is_lost or self._is_scattered

    @property
    def audiogram(self) -> Audiogram | None:
        """The ear, once it is measured."""
        at_1000 = self._at_1000
        if len(at_1000) < 2 or (len(at_1000) == 2 and abs(at_1000[0] - at_1000[1]) > _AGREEMENT):
            return None
        settled = min(at_1000) if len(at_1000) == 2 else median(at_1000)
        return Audiogram({**dict(zip(_ORDER, self.thresholds, strict=False)), 1000: settled})

    @property
    def _at_1000(self) -> tuple[float, ...]:
        return (*self.thresholds[:1], *self.thresholds[_RETESTED - 1 :])

    @property
    def _is_scattered(self) -> bool:
        if len(self.thresholds) < len(_ORDER):
            return False
        low, middle, high = sorted(self._at_1000)
        return min(middle - low, high - middle) > _SCATTER

    def answered(self, *, heard: bool) -> Self:
        """Return the attempt after one more answer. A catch trial changes neither the level nor the search."""
        silent = self.is_silent
        search, thresholds = (self.search, self.thresholds) if silent else self._searched(heard=heard)
        found = len(thresholds) - len(self.thresholds)  # by the last answer: a response is heard, no response is not
        return type(self)(
            seed=self.seed,
            ear=self.ear,
            number=self.number,
            search=search,
            thresholds=thresholds,
            responses=self.responses + (heard and found),
            presented=self.presented + 1,
            false_alarms=self.false_alarms + (silent and heard),
        )

    def _searched(self, *, heard: bool) -> tuple[Search, tuple[float, ...]]:
        search = self.search.answered(heard=heard)
        if search.threshold is None:
            return search, self.thresholds
        thresholds = (*self.thresholds, search.threshold)
        if len(thresholds) < len(_ORDER):
            search = Search.near(thresholds[_STARTS[len(thresholds)]], search.limits)
        return search, thresholds
