"""Start over: go on without an id that the server rejects, by the decision of the user."""

from mimi_async import AnonymousId, ConfigurationError, MimiCore, NotStartedError

from .product import Product


async def start_over(product: Product, core: MimiCore, account: str) -> None:
    """Quarantine the partner's copy of the id, discard the SDK's record, and look for a user.

    The SDK asks the server about the id once more, then calls `drop` under the account's lock before it removes its
    record: no concurrent request can bring the id back through `known_id`. If the table cannot be
    written, the record stays.

    The id is quarantined, not deleted: if the server was the wrong one, `Accounts.bring_back` restores the profile. If
    the partner knows another id, or the SDK's record was damaged, the SDK logs in with the partner's id at once.

    Raises:
        MimiError: The store, the table or the server does not answer; nothing is lost: try again.
    """

    async def drop(anonymous_id: AnonymousId | None) -> None:
        if anonymous_id is not None:
            await product.accounts.quarantine(account, anonymous_id)

    try:
        await core.start_over(account, drop=drop)
    except NotStartedError:
        raise
    except ConfigurationError:
        return  # nothing was discarded: the server knows the id again, or another request has finished first
    auth = await core.auth_for(account)
    await auth.find_user()
