"""An erasure names the id that it was about, so that a host drops that copy and no other."""

import copy
import pickle

import pytest

from mimi_async import AnonymousId, AuthController, ErasedAnonymousIdError, LogInAnonymously, MimiCore, MimiError
from mimi_async.stores import MemoryStore
from mimi_async.testing import IdentityServer

AN_ID = AnonymousId("12345678-1234-1234-1234-123456789abc")


class Observer:
    """Remembers the ids of erasures."""

    def __init__(self, core: MimiCore) -> None:
        self.erased: list[object] = []
        core.observe(self)

    def __call__(self, auth: AuthController, /, *, error: MimiError | None, **_: object) -> None:
        if isinstance(error, ErasedAnonymousIdError):
            self.erased.append(error.anonymous_id)


async def test_a_reset_and_the_restore_and_the_log_in_of_others_name_the_id() -> None:
    async with IdentityServer() as server:

        def product() -> tuple[MimiCore, MemoryStore]:
            store = MemoryStore()
            return MimiCore(server.new_client(), server=server.url, store=store), store

        (player, _), (tv, tv_store), (radio, _) = product(), product(), product()
        resetting, logging_in = Observer(player), Observer(radio)
        async with player, tv, radio:
            anonymous_id = (await player.auth.ensure_user()).anonymous_id
            await tv.auth.authenticate(LogInAnonymously(anonymous_id))
            await player.auth.reset()
            with pytest.raises(ErasedAnonymousIdError) as refused:
                await radio.auth.authenticate(LogInAnonymously(anonymous_id))
        next_launch = MimiCore(server.new_client(), server=server.url, store=tv_store)
        restoring = Observer(next_launch)
        async with next_launch:
            assert next_launch.auth.current_user is None

    assert refused.value.anonymous_id == anonymous_id
    assert resetting.erased == logging_in.erased == restoring.erased == [anonymous_id]


def test_it_goes_to_each_waiter_and_into_no_pickle() -> None:
    error = ErasedAnonymousIdError("erased", anonymous_id=AN_ID, request_id="r-1")

    copied, pickled = error.copy(), pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert copied.anonymous_id == AN_ID
    assert pickled.anonymous_id is copy.copy(error).anonymous_id is None
    assert (str(pickled), pickled.request_id) == ("erased", "r-1")
    assert AN_ID.reveal() not in repr(error) + repr(vars(error)) + str(error.args)
