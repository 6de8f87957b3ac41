"""What a product does when a person decides to go on without an id that the server does not know."""

from mimi_async import ConfigurationError, MimiCore, NotStartedError

from .product import Product


async def start_over(product: Product, core: MimiCore, account: str) -> None:
    """Let the SDK look once more and set down its record, set that id aside at the partner, go on with what is left.

    The order matters. The SDK asks the server about the id a last time: while it may be known again, nothing is taken
    out of the partner's table. Cut off in between, the table still gives the id, the server refuses it once more, and
    the person is asked again: what was done is done again without harm. A second call changes nothing: neither the id
    that was set aside nor a user made meanwhile.

    The id is never just deleted: who was connected to a wrong server for a day gets the profile back by
    `Accounts.bring_back`. Where the partner knows another id than the rejected one, or the SDK's record was merely
    damaged, the partner's id is the way back to the profile: the SDK finds the user by it at once.

    Raises:
        MimiError: The store or the server gives no answer; nothing was lost: try again.
    """
    try:
        set_down = await core.start_over(account)
    except NotStartedError:
        raise
    except ConfigurationError:
        return  # there is nothing to set down: the id is known again, or somebody was faster
    if set_down is not None:
        await product.accounts.set_aside(account, set_down)
    auth = await core.auth_for(account)
    await auth.find_user()
