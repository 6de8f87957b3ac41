"""What a page complains of in its console: errors, refused sources, exceptions that nobody caught."""

import attrs
from playwright.async_api import BrowserContext, ConsoleMessage, Page, WebError


@attrs.define(eq=False, slots=False)  # Playwright keeps something of its own on whoever listens
class Complaints:
    """The complaints of all pages of a test.

    Attributes:
        seen: Every one, in order.
        expected: Parts of texts that the test expects: Chromium logs each answer of 4xx and 5xx as an error.
    """

    seen: list[str] = attrs.field(factory=list)
    expected: list[str] = attrs.field(factory=list)

    def expect(self, *parts: str) -> None:
        self.expected.extend(parts)

    @property
    def unexpected(self) -> list[str]:
        return [text for text in self.seen if not any(part in text for part in self.expected)]

    def listen_to(self, context: BrowserContext) -> None:
        """Hear of each page that the context has or gets. A violation of a policy is an error in the console."""
        context.on("console", self._heard)
        context.on("weberror", self._failed)
        context.on("page", self._crashes)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.seen.append(f"{message.text} ({message.location['url']})")

    def _failed(self, error: WebError) -> None:
        self.seen.append(str(error.error))

    def _crashes(self, page: Page) -> None:
        page.on("crash", lambda crashed: self.seen.append(f"{crashed.url} crashed"))
