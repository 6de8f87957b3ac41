"""What protects the pages in a browser: the fields of every reply, and who may send a form."""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

FIELDS: Final[dict[str, str]] = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": that would send the forms of these very pages with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    hdrs.CACHE_CONTROL: "no-store",
    hdrs.VARY: "Accept-Language, Cookie",
}
"""The fields of every reply: no code but ours runs, nobody frames a page, and no cache keeps personal health data."""

_SAFE_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})


def protect(response: web.StreamResponse) -> None:
    """Set the fields."""
    response.headers.update(FIELDS)


def is_cross_site(request: web.Request) -> bool:
    """Tell whether a request that changes something was sent by a page of somebody else's.

    Browsers say so themselves (W3C Fetch Metadata: Sec-Fetch-Site). An older one at least names the origin (RFC 6454),
    which must then be the host that was asked. Its scheme says nothing here: behind a proxy that ends TLS, https pages
    are asked for by http, and whoever could show a page of the same host by http could change the real ones as well.
    Who says neither is no browser that shows these pages.
    """
    if request.method in _SAFE_METHODS:
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get(hdrs.ORIGIN)
    try:
        return origin is None or urlsplit(origin).netloc.lower() != request.headers.get(hdrs.HOST, "").lower()
    except ValueError:
        return True
