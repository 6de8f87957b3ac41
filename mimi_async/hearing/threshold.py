"""One threshold at one frequency: down 10 dB after a response, up 5 dB after none (modified Hughson-Westlake).

ASHA, "Guidelines for Manual Pure-Tone Threshold Audiometry" (2005), and the shortened ascending method of
ISO 8253-1:2010. A threshold is the lowest level that was heard in at least two of the last three times that it was
reached from below. What neither source needs, because an audiologist decides it, is decided here:

- At the lowest level nobody can be led down any further: heard there, it is presented there again, and that counts as
  reached from below. At the highest level the same goes for what is not heard.
- Two of three not heard at the highest level is "no response". The threshold kept is the highest level: read it as "at
  least". So a threshold above what may be played and one just there look alike.
- A search that does not end within `MOST_PRESENTATIONS` is lost: the answers contradict each other.
"""

from typing import Final, Self

import attrs

from ..errors import InvalidInputError
from .results import LEVELS

FAMILIAR_LEVEL: Final = 30.0
"""Where the first tone of an ear is, in dB HL (ASHA 2005): clear to most, and loud to nobody."""

MOST_PRESENTATIONS: Final = 40
"""How many tones a search may take. The longest way with one wrong answer, from -10 to 120 dB HL, takes 31."""

_LOUDER: Final = 50.0
_DOWN: Final = 10.0
_UP: Final = 5.0


def _level(value: float) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not LEVELS[0] <= value <= LEVELS[1] or value % _UP:
        msg = f"a limit is a multiple of {_UP:g} from {LEVELS[0]:g} to {LEVELS[1]:g} dB HL"
        raise InvalidInputError(msg)
    return float(value)


@attrs.frozen(kw_only=True)
class Limits:
    """The levels in dB HL that may be played: what the transducer can do, and what an ear should bear.

    Raises:
        InvalidInputError: Not a multiple of 5, beyond -10 to 120, or no room for the search around 30 dB HL: the
            lowest is at most 20, the highest at least 50.
    """

    lowest: float = attrs.field(default=-10.0, converter=_level)
    highest: float = attrs.field(default=80.0, converter=_level)

    def __attrs_post_init__(self) -> None:
        lowest, highest = FAMILIAR_LEVEL - _DOWN, _LOUDER
        if self.lowest > lowest or self.highest < highest:
            msg = f"the lowest level is at most {lowest:g} dB HL and the highest at least {highest:g}"
            raise InvalidInputError(msg)

    def nearest(self, level: float) -> float:
        """Return the level, or the limit that it is beyond."""
        return min(max(level, self.lowest), self.highest)


@attrs.frozen(kw_only=True, repr=False)
class Search:
    """A search for a threshold, as far as it has come.

    Attributes:
        level: The next level to present, in dB HL.
        presented: The number of tones so far.
        threshold: What was found, or None.
        is_familiarising: Whether no tone was heard yet in the first search of an ear, which rises in large steps.
    """

    limits: Limits
    level: float
    presented: int = 0
    threshold: float | None = None
    is_familiarising: bool = False
    _is_rising: bool = False
    _ascents: tuple[tuple[float, bool], ...] = ()

    @classmethod
    def familiarising(cls, limits: Limits) -> Self:
        """Begin at 30 dB HL; not heard: 50, then up 10 at a time until something is heard (ASHA 2005)."""
        return cls(limits=limits, level=FAMILIAR_LEVEL, is_familiarising=True)

    @classmethod
    def near(cls, threshold: float, limits: Limits) -> Self:
        """Begin 10 dB above a threshold that is likely to be close, so that the first tone is heard."""
        return cls(limits=limits, level=limits.nearest(threshold + _DOWN))

    @property
    def is_lost(self) -> bool:
        """Whether there is no threshold and no hope of one."""
        return self.threshold is None and self.presented >= MOST_PRESENTATIONS

    def answered(self, *, heard: bool) -> Self:
        """Return the search after one more tone."""
        ascents = (*self._ascents, (self.level, heard)) if self._is_rising else self._ascents
        level = self.limits.nearest(self.level - _DOWN if heard else self._louder())
        is_familiarising = self.is_familiarising and not heard
        return type(self)(
            limits=self.limits,
            level=level,
            presented=self.presented + 1,
            threshold=self._found(ascents),
            is_familiarising=is_familiarising,
            is_rising=level == self.level or not (heard or is_familiarising),
            ascents=ascents,
        )

    def _louder(self) -> float:
        if not self.is_familiarising:
            return self.level + _UP
        return max(self.level + _DOWN, _LOUDER)

    def _found(self, ascents: tuple[tuple[float, bool], ...]) -> float | None:
        here = [heard for level, heard in ascents if level == self.level][-3:]
        if here.count(True) >= 2:
            return self.level
        no_response = self.level == self.limits.highest and here.count(False) >= 2
        return self.level if no_response else None
