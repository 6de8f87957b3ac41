"""One threshold at one frequency: down 10 dB after a response, up 5 dB after none (modified Hughson-Westlake).

ASHA, "Guidelines for Manual Pure-Tone Threshold Audiometry" (2005), and the shortened ascending method of
ISO 8253-1:2010. A threshold is the lowest level that was heard in at least two of the last three times that it was
reached from below. Where both sources leave a decision to the audiologist, this module decides:

- A tone heard at the lowest level is presented there again, and that counts as reached from below. A tone not heard at
  the highest level is presented there again as well.
- Two of three not heard at the highest level is "no response". The threshold is then the highest level: read it as "at
  least". A threshold at the highest level and one above it give the same result.
- A search that finds no threshold within `MAX_PRESENTATIONS` has failed: the answers contradict each other.
"""

from typing import Final, Self

import attrs

from ..builtin_types import as_number
from ..errors import InvalidInputError
from .results import LEVELS

FAMILIAR_LEVEL: Final = 30.0
"""The level of the first tone of an ear, in dB HL (ASHA 2005): clear to most people, and not too loud."""

MAX_PRESENTATIONS: Final = 40
"""The largest number of tones of a search. The longest search with one wrong answer, -10 to 120 dB HL, takes 31."""

_LOUDER: Final = 50.0
_DOWN: Final = 10.0
_UP: Final = 5.0


def _level(value: float) -> float:
    exact = as_number(value)
    if exact is None or not LEVELS[0] <= exact <= LEVELS[1] or exact % _UP:
        msg = f"a limit is a multiple of {_UP:g} from {LEVELS[0]:g} to {LEVELS[1]:g} dB HL"
        raise InvalidInputError(msg)
    return exact


@attrs.frozen(kw_only=True)
class Limits:
    """The levels in dB HL that may be played: limited by the transducer, and for the safety of the ear.

    Raises:
        InvalidInputError: Not a multiple of 5, outside -10 to 120, or too narrow for a search around 30 dB HL: the
            lowest is at most 20, the highest at least 50.
    """

    lowest: float = attrs.field(default=-10.0, converter=_level)
    highest: float = attrs.field(default=80.0, converter=_level)

    def __attrs_post_init__(self) -> None:
        lowest, highest = FAMILIAR_LEVEL - _DOWN, _LOUDER
        if self.lowest > lowest or self.highest < highest:
            msg = f"the lowest level is at most {lowest:g} dB HL and the highest at least {highest:g}"
            raise InvalidInputError(msg)

    def clamp(self, level: float) -> float:
        """Return the level, or the nearest limit if it is outside."""
        return min(max(level, self.lowest), self.highest)


@attrs.frozen(kw_only=True, repr=False)
class Search:
    """A search for a threshold after a number of tones.

    Attributes:
        level: The next level to present, in dB HL.
        presented: The number of tones so far.
        threshold: The threshold, once it is found, or None.
        is_familiarizing: Whether no tone was heard yet in the first search of an ear, which goes up in large steps.
    """

    limits: Limits
    level: float
    presented: int = 0
    threshold: float | None = None
    is_familiarizing: bool = False
    _is_rising: bool = False
    _ascents: tuple[tuple[float, bool], ...] = ()

    @classmethod
    def start_familiarizing(cls, limits: Limits) -> Self:
        """Begin at 30 dB HL; not heard: 50, then up 10 at a time until a tone is heard (ASHA 2005)."""
        return cls(limits=limits, level=FAMILIAR_LEVEL, is_familiarizing=True)

    @classmethod
    def start_near(cls, threshold: float, limits: Limits) -> Self:
        """Begin 10 dB above a threshold that is likely to be near, so that the first tone is heard."""
        return cls(limits=limits, level=limits.clamp(threshold + _DOWN))

    @property
    def has_failed(self) -> bool:
        """Whether the search has ended without a threshold."""
        return self.threshold is None and self.presented >= MAX_PRESENTATIONS

    def answer(self, *, heard: bool) -> Self:
        """Return the search after one more tone."""
        ascents = (*self._ascents, (self.level, heard)) if self._is_rising else self._ascents
        is_familiarizing = self.is_familiarizing and not heard
        up = max(self.level + _DOWN, _LOUDER) if is_familiarizing else self.level + _UP
        level = self.limits.clamp(self.level - _DOWN if heard else up)
        return attrs.evolve(
            self,
            level=level,
            presented=self.presented + 1,
            threshold=self._find_threshold(ascents),
            is_familiarizing=is_familiarizing,
            is_rising=level == self.level or not (heard or is_familiarizing),
            ascents=ascents,
        )

    def _find_threshold(self, ascents: tuple[tuple[float, bool], ...]) -> float | None:
        here = [heard for level, heard in ascents if level == self.level][-3:]
        if here.count(True) >= 2:
            return self.level
        no_response = self.level == self.limits.highest and here.count(False) >= 2
        return self.level if no_response else None
