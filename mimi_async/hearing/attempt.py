"""One attempt at one ear: seven or eight thresholds, and catch trials among the tones.

The order is that of ASHA (2005) and ISO 8253-1:2010: 1000, 2000, 4000, 8000, 500, 250 Hz, and 1000 Hz again. Where both
sources leave a decision to the audiologist, this module decides:

- A search begins 10 dB above the threshold of the nearest frequency that is known, not of the previous one: 500 Hz
  comes after 8000 Hz, and where only high tones are lost that would be painfully loud.
- Two thresholds at 1000 Hz that agree within 5 dB: the better one counts. Otherwise the median of three counts.
- One presentation in each nine is a catch trial (silence), at any position but never the first of all. The position is
  hashed from the seed, so that the answers do not predict it.
- The attempt is unreliable, and ends, with the second catch trial that was "heard" (one may be a slip), with a search
  that finds no threshold, and with three thresholds at 1000 Hz whose median is more than 10 dB from both others.
"""

import hashlib
from enum import StrEnum
from statistics import median
from typing import Final, Self

import attrs

from . import threshold
from .results import Audiogram
from .threshold import Limits, Search

_ORDER: Final = (1000, 2000, 4000, 8000, 500, 250, 1000, 1000)
_STARTS: Final = (0, 0, 1, 2, 0, 4, 0, 0)
"""For each search in `_ORDER` after the first, the index of the earlier search near whose threshold it begins."""

_RETESTED: Final = 7
_AGREEMENT: Final = 5.0
_SCATTER: Final = 10.0
_MAX_FALSE_ALARMS: Final = 1
_BLOCK: Final = 9

MAX_PRESENTATIONS: Final = len(_ORDER) * threshold.MAX_PRESENTATIONS * _BLOCK // (_BLOCK - 1)
"""The largest number of presentations of an attempt, for any answers."""


class Ear(StrEnum):
    """An ear."""

    RIGHT = "right"
    LEFT = "left"


@attrs.frozen(kw_only=True)
class Presentation:
    """What to play next. Its repr hides the level, which is near the threshold, since reprs are logged.

    Attributes:
        ear: The ear to play it to.
        frequency: In Hz.
        level: In dB HL. None: a catch trial, which plays nothing.
    """

    ear: Ear
    frequency: int
    level: float | None = attrs.field(repr=False)


@attrs.frozen(kw_only=True, repr=False)
class Attempt:
    """An attempt at an ear after a number of answers.

    Attributes:
        number: 1 for the first attempt at the ear. The positions of the catch trials depend on it.
        thresholds: The thresholds found so far, in the order of the test.
        responses: How many of them were heard. The others are the highest level, where no tone was heard.
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
    def begin(cls, seed: bytes, limits: Limits, ear: Ear, number: int = 1) -> Self:
        """Return an attempt with no answers yet."""
        return cls(seed=seed, ear=ear, number=number, search=Search.start_familiarizing(limits))

    @property
    def is_catch_trial(self) -> bool:
        """Whether a catch trial is next."""
        block, position = divmod(self.presented, _BLOCK)
        digest = hashlib.sha256(b"%b%b%d:%d" % (self.seed, self.ear.encode(), self.number, block)).digest()
        drawn = int.from_bytes(digest[:8])
        return position == (drawn % _BLOCK if block else 1 + drawn % (_BLOCK - 1))

    @property
    def presentation(self) -> Presentation:
        """What to play next."""
        level = None if self.is_catch_trial else self.search.level
        return Presentation(ear=self.ear, frequency=_ORDER[len(self.thresholds)], level=level)

    @property
    def progress(self) -> float:
        """The progress, 0.0 to 1.0. It never decreases: a third threshold at 1000 Hz makes the last step smaller."""
        return len(self.thresholds) / (len(_ORDER) if len(self.thresholds) >= _RETESTED else _RETESTED)

    @property
    def is_unreliable(self) -> bool:
        """Whether the answers so far contradict each other too much for an audiogram."""
        has_failed = self.false_alarms > _MAX_FALSE_ALARMS or self.search.has_failed
        if has_failed or len(self.thresholds) < len(_ORDER):
            return has_failed
        low, middle, high = sorted(self._at_1000)
        return min(middle - low, high - middle) > _SCATTER

    @property
    def audiogram(self) -> Audiogram | None:
        """The audiogram, once the ear is measured; None before."""
        at_1000 = self._at_1000
        if len(at_1000) < 2 or (len(at_1000) == 2 and abs(at_1000[0] - at_1000[1]) > _AGREEMENT):
            return None
        settled = min(at_1000) if len(at_1000) == 2 else median(at_1000)
        return Audiogram({**dict(zip(_ORDER, self.thresholds, strict=False)), 1000: settled})

    @property
    def _at_1000(self) -> tuple[float, ...]:
        return (*self.thresholds[:1], *self.thresholds[_RETESTED - 1 :])

    def answer(self, *, heard: bool) -> Self:
        """Return the attempt after one more answer. A catch trial changes neither the level nor the search."""
        presented = self.presented + 1
        if self.is_catch_trial:
            return attrs.evolve(self, presented=presented, false_alarms=self.false_alarms + heard)
        search = self.search.answer(heard=heard)
        if search.threshold is None:
            return attrs.evolve(self, presented=presented, search=search)
        thresholds, responses = (*self.thresholds, search.threshold), self.responses + heard
        if len(thresholds) < len(_ORDER):
            search = Search.start_near(thresholds[_STARTS[len(thresholds)]], search.limits)
        return attrs.evolve(self, presented=presented, search=search, thresholds=thresholds, responses=responses)
