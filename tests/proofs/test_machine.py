"""A long walk through everything that two products may do, and everything that may go wrong between them."""

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
from .conftest import Figures
from .machine import ACCOUNTS, FAULTS, LONE, USES, Product, Table

pytestmark = pytest.mark.timeout(rounds(120, 3600))

Who = tuple[int, str]

WHOS: list[Who] = [(0, "ada"), (1, "ada"), (0, "bob"), (1, "bob"), (0, LONE)]
WHO = st.sampled_from(WHOS)
PATHS = st.sampled_from(("/v1/anonymous-users", "/v1/sessions", "/v1/user", "*"))

SETTINGS = settings(
    max_examples=rounds(25, 500),
    stateful_step_count=rounds(40, 80),
    deadline=None,
    phases=(Phase.reuse, Phase.generate),  # shrinking a walk over real sockets would outlast every timeout
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class Walk(RuleBasedStateMachine):
    """The walk.

    Attributes:
        resets: Accounts that were ever to be reset.
        orphans: How many creations were begun whose key is gone: nobody was ever told of the users they may have made.
        is_lone_forgotten: Whether the host has to tell the id itself, by logging in, before it asks for a user.
        bad_calls: How many calls are left until all is well again.
        done: How many calls went well, and how many did not.
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

    def call(self, who: Who, what: Callable[[AuthController], Awaitable[object]]) -> bool:
        """Make a call, and tell whether it went well; what fails must fail as the library says."""
        error = self.answer(self._called(who, what))
        assert not isinstance(error, (ConfigurationError, UnserviceableError)), repr(error)
        return error is None

    async def _called(self, who: Who, what: Callable[[AuthController], Awaitable[object]]) -> None:
        number, account = who
        await what(await self.products[number].core.auth_for(account))

    def answer(self, call: Coroutine[None, None, object]) -> MimiError | None:
        """Wait for a call, and return how it failed."""

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
        for who in WHOS:
            self.ensure(who)

    # What products do ------------------------------------------------------------------------------------------------

    @rule(who=WHO)
    def ensure(self, who: Who) -> None:
        """Two products with stores of their own do not onboard one account at the same time: that is not promised."""
        self.start_over(who)
        number, account = who
        product, known = self.products[number], self.table.ids.get(account)
        if self.products[1 - number].state(account) == "pending":
            return
        was_pending = product.state(account) == "pending"
        if account == LONE and known is not None and self.is_lone_forgotten:
            self.is_lone_forgotten = not self.call(who, lambda auth: auth.authenticate(LogInAnonymously(known)))
        elif self.call(who, AuthController.ensure_user) and known is not None and was_pending:
            self.orphans += 1  # the table knew another user than the creation that was under way

    @rule(who=WHO, use=st.sampled_from(USES))
    def use(self, who: Who, use: Callable[[AuthController], Awaitable[object]]) -> None:
        """Make a call that the server answers only where the user is alive."""
        number, account = who
        if self.call(who, use):
            user = self.products[number].core._controllers.of(account).current_user
            if user is not None and user.anonymous_id == self.table.ids.get(account):
                self.table.uncertain.discard(account)

    @rule(who=WHO)
    def log_out(self, who: Who) -> None:
        if self.call(who, AuthController.log_out) and who[1] == LONE:
            self.is_lone_forgotten = True

    @rule(who=WHO)
    def reset(self, who: Who) -> None:
        self.resets.add(who[1])
        if not self.call(who, AuthController.reset):
            self.table.uncertain.add(who[1])

    @rule(who=WHO)
    def start_over(self, who: Who) -> None:
        """The host's decision, which it takes only where the record is rejected or damaged."""
        number, account = who
        product = self.products[number]
        if product.state(account) not in ("rejected", "damaged"):
            return
        auth = product.core._controllers.of(account)
        error = self.answer(auth.start_over())
        if isinstance(error, ConfigurationError):
            assert auth.current_user is not None, "only a server that knows the id again refuses to start over"
        else:
            assert error is None or error.retryable, repr(error)
            self.is_lone_forgotten |= error is None and account == LONE

    # What goes wrong -------------------------------------------------------------------------------------------------

    @rule(fault=st.sampled_from(FAULTS), path=PATHS, times=st.integers(1, 4))
    def go_wrong(self, fault: Callable[..., None], path: str, times: int) -> None:
        fault(self.server, path, times=times)
        self.bad_calls = 3

    @rule(times=st.integers(1, 3), number=st.integers(0, 1), order=st.permutations(WHOS))
    def forget_ids_at_a_launch(self, times: int, number: int, order: list[Who]) -> None:
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
        self.server.heal()
        self.table.is_broken = False
        if not self.is_up:
            await self.server.start()
            self.is_up = True

    @rule(number=st.integers(0, 1), order=st.permutations(WHOS))
    def relaunch(self, number: int, order: list[Who]) -> None:
        """Start again, and present a view that needs a user for each account."""
        self.runner.run(self._restarted(self.products[number]))
        for who in order:
            if who[0] == number:
                self.ensure(who)

    async def _restarted(self, product: Product) -> None:
        await product.stop()
        await product.start()

    @rule(number=st.integers(0, 1))
    def reinstall(self, number: int) -> None:
        self.orphans += sum(self.products[number].state(account) == "pending" for account in ACCOUNTS)
        self.runner.run(self.products[number].reinstall())
        self.is_lone_forgotten |= number == 0

    @rule(who=WHO)
    def damage(self, who: Who) -> None:
        number, account = who
        product = self.products[number]
        self.orphans += product.state(account) == "pending"
        product.damage(account)

    # What holds ------------------------------------------------------------------------------------------------------

    @invariant()
    def the_gate_follows_the_record(self) -> None:
        for product in self.products:
            product.check()

    @invariant()
    def there_is_one_user_for_each_account(self) -> None:
        alive = set(self.table.ids)
        begun = {account for account in ACCOUNTS for it in self.products if it.state(account) == "pending"}
        assert len(alive - self.table.uncertain) <= self.server.users <= len(alive | begun) + self.orphans

    def teardown(self) -> None:
        try:
            self.runner.run(self._end())
        finally:
            self.runner.close()
            shutil.rmtree(self.folder)

    async def _end(self) -> None:
        """Everything heals: each announced id opens its profile again, by the stores and by the table alone."""
        await self._heal()
        try:
            for number, product in enumerate(self.products):
                await self._restarted(product)
                for account in ACCOUNTS[: len(ACCOUNTS) - number]:
                    await self._recovers(product.core, account, product.state(account))
            fresh = MimiCore(
                self.server.credentials,
                server=self.server.url,
                store=MemoryStore(),
                account=None,
                known_id=self.table.known_id,
            )
            async with fresh:
                for account in self.table.ids.keys() - {LONE}:
                    await self._recovers(fresh, account, None)
        finally:
            for product in self.products:
                await product.stop()
            await self.server.__aexit__()

    async def _recovers(self, core: MimiCore, account: str, state: str | None) -> None:
        """Nothing but a reset has taken the user: whoever is asked finds the one that the table knows."""
        auth, kept = core._controllers.of(account), self.table.ids.get(account)
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
