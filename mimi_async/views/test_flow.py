"""The hearing test as a view: it drives the staircase, and stores the result with the user once both ears are done.

A running test is a value, `TestScreen.state`, that a page or the partner's session carries from one answer to the next.
No partial result is stored, and no state is held here: any process may take the next answer.
"""

import datetime as dt
import hashlib
import re
import secrets
from typing import ClassVar

import attrs

from ..auth.controller import AuthController
from ..builtin_types import as_str
from ..errors import InvalidInputError, NotAuthenticatedError
from ..hearing.results import HearingTestResult
from ..hearing.staircase import MAX_PRESENTATIONS, Ear, Limits, Outcome, Presentation, Staircase
from ..identity import MimiUser
from ..secret import Secret
from .binding import BINDING_BYTES, compute_binding, is_bound

_SEED_BYTES = 16
_STATE = re.compile(
    rf"1\.([0-9a-f]{{{2 * _SEED_BYTES}}})\.([0-9a-f]{{{2 * BINDING_BYTES}}})\.([01]{{0,{MAX_PRESENTATIONS}}})", re.ASCII
)


@attrs.frozen(kw_only=True)
class TestScreen:
    """What the hearing test shows at one moment.

    Attributes:
        state: The running test as a text, to be carried until the next answer: letters, digits and dots, at most a few
            hundred. It holds the answers, so it is personal health data; it grants no access.
    """

    __test__: ClassVar[bool] = False  # pytest collects every class named Test…

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
        """The progress of the test, 0.0 to 1.0."""
        return self._staircase.progress

    @property
    def outcome(self) -> Outcome:
        """Whether the test runs, has measured both ears, or has ended without a result."""
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
        return _make_screen(self._flow, self._auth, self._user, self._staircase.answer(heard=heard))

    async def submit(self) -> HearingTestResult:
        """Store the result with the user, and return it. A test that is submitted again is stored once.

        Raises:
            InvalidInputError: The test has not ended, or ended without a result.
            NotAuthenticatedError: The user of this test is gone.
            MimiError: As `AuthController.submit_hearing_test`.
        """
        if self.outcome is not Outcome.MEASURED:
            msg = f"the hearing test is {self.outcome}: there is no result to store"
            raise InvalidInputError(msg)
        if _required_user(self._auth.current_user).id != self._user.id:
            msg = "the user has changed since this hearing test began: nothing was stored"
            raise NotAuthenticatedError(msg)
        ears = self._staircase.measured
        now, calibrated = dt.datetime.now(dt.UTC), self._flow.calibrated
        result = HearingTestResult(taken_at=now, calibrated=calibrated, left=ears[Ear.LEFT], right=ears[Ear.RIGHT])
        key = Secret(hashlib.sha256(b"mimi-async hearing test" + self._staircase.seed).hexdigest())
        return await self._auth.submit_hearing_test(result, key=key)


@attrs.frozen(kw_only=True)
class TestFlow:
    """The hearing test, a view: `await core.present(TestFlow())` begins a test and returns its screen.

    `await core.present(TestFlow(state=screen.state))` resumes it, in any process, after any interruption: an ear that
    is done stays done while the test runs. It needs a user: `ProfileScreen.take_hearing_test` creates one first.

    Attributes:
        state: A running test, as `TestScreen.state` gave it; None begins a new one.
        limits: The levels that may be played; the same throughout one test.
        calibrated: Whether the transducer is calibrated, which the result states; that of a browser is not.

    Raises:
        NotAuthenticatedError: When presented: there is no user.
        MimiError: When presented: as `AuthController.find_user`, which reads a user again that was read longer ago than
            `MimiCore(user_max_age=…)`.
        InvalidInputError: When presented: the state is not valid, or is that of another user or of other limits.
    """

    __test__: ClassVar[bool] = False

    state: str | None = attrs.field(default=None, repr=False)
    limits: Limits = attrs.field(factory=Limits)
    calibrated: bool = False

    async def __call__(self, auth: AuthController) -> TestScreen:
        """Return the screen; called by `MimiCore.present`."""
        user = _required_user(await auth.find_user(max_age=auth.user_max_age))
        if self.state is None:
            staircase = Staircase.begin(secrets.token_bytes(_SEED_BYTES), self.limits)
        else:
            staircase = self._read(self.state, user)
        return _make_screen(self, auth, user, staircase)

    def _read(self, state: str, user: MimiUser) -> Staircase:
        match = _STATE.fullmatch(as_str(state) or "")
        if match is None:
            msg = "this is not a state of a hearing test, as TestScreen.state returns it: begin a new test"
            raise InvalidInputError(msg)
        seed, binding = map(bytes.fromhex, match.group(1, 2))
        if not is_bound(binding, user.id, seed, _context(self.limits)):
            msg = "this hearing test began for another user, or with other limits: begin a new test"
            raise InvalidInputError(msg)
        return Staircase.replay(seed, (answer == "1" for answer in match[3]), self.limits)


def _make_screen(flow: TestFlow, auth: AuthController, user: MimiUser, staircase: Staircase) -> TestScreen:
    binding = compute_binding(user.id, staircase.seed, _context(flow.limits))
    answers = "".join("01"[heard] for heard in staircase.answers)
    state = f"1.{staircase.seed.hex()}.{binding.hex()}.{answers}"
    return TestScreen(state=state, staircase=staircase, user=user, flow=flow, auth=auth)


def _context(limits: Limits) -> bytes:
    return f"{limits.lowest:g} {limits.highest:g}".encode()


def _required_user(user: MimiUser | None) -> MimiUser:
    if user is None:
        msg = "a hearing test needs a user: begin it by ProfileScreen.take_hearing_test(), or await ensure_user() first"
        raise NotAuthenticatedError(msg)
    return user
