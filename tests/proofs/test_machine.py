"""A long walk through everything that two products may do, and everything that may go wrong between them."""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mimi_async import AuthController, ConfigurationError, MimiCore, MimiError, UnserviceableError
from mimi_async.stores import MemoryStore
from mimi_async.testing import IdentityServer

from ..conftest import rounds
from .conftest import Figures
from .machine import ACCOUNTS, Product, Table
from .test_proxy import Truth

pytestmark = pytest.mark.timeout(rounds(120, 3600))

PRODUCTS = st.integers(0, 1)
NAMES = st.sampled_from(ACCOUNTS)
PATHS = st.sampled_from(("/v1/anonymous-users", "/v1/sessions", "/v1/user", "*"))
TIMES = st.integers(1, 4)


SETTINGS = settings(
    max_examples=rounds(30, 500),
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
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        await self.server.__aenter__()
        self.products = [Product(self.server, self.table, self.folder / f"{number}.sqlite3") for number in (0, 1)]
        for product in self.products:
            await product.start()
        self.is_up = True

    def call(self, number: int, account: str, what: Callable[[AuthController], Awaitable[object]]) -> bool:
        """Make a call, and tell whether it went well; what fails must fail as the library says."""

        async def called() -> MimiError | None:
            try:
                await what(await self.products[number].core.auth_for(account))
            except MimiError as error:
                return error
            return None

        error = self.runner.run(called())
        self.done[error is None] += 1
        assert not isinstance(error, (ConfigurationError, UnserviceableError)), repr(error)
        return error is None

    def ask(self, number: int, account: str, what: Callable[[AuthController], Awaitable[object]]) -> None:
        """Make a call that the server answers only where the user is alive."""
        if self.call(number, account, what):
            user = self.products[number].core._controller(account).current_user
            if user is not None and user.anonymous_id == self.table.ids.get(account):
                self.table.uncertain.discard(account)

    # What products do ------------------------------------------------------------------------------------------------

    @rule(number=PRODUCTS, account=NAMES)
    def restore(self, number: int, account: str) -> None:
        self.call(number, account, AuthController.restore)

    @rule(number=PRODUCTS, account=NAMES)
    def ensure(self, number: int, account: str) -> None:
        """Two products with stores of their own do not onboard one account at the same time: that is not promised."""
        if self.products[1 - number].state(account) != "pending":
            known = self.table.ids.get(account)
            was_pending = self.products[number].state(account) == "pending"
            if self.call(number, account, AuthController.ensure_user) and known is not None and was_pending:
                self.orphans += 1  # the table knew another user than the creation that was under way

    @rule(number=PRODUCTS, account=NAMES, year=st.integers(1930, 1990))
    def update(self, number: int, account: str, year: int) -> None:
        self.ask(number, account, lambda auth: auth.update_user(year_of_birth=year))

    @rule(number=PRODUCTS, account=NAMES)
    def submit(self, number: int, account: str) -> None:
        self.ask(number, account, lambda auth: auth.submit_hearing_test(Truth.test(1)))

    @rule(number=PRODUCTS, account=NAMES)
    def reload(self, number: int, account: str) -> None:
        self.ask(number, account, AuthController.reload_user)

    @rule(number=PRODUCTS, account=NAMES)
    def log_out(self, number: int, account: str) -> None:
        self.call(number, account, AuthController.log_out)

    @rule(number=PRODUCTS, account=NAMES)
    def reset(self, number: int, account: str) -> None:
        self.resets.add(account)
        if not self.call(number, account, AuthController.reset):
            self.table.uncertain.add(account)

    @rule(number=PRODUCTS, account=NAMES)
    def start_over(self, number: int, account: str) -> None:
        """The host's decision, which it takes only where the record is rejected or damaged."""
        product = self.products[number]
        if product.state(account) in ("rejected", "damaged"):
            self.runner.run(product.core._controller(account).start_over())

    # What goes wrong -------------------------------------------------------------------------------------------------

    @rule(path=PATHS, times=TIMES)
    def lose_replies(self, path: str, times: int) -> None:
        self.server.drop_reply(path, times=times)

    @rule(path=PATHS, times=TIMES)
    def lose_requests(self, path: str, times: int) -> None:
        self.server.drop_request(path, times=times)

    @rule(path=PATHS, times=TIMES, status=st.sampled_from((404, 408, 429, 500, 503)))
    def fail(self, path: str, times: int, status: int) -> None:
        self.server.fail(path, status=status, times=times)

    @rule()
    def forget_an_id_for_once(self) -> None:
        self.server.fail("/v1/sessions", problem="unknown-anonymous-id")

    @rule()
    def revoke_tokens(self) -> None:
        if self.is_up:
            self.server.revoke_tokens()

    @rule()
    def heal(self) -> None:
        self.server.heal()
        self.table.is_broken = False

    @rule()
    def break_the_table(self) -> None:
        self.table.is_broken = True

    @rule()
    def stop_or_start_the_server(self) -> None:
        self.runner.run(self.server.stop() if self.is_up else self.server.start())
        self.is_up = not self.is_up

    @rule(number=PRODUCTS)
    def restart(self, number: int) -> None:
        self.runner.run(self._restarted(self.products[number]))

    async def _restarted(self, product: Product) -> None:
        await product.stop()
        await product.start()

    @rule(number=PRODUCTS)
    def reinstall(self, number: int) -> None:
        self.orphans += sum(self.products[number].state(account) == "pending" for account in ACCOUNTS)
        self.runner.run(self.products[number].reinstall())

    @rule(number=PRODUCTS, account=NAMES)
    def damage(self, number: int, account: str) -> None:
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
        self.heal()
        if not self.is_up:
            await self.server.start()
        try:
            for product in self.products:
                await self._restarted(product)
                for account in ACCOUNTS:
                    await self._recovers(product.core, account, product.state(account))
            fresh = MimiCore(
                self.server.credentials,
                server=self.server.url,
                store=MemoryStore(),
                account=None,
                known_id=self.table.known_id,
            )
            async with fresh:
                for account in list(self.table.ids):
                    await self._recovers(fresh, account, None)
        finally:
            for product in self.products:
                await product.stop()
            await self.server.__aexit__()

    async def _recovers(self, core: MimiCore, account: str, state: str | None) -> None:
        """Nothing but a reset has taken the user: whoever is asked finds the one that the table knows."""
        auth, kept = core._controller(account), self.table.ids.get(account)
        if state == "damaged":
            await auth.start_over()
        await auth.restore()
        if account in self.table.ids:
            assert (await auth.ensure_user()).anonymous_id == self.table.ids[account]
            assert kept in (None, self.table.ids[account]) or account in self.resets
        else:
            assert kept is None or account in self.resets


def test_two_products_keep_one_user_for_each_account(figures: Figures) -> None:
    run_state_machine_as_test(Walk, settings=SETTINGS)
    figures.add(walks=Walk.walks, calls_that_went_well=Walk.done[True], calls_that_failed=Walk.done[False])
