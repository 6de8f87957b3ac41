"""The errors in the console of a page: refused sources and uncaught exceptions among them."""

import attrs
from playwright.async_api import BrowserContext, ConsoleMessage, Page, WebError


@attrs.define(eq=False, slots=False)  # Playwright sets attributes on listeners
class ConsoleErrors:
    """The console errors of all pages of a test.

    Attributes:
        seen: All of them, in order.
        expected: Parts of texts that the test expects: Chromium logs each status of 4xx and 5xx as an error.
    """

    seen: list[str] = attrs.field(factory=list)
    expected: list[str] = attrs.field(factory=list)

    def expect(self, *parts: str) -> None:
        self.expected.extend(parts)

    @property
    def unexpected(self) -> list[str]:
        return [text for text in self.seen if not any(part in text for part in self.expected)]

    def listen_to(self, context: BrowserContext) -> None:
        """Record the errors of each page of the context. A violation of a policy is an error in the console."""
        context.on("console", self._record_message)
        context.on("weberror", self._record_exception)
        context.on("page", self._watch_crash)

    def leave(self, context: BrowserContext) -> None:
        """End what `listen_to` began."""
        context.remove_listener("console", self._record_message)
        context.remove_listener("weberror", self._record_exception)
        context.remove_listener("page", self._watch_crash)

    def _record_message(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.seen.append(f"{message.text} ({message.location['url']})")

    def _record_exception(self, error: WebError) -> None:
        self.seen.append(str(error.error))

    def _watch_crash(self, page: Page) -> None:
        page.on("crash", lambda crashed: self.seen.append(f"{crashed.url} crashed"))
