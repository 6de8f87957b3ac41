"""People whose thresholds are known, so that a measured audiogram can be held against them."""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Final

import attrs
from hypothesis import strategies as st

from mimi_async.hearing.results import FREQUENCIES
from mimi_async.hearing.staircase import Ear, Presentation, Staircase

Thresholds = Mapping[int, float]

SEARCHES: Final = 14
"""How many thresholds a test takes when the two at 1000 Hz agree in both ears."""

_SHARED: Final = (250, 500, 1000, 2000, 4000)
_BISGAARD: Final = {
    "N1": (10, 10, 10, 15, 30),
    "N2": (20, 20, 25, 35, 45),
    "N3": (35, 35, 40, 50, 60),
    "N4": (55, 55, 55, 65, 75),
    "N5": (65, 70, 75, 80, 80),
    "N6": (75, 80, 85, 90, 100),
    "N7": (90, 95, 105, 105, 105),
    "S1": (10, 10, 10, 15, 55),
    "S2": (20, 20, 25, 55, 95),
    "S3": (30, 35, 60, 75, 80),
}
BISGAARD_NAMES: Final = tuple(_BISGAARD)


def bisgaard(name: str, *, at_8000: float) -> dict[int, float]:
    """A standard audiogram of Bisgaard, Vlaming and Dahlquist (2010), which says nothing above 6000 Hz."""
    return {**dict(zip(_SHARED, _BISGAARD[name], strict=True)), 8000: at_8000}


def flat(level: float) -> dict[int, float]:
    return dict.fromkeys(FREQUENCIES, level)


def thresholds(lowest: float, highest: float) -> st.SearchStrategy[dict[int, float]]:
    """Draw the thresholds of one ear, any real numbers within the limits."""
    return st.fixed_dictionaries(dict.fromkeys(FREQUENCIES, st.floats(lowest, highest, allow_subnormal=False)))


@attrs.define(kw_only=True, eq=False)
class Listener:
    """Hears what is at the threshold or above, and never a silence."""

    right: Thresholds
    left: Thresholds

    def hears(self, presentation: Presentation) -> bool:
        if presentation.level is None:
            return False
        return presentation.level >= self.of(presentation.ear)[presentation.frequency]

    def of(self, ear: Ear) -> Thresholds:
        return self.right if ear is Ear.RIGHT else self.left


@attrs.define(kw_only=True, eq=False)
class SlippingListener(Listener):
    """Answers wrongly at most once in each search, and to one silence of each ear at most.

    Attributes:
        slips: For each search, the position of the tone that is answered wrongly, which may be beyond its end.
        alarm: The position of the silence of each ear that is "heard".
    """

    slips: Sequence[int]
    alarm: int
    _searched: list[tuple[Ear, int]] = attrs.field(init=False, factory=list)
    _tones: int = attrs.field(init=False, default=0)
    _silences: dict[Ear, int] = attrs.field(init=False, factory=dict)

    def hears(self, presentation: Presentation) -> bool:
        ear = presentation.ear
        if presentation.level is None:
            self._silences[ear] = self._silences.get(ear, 0) + 1
            return self._silences[ear] - 1 == self.alarm
        search = (ear, presentation.frequency)
        if self._searched[-1:] != [search]:
            self._searched.append(search)
            self._tones = 0
        self._tones += 1
        slipped = self.slips[len(self._searched) - 1] == self._tones - 1
        return super().hears(presentation) != slipped


@attrs.define(kw_only=True, eq=False)
class LapsingListener(Listener):
    """Answers wrongly at a rate, silences too."""

    rate: float
    random: Random

    def hears(self, presentation: Presentation) -> bool:
        return super().hears(presentation) != (self.random.random() < self.rate)


@attrs.define(kw_only=True, eq=False)
class Guesser:
    """Says "heard" at a rate, whatever is played: always for 1, never for 0."""

    rate: float
    random: Random = attrs.field(factory=lambda: Random(0))

    def hears(self, _: Presentation) -> bool:
        return self.random.random() < self.rate


def take(staircase: Staircase, listener: Listener | Guesser) -> Staircase:
    """Let a listener take the test from here to its end."""
    while (presentation := staircase.presentation) is not None:
        staircase = staircase.answer(heard=listener.hears(presentation))
    return staircase
