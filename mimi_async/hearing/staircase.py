"""A pure-tone threshold test of both ears, as a value: the seed, the limits and the answers so far.

The same seed and answers always give the same test. So a test that a browser returns is checked by replaying it: to
tamper with it is only another way of answering.

The method is that of ASHA, "Guidelines for Manual Pure-Tone Threshold Audiometry" (2005), and ISO 8253-1:2010, the
right ear first. `threshold` describes how one threshold is found, and `attempt` how an ear is measured and when that is
unreliable. An unreliable ear is measured once more from its beginning; the other ear, if it is done, is not. If the
second attempt is unreliable as well, the test ends without a result, which needs both ears.

An ear without any response is measured like any other: people are deaf on one side. Two such ears give no result:
deafness of both ears and headphones that are not plugged in look alike.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Self

import attrs

from ..errors import InvalidInputError
from . import attempt as attempts
from .attempt import Attempt, Ear, Presentation
from .results import Audiogram
from .threshold import Limits

__all__ = ["MAX_PRESENTATIONS", "Ear", "Limits", "Outcome", "Presentation", "Staircase"]

_ATTEMPTS: Final = 2
_SEED_BYTES: Final = 16

MAX_PRESENTATIONS: Final = len(Ear) * _ATTEMPTS * attempts.MAX_PRESENTATIONS
"""The largest number of presentations of a test, for any answers. Most tests take less than a tenth of it."""


def _seed(seed: bytes) -> bytes:
    if not isinstance(seed, bytes) or len(seed) != _SEED_BYTES:
        msg = f"a seed is {_SEED_BYTES} bytes, such as secrets.token_bytes({_SEED_BYTES})"
        raise InvalidInputError(msg)
    return seed


class Outcome(StrEnum):
    """The outcome of a test, or RUNNING."""

    RUNNING = "running"
    MEASURED = "measured"
    UNRELIABLE = "unreliable"
    UNHEARD = "unheard"


@attrs.frozen(kw_only=True, repr=False)
class Staircase:
    """A hearing test after a number of answers. Personal health data: handle it as such.

    `begin` and `replay` create it. Two are equal if their seed, limits and answers are equal.

    Attributes:
        seed: 16 random bytes, which determine the positions of the catch trials: draw new ones for each test.
        limits: The levels that may be played.
        answers: Whether each presentation so far was answered "heard", catch trials among them.
    """

    seed: bytes = attrs.field(converter=_seed)
    limits: Limits
    answers: tuple[bool, ...]
    _attempt: Attempt | None = attrs.field(eq=False)
    _done: tuple[Attempt, ...] = attrs.field(eq=False)

    @classmethod
    def begin(cls, seed: bytes, limits: Limits = Limits()) -> Self:  # noqa: B008 - a frozen value
        """Return a test with no answers yet.

        Raises:
            InvalidInputError: The seed is not 16 bytes.
        """
        return cls(seed=seed, limits=limits, answers=(), attempt=Attempt.begin(seed, limits, Ear.RIGHT), done=())

    @classmethod
    def replay(cls, seed: bytes, answers: Iterable[bool], limits: Limits = Limits()) -> Self:  # noqa: B008 - as above
        """Return the test after these answers.

        Raises:
            InvalidInputError: The seed is not 16 bytes, an answer is not a bool, or there are more than the test takes.
        """
        staircase = cls.begin(seed, limits)
        for heard in answers:
            staircase = staircase.answer(heard=heard)
        return staircase

    def answer(self, *, heard: bool) -> Self:
        """Return the test with one more answer.

        Raises:
            InvalidInputError: The answer is not a bool, or the test has ended.
        """
        if not isinstance(heard, bool):
            msg = "an answer is True (heard) or False"
            raise InvalidInputError(msg)
        if self._attempt is None:
            msg = f"the test ended after {len(self.answers)} answers: it takes no more"
            raise InvalidInputError(msg)
        attempt, done = self._advance(self._attempt.answer(heard=heard))
        return attrs.evolve(self, answers=(*self.answers, heard), attempt=attempt, done=done)

    def _advance(self, attempt: Attempt) -> tuple[Attempt | None, tuple[Attempt, ...]]:
        if attempt.is_unreliable:
            if attempt.number == _ATTEMPTS:
                return None, self._done
            return Attempt.begin(self.seed, self.limits, attempt.ear, attempt.number + 1), self._done
        if attempt.audiogram is None:
            return attempt, self._done
        other = Attempt.begin(self.seed, self.limits, Ear.LEFT) if attempt.ear is Ear.RIGHT else None
        return other, (*self._done, attempt)

    @property
    def presentation(self) -> Presentation | None:
        """What to play next; None when the test has ended."""
        return None if self._attempt is None else self._attempt.presentation

    @property
    def progress(self) -> float:
        """The progress, 0.0 to 1.0, by thresholds found. It decreases only where an ear is measured again."""
        return 1.0 if self._attempt is None else (len(self._done) + self._attempt.progress) / len(Ear)

    @property
    def measured(self) -> Mapping[Ear, Audiogram]:
        """The audiograms of the ears that are done."""
        ears = {attempt.ear: attempt.audiogram for attempt in self._done}
        return MappingProxyType({ear: audiogram for ear, audiogram in ears.items() if audiogram is not None})

    @property
    def outcome(self) -> Outcome:
        """MEASURED: both ears are done. UNRELIABLE: it ended before that. UNHEARD: no tone was heard in either ear."""
        if self._attempt is not None:
            return Outcome.RUNNING
        if len(self._done) < len(Ear):
            return Outcome.UNRELIABLE
        return Outcome.MEASURED if any(attempt.responses for attempt in self._done) else Outcome.UNHEARD

    def __repr__(self) -> str:
        """Show no health data: reprs end in logs."""
        return f"Staircase({self.outcome}, …)"
