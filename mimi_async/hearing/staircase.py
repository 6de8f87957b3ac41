"""A pure-tone threshold test of both ears, as a value: the seed, the limits and the answers so far, nothing else.

The same seed and answers always make the same test, so one that comes back from a browser is checked by replaying it:
to tamper with it is only another way of answering.

The method is that of ASHA, "Guidelines for Manual Pure-Tone Threshold Audiometry" (2005), and ISO 8253-1:2010, the
right ear first. `threshold` tells how one threshold is found, and `attempt` how an ear is measured and when that is
unreliable. An unreliable ear is measured once more from its beginning; the other one, if it is done, is not. When that
fails too, the test ends without a result, which needs both ears: the next test is a new one, of both.

An ear that responds to nothing is measured like any other: people are deaf on one side. Two such ears are no result,
though, for without any response nobody can tell deafness from headphones that are not plugged in.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self

import attrs

from ..errors import InvalidInputError
from . import attempt as attempts
from .attempt import Attempt, Ear, Presentation, checked_seed
from .results import Audiogram
from .threshold import Limits

__all__ = ["MOST_PRESENTATIONS", "Ear", "Limits", "Outcome", "Presentation", "Staircase"]

_ATTEMPTS: Final = 2

MOST_PRESENTATIONS: Final = len(Ear) * _ATTEMPTS * attempts.MOST_PRESENTATIONS
"""No test is longer, however it is answered. Most take less than a tenth of it."""


class Outcome(StrEnum):
    """How a test ended, or that it runs."""

    RUNNING = "running"
    MEASURED = "measured"
    UNRELIABLE = "unreliable"
    UNHEARD = "unheard"


@attrs.frozen(kw_only=True, repr=False)
class Staircase:
    """A hearing test as far as it has come. Personal health data: handle it as such.

    Made by `begun` and `replayed`. Two are equal when their seed, limits and answers are.

    Attributes:
        seed: 16 bytes, which place the catch trials. Who knows them can tell a silence beforehand: draw them afresh.
        limits: What may be played.
        answers: Whether each presentation so far was answered "heard", catch trials among them.
    """

    seed: bytes = attrs.field(converter=checked_seed)
    limits: Limits
    answers: tuple[bool, ...]
    _attempt: Attempt | None = attrs.field(eq=False)
    _done: tuple[Attempt, ...] = attrs.field(eq=False)

    @classmethod
    def begun(cls, seed: bytes, limits: Limits = Limits()) -> Self:  # noqa: B008 - a frozen value
        """Return a test with no answers yet.

        Raises:
            InvalidInputError: The seed is not 16 bytes.
        """
        attempt = Attempt.begun(checked_seed(seed), limits, Ear.RIGHT)
        return cls(seed=seed, limits=limits, answers=(), attempt=attempt, done=())

    @classmethod
    def replayed(cls, seed: bytes, answers: Iterable[bool], limits: Limits = Limits()) -> Self:  # noqa: B008 - as above
        """Return the test that these answers make.

        Raises:
            InvalidInputError: The seed is not 16 bytes, an answer is no bool, or there are more than the test takes.
        """
        staircase = cls.begun(seed, limits)
        for heard in answers:
            staircase = staircase.answered(heard=heard)
        return staircase

    def answered(self, *, heard: bool) -> Self:
        """Return the test with one more answer.

        Raises:
            InvalidInputError: The answer is no bool, or the test has ended.
        """
        if not isinstance(heard, bool):
            msg = "an answer is True (heard) or False"
            raise InvalidInputError(msg)
        if self._attempt is None:
            msg = f"the test ended after {len(self.answers)} answers: it takes no more"
            raise InvalidInputError(msg)
        attempt, done = self._next(self._attempt.answered(heard=heard))
        answers = (*self.answers, heard)
        return type(self)(seed=self.seed, limits=self.limits, answers=answers, attempt=attempt, done=done)

    def _next(self, attempt: Attempt) -> tuple[Attempt | None, tuple[Attempt, ...]]:
        if attempt.is_unreliable:
            if attempt.number == _ATTEMPTS:
                return None, self._done
            return Attempt.begun(self.seed, self.limits, attempt.ear, attempt.number + 1), self._done
        if attempt.audiogram is None:
            return attempt, self._done
        other = Attempt.begun(self.seed, self.limits, Ear.LEFT) if attempt.ear is Ear.RIGHT else None
        return other, (*self._done, attempt)

    @property
    def presentation(self) -> Presentation | None:
        """What to play next; None when the test has ended."""
        return None if self._attempt is None else self._attempt.presentation

    @property
    def progress(self) -> float:
        """From 0.0 to 1.0, by thresholds found. It falls only where an ear is begun again."""
        return 1.0 if self._attempt is None else (len(self._done) + self._attempt.progress) / len(Ear)

    @property
    def measured(self) -> Mapping[Ear, Audiogram]:
        """The ears that are done."""
        ears = {attempt.ear: attempt.audiogram for attempt in self._done}
        return MappingProxyType({ear: audiogram for ear, audiogram in ears.items() if audiogram is not None})

    @property
    def outcome(self) -> Outcome:
        """MEASURED: both ears are done. UNRELIABLE: it ended before that. UNHEARD: nothing was heard in either ear."""
        if self._attempt is not None:
            return Outcome.RUNNING
        if len(self._done) < len(Ear):
            return Outcome.UNRELIABLE
        return Outcome.MEASURED if any(attempt.responses for attempt in self._done) else Outcome.UNHEARD

    def __repr__(self) -> str:
        """Show no health data: reprs end in logs."""
        return f"Staircase({self.outcome}, …)"
