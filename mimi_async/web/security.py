"""The protection of the pages in a browser: header fields of every reply, and the check of a form's origin."""

from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "style", "img", "font", "connect")),
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
"""The fields of every reply: only scripts of these pages run, no site frames a page, and no cache keeps health data."""

_SAFE_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """Set the fields as a reply is sent, a signal handler: replies that no middleware sees have the fields as well."""
    del request
    response.headers.update(FIELDS)


def is_cross_site(request: web.Request) -> bool:
    """Return whether a request that changes something comes from a page of another site.

    Browsers name the relation of the sites (W3C Fetch Metadata: Sec-Fetch-Site). An older browser names the origin
    (RFC 6454), which must be the host of the request. The scheme is not compared: behind a proxy that ends TLS, https
    pages are asked for by http, and an attacker on the same host by http could change the real pages as well. A
    request without both fields does not come from a browser that shows these pages, and is refused.
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
