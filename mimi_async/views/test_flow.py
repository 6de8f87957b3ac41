"""The hearing test as a view: it drives the staircase, and keeps the result with the user once both ears are done.

A running test is a value, `TestScreen.state`, that a page or the partner's session carries from one answer to the next.
Nothing half-measured is stored with the profile, and nothing is held here: any process may take the next answer.
"""

import datetime as dt
import hashlib
import re
import secrets
from typing import ClassVar

import attrs

from ..auth.controller import AuthController
from ..errors import InvalidInputError, NotAuthenticatedError
from ..hearing.results import HearingTestResult
from ..hearing.staircase import MOST_PRESENTATIONS, Ear, Limits, Outcome, Presentation, Staircase
from ..identity import MimiUser, Secret
from .marks import MARK_BYTES, is_marked, mark_of

_SEED_BYTES = 16
_SHAPE = re.compile(
    rf"1\.([0-9a-f]{{{2 * _SEED_BYTES}}})\.([0-9a-f]{{{2 * MARK_BYTES}}})\.([01]{{0,{MOST_PRESENTATIONS}}})", re.ASCII
)


@attrs.frozen(kw_only=True)
class TestScreen:
    """What the hearing test shows at one moment.

    Attributes:
        state: The running test as a text, to be carried until the next answer: letters, digits and dots, at most a few
            hundred. It says what was answered, so it is personal health data, and it opens nothing.
    """

    __test__: ClassVar[bool] = False  # pytest takes every class named Test… for a test

    state: str = attrs.field(repr=False)
    _staircase: Staircase = attrs.field(repr=False, eq=False)
    _user: MimiUser = attrs.field(repr=False, eq=False)
    _flow: "TestFlow" = attrs.field(repr=False, eq=False)
    _auth: AuthController = attrs.field(repr=False, eq=False)

    @property
    def presentation(self) -> Presentation | None:
        """What to play next; None once the test has ended."""
        return self._staircase.presentation

    @property
    def progress(self) -> float:
        """How far the test is, 0.0 to 1.0."""
        return self._staircase.progress

    @property
    def outcome(self) -> Outcome:
        """Whether it runs, has measured both ears, or has ended without a result: the answers can't be relied on."""
        return self._staircase.outcome

    @property
    def ears_done(self) -> frozenset[Ear]:
        """The ears that are measured."""
        return frozenset(self._staircase.measured)

    def answer(self, *, heard: bool) -> "TestScreen":
        """Return the screen after an answer to the presentation. The same answer to the same screen gives the same one.

        Raises:
            InvalidInputError: The test has ended.
        """
        return _screen(self._flow, self._auth, self._user, self._staircase.answered(heard=heard))

    async def submit(self) -> HearingTestResult:
        """Keep the result with the user, and return it. A test that is submitted again is kept once.

        Raises:
            InvalidInputError: The test has not ended, or ended without a result.
            NotAuthenticatedError: The user of this test is gone.
            MimiError: As `AuthController.submit_hearing_test`.
        """
        if self.outcome is not Outcome.MEASURED:
            msg = f"the hearing test is {self.outcome}: there is no result to keep"
            raise InvalidInputError(msg)
        if _required_user(self._auth).id != self._user.id:
            msg = "the user has changed since this hearing test was begun: nothing was kept"
            raise NotAuthenticatedError(msg)
        ears = self._staircase.measured
        now, calibrated = dt.datetime.now(dt.UTC), self._flow.calibrated
        result = HearingTestResult(taken_at=now, calibrated=calibrated, left=ears[Ear.LEFT], right=ears[Ear.RIGHT])
        key = Secret(hashlib.sha256(b"mimi-async hearing test" + self._staircase.seed).hexdigest())
        return await self._auth.submit_hearing_test(result, key=key)


@attrs.frozen(kw_only=True)
class TestFlow:
    """The hearing test, a view: `await core.present(TestFlow())` begins one and returns its screen.

    `await core.present(TestFlow(state=screen.state))` goes on with it, in any process, after any interruption: an ear
    that is done stays done while the test runs. It needs a user: `ProfileScreen.take_hearing_test` makes one first.

    Attributes:
        state: A running test, as `TestScreen.state` gave it; None begins a new one.
        limits: The levels that the transducer may be asked for. The same throughout one test.
        calibrated: Whether the transducer is calibrated, as the result will say; a browser's is not.

    Raises:
        NotAuthenticatedError: When presented: there is no user.
        InvalidInputError: When presented: the state is no state, or that of another user or of other limits.
    """

    __test__: ClassVar[bool] = False

    state: str | None = attrs.field(default=None, repr=False)
    limits: Limits = attrs.field(factory=Limits)
    calibrated: bool = False

    async def __call__(self, auth: AuthController) -> TestScreen:
        """Return the screen; called by `MimiCore.present`."""
        user = _required_user(auth)
        if self.state is None:
            staircase = Staircase.begun(secrets.token_bytes(_SEED_BYTES), self.limits)
        else:
            staircase = self._read(self.state, user)
        return _screen(self, auth, user, staircase)

    def _read(self, state: str, user: MimiUser) -> Staircase:
        found = _SHAPE.fullmatch(state) if isinstance(state, str) else None
        if found is None:
            msg = "this is no state of a hearing test, as TestScreen.state gives it: begin the test anew"
            raise InvalidInputError(msg)
        seed, mark = map(bytes.fromhex, found.group(1, 2))
        if not is_marked(mark, user.id, seed, _context(self.limits)):
            msg = "this hearing test was begun for another user, or with other limits: begin the test anew"
            raise InvalidInputError(msg)
        return Staircase.replayed(seed, (answer == "1" for answer in found[3]), self.limits)


def _screen(flow: TestFlow, auth: AuthController, user: MimiUser, staircase: Staircase) -> TestScreen:
    mark = mark_of(user.id, staircase.seed, _context(flow.limits))
    answers = "".join("01"[heard] for heard in staircase.answers)
    state = f"1.{staircase.seed.hex()}.{mark.hex()}.{answers}"
    return TestScreen(state=state, staircase=staircase, user=user, flow=flow, auth=auth)


def _context(limits: Limits) -> bytes:
    return f"{limits.lowest:g} {limits.highest:g}".encode()


def _required_user(auth: AuthController) -> MimiUser:
    user = auth.current_user
    if user is None:
        msg = "a hearing test needs a user: begin it by ProfileScreen.take_hearing_test(), or await ensure_user() first"
        raise NotAuthenticatedError(msg)
    return user
