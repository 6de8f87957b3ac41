"""A state machine: random calls of two products with random faults, and the invariants of accounts and users."""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from mimi_async import (
    AuthController,
    ConfigurationError,
    ErasedAnonymousIdError,
    LogInAnonymously,
    MimiCore,
    MimiError,
    UnserviceableError,
)
from mimi_async.stores import MemoryStore
from mimi_async.testing import IdentityServer

from ..conftest import rounds
from ..internals import controller_of
from .conftest import Figures
from .machine import ACCOUNTS, FAULTS, LONE, USES, Product, Table

pytestmark = pytest.mark.timeout(rounds(120, 3600))

UnverifiedClient = tuple[int, str]

CALLERS: list[UnverifiedClient] = [(0, "ada"), (1, "ada"), (0, "bob"), (1, "bob"), (0, LONE)]
CALLER = st.sampled_from(CALLERS)
PATHS = st.sampled_from(("/v1/anonymous-users", "/v1/sessions", "/v1/user", "*"))

SETTINGS = settings(
    max_examples=rounds(6, 500),
    stateful_step_count=rounds(40, 80),
    deadline=None,
    phases=(Phase.reuse, Phase.generate),  # shrinking a walk over real sockets would outlast every timeout
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class Walk(RuleBasedStateMachine):
    """The state machine.

    Attributes:
        resets: Accounts with at least one reset.
        orphans: Number of started creations whose key is lost: no host has got the id of such a user.
        is_lone_forgotten: Whether the host of LONE must log in with the id before it asks for a user.
        bad_calls: Number of calls until the faults end.
        done: Number of calls that succeeded and that failed.
    """

    walks = 0
    done: ClassVar[Counter[bool]] = Counter()

    def __init__(self) -> None:
        super().__init__()
        Walk.walks += 1
        self.resets: set[str] = set()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.table = Table()
        self.server = IdentityServer()
        self.orphans = 0
        self.bad_calls = 0
        self.is_lone_forgotten = False
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        await self.server.__aenter__()
        self.products = [Product(self.server, self.table, self.folder / f"{number}.sqlite3") for number in (0, 1)]
        for product in self.products:
            await product.start()
        self.is_up = True

    def call(self, caller: UnverifiedClient, what: Callable[[AuthController], Awaitable[object]]) -> bool:
        """Make a call; return whether it succeeded. A failure must be a documented error."""
        error = self.answer(self._called(caller, what))
        assert not isinstance(error, (ConfigurationError, UnserviceableError)), repr(error)
        return error is None

    async def _called(self, caller: UnverifiedClient, what: Callable[[AuthController], Awaitable[object]]) -> None:
        number, account = caller
        await what(await self.products[number].core.auth_for(account))

    def answer(self, call: Coroutine[None, None, object]) -> MimiError | None:
        """Wait for a call; return its error."""

        async def answered() -> MimiError | None:
            try:
                await call
            except MimiError as error:
                return error
            return None

        error = self.runner.run(answered())
        self.done[error is None] += 1
        self.bad_calls -= 1
        if not self.bad_calls:
            self.runner.run(self._heal())
        return error

    @initialize()
    def onboard(self) -> None:
        for caller in CALLERS:
            self.ensure(caller)

    @rule(caller=CALLER)
    def ensure(self, caller: UnverifiedClient) -> None:
        """Ensure a user, except while the other product creates one: two stores do not promise one user then."""
        self.start_over(caller)
        number, account = caller
        product, known = self.products[number], self.table.ids.get(account)
        if self.products[1 - number].state(account) == "pending":
            return
        was_pending = product.state(account) == "pending"
        if account == LONE and known is not None and self.is_lone_forgotten:
            self.is_lone_forgotten = not self.call(caller, lambda auth: auth.authenticate(LogInAnonymously(known)))
        elif self.call(caller, AuthController.ensure_user) and known is not None and was_pending:
            self.orphans += 1  # known_id returned another user than the pending creation

    @rule(caller=CALLER, use=st.sampled_from(USES))
    def use(self, caller: UnverifiedClient, use: Callable[[AuthController], Awaitable[object]]) -> None:
        """Make a call that the server answers only where the user is alive."""
        number, account = caller
        if self.call(caller, use):
            user = controller_of(self.products[number].core, account).current_user
            if user is not None and user.anonymous_id == self.table.ids.get(account):
                self.table.uncertain.discard(account)

    @rule(caller=CALLER)
    def log_out(self, caller: UnverifiedClient) -> None:
        if self.call(caller, lambda auth: auth.log_out(discard_id=caller[1] == LONE)) and caller[1] == LONE:
            self.is_lone_forgotten = True

    @rule(caller=CALLER)
    def reset(self, caller: UnverifiedClient) -> None:
        self.resets.add(caller[1])
        if not self.call(caller, AuthController.reset):
            self.table.uncertain.add(caller[1])

    @rule(caller=CALLER)
    def start_over(self, caller: UnverifiedClient) -> None:
        """Start over, if the record is rejected or damaged."""
        number, account = caller
        product = self.products[number]
        if product.state(account) not in ("rejected", "damaged"):
            return
        auth = controller_of(product.core, account)
        error = self.answer(auth.start_over())
        if isinstance(error, ConfigurationError):
            assert auth.current_user is not None, "only a server that knows the id again refuses to start over"
        else:
            assert error is None or error.retryable, repr(error)
            self.is_lone_forgotten |= error is None and account == LONE

    @rule(fault=st.sampled_from(FAULTS), path=PATHS, times=st.integers(1, 4))
    def add_fault(self, fault: Callable[..., None], path: str, times: int) -> None:
        fault(self.server, path, times=times)
        self.bad_calls = 3

    @rule(times=st.integers(1, 3), number=st.integers(0, 1), order=st.permutations(CALLERS))
    def forget_ids_at_a_launch(self, times: int, number: int, order: list[UnverifiedClient]) -> None:
        self.server.fail("/v1/sessions", problem="unknown-anonymous-id", times=times)
        self.bad_calls = 3
        self.relaunch(number, order)

    @rule()
    def revoke_tokens(self) -> None:
        if self.is_up:
            self.server.revoke_tokens()

    @rule()
    def break_the_table(self) -> None:
        self.table.is_broken = True
        self.bad_calls = 3

    @rule()
    def stop_the_server(self) -> None:
        self.runner.run(self.server.stop())
        self.is_up = False
        self.bad_calls = 3

    async def _heal(self) -> None:
        self.server.clear_faults()
        self.table.is_broken = False
        if not self.is_up:
            await self.server.start()
            self.is_up = True

    @rule(number=st.integers(0, 1), order=st.permutations(CALLERS))
    def relaunch(self, number: int, order: list[UnverifiedClient]) -> None:
        """Restart a product and ensure a user for each account."""
        self.runner.run(self._restarted(self.products[number]))
        for caller in order:
            if caller[0] == number:
                self.ensure(caller)

    async def _restarted(self, product: Product) -> None:
        await product.stop()
        await product.start()

    @rule(number=st.integers(0, 1))
    def reinstall(self, number: int) -> None:
        self.orphans += sum(self.products[number].state(account) == "pending" for account in ACCOUNTS)
        self.runner.run(self.products[number].reinstall())
        self.is_lone_forgotten |= number == 0

    @rule(caller=CALLER)
    def damage(self, caller: UnverifiedClient) -> None:
        number, account = caller
        product = self.products[number]
        self.orphans += product.state(account) == "pending"
        product.damage(account)

    @invariant()
    def the_gate_follows_the_record(self) -> None:
        for product in self.products:
            product.check()

    @invariant()
    def there_is_one_user_for_each_account(self) -> None:
        alive = set(self.table.ids)
        pending = {account for account in ACCOUNTS for it in self.products if it.state(account) == "pending"}
        assert len(alive - self.table.uncertain) <= self.server.users <= len(alive | pending) + self.orphans

    def teardown(self) -> None:
        try:
            self.runner.run(self._end())
        finally:
            self.runner.close()
            shutil.rmtree(self.folder)

    async def _end(self) -> None:
        """End all faults; each stored id opens its profile again, through the stores and through the table alone."""
        await self._heal()
        try:
            for number, product in enumerate(self.products):
                await self._restarted(product)
                for account in ACCOUNTS[: len(ACCOUNTS) - number]:
                    await self._check_recovery(product.core, account, product.state(account))
            fresh = MimiCore(
                self.server.credentials,
                server=self.server.url,
                store=MemoryStore(),
                account=None,
                known_id=self.table.known_id,
            )
            async with fresh:
                for account in self.table.ids.keys() - {LONE}:
                    await self._check_recovery(fresh, account, None)
        finally:
            for product in self.products:
                await product.stop()
            await self.server.__aexit__()

    async def _check_recovery(self, core: MimiCore, account: str, state: str | None) -> None:
        """Check that the account has the user of the table, unless a reset erased it."""
        auth, kept = controller_of(core, account), self.table.ids.get(account)
        if state == "damaged":
            await auth.start_over()
        await auth.restore()
        if account == LONE and kept is not None and auth.current_user is None:
            with suppress(ErasedAnonymousIdError):
                await auth.authenticate(LogInAnonymously(kept))
        if account in self.table.ids:
            assert (await auth.ensure_user()).anonymous_id == self.table.ids[account]
            assert kept in (None, self.table.ids[account]) or account in self.resets
        else:
            assert kept is None or account in self.resets


def test_two_products_keep_one_user_for_each_account(figures: Figures) -> None:
    run_state_machine_as_test(Walk, settings=SETTINGS)
    figures.add(walks=Walk.walks, calls_that_went_well=Walk.done[True], calls_that_failed=Walk.done[False])
