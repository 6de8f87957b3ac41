"""The views as web pages: an aiohttp sub-application that a partner mounts under any path. Needs the extra `web`."""

try:
    from .application import mimi_pages
except ModuleNotFoundError as _missing:
    if _missing.name != "jinja2":
        raise
    msg = "the pages need jinja2: pip install 'mimi-async[web]'"
    raise ModuleNotFoundError(msg, name=_missing.name) from None

from .page_request import AccountOf, StartOver, Timezone

__all__ = ["AccountOf", "StartOver", "Timezone", "mimi_pages"]
