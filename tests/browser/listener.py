"""Somebody who takes the hearing test on a page whose clock the test turns."""

from typing import Any

import attrs
from playwright.async_api import Locator, Page, expect

from .harness import Site

SILENCE = 1.5
"""How long it is silent before each tone, in seconds: `SPY` draws a quarter of the way from 1 to 3."""

TONE_AND_WINDOW = 0.05 + 1.0 + 1.5

SPY = """
Math.random = () => 0.25;
globalThis.timers = [];
globalThis.sounds = [];
const later = setTimeout, { start, stop } = AudioScheduledSourceNode.prototype;
globalThis.setTimeout = (action, delay) => (timers.push(delay), later(action, delay));
AudioScheduledSourceNode.prototype.start = function (when) {
  this.sound = { frequency: this.frequency.value, ends: [] };
  sounds.push(this.sound);
  return start.call(this, when);
};
AudioScheduledSourceNode.prototype.stop = function (when) {
  this.sound.ends.push(when);
  return stop.call(this, when);
};
"""


@attrs.define(eq=False)
class Clock:
    """The clock of a page that runs `SPY`, and that stands still until it is turned."""

    page: Page

    async def is_waiting(self, seconds: float) -> None:
        """Wait until the page has set a timer of so many seconds."""
        await self.page.wait_for_function("(ms) => Math.abs(timers.at(-1) - ms) < 1", arg=seconds * 1000)

    async def let_pass(self, seconds: float) -> None:
        """Turn the clock to the end of a timer of so many seconds, as soon as there is one."""
        await self.is_waiting(seconds)
        await self.page.evaluate("() => timers.splice(0)")
        await self.page.clock.run_for(round(seconds * 1000) + 1)


@attrs.define(eq=False)
class Listener(Clock):
    """A page and its site. Nothing is slept for: what the page does next is a timer, a text or a request."""

    site: Site

    async def visit(self, path: str = "/test") -> None:
        await self.page.goto(self.site.url + path)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def click(self, name: str) -> None:
        await self.button(name).click()

    async def begin(self) -> None:
        await self.visit()
        await self.click("Begin the test")

    async def let_silence_pass(self) -> None:
        await self.let_pass(SILENCE)
        await self.is_waiting(TONE_AND_WINDOW)

    async def hide(self, hidden: bool = True) -> None:
        await self.page.evaluate(
            """(hidden) => {
              Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
              document.dispatchEvent(new Event("visibilitychange"));
            }""",
            hidden,
        )

    async def sounds(self) -> list[dict[str, Any]]:
        """Return the tones so far, with the times that they were told to end at: more than one for a stopped one."""
        return list(await self.page.evaluate("() => sounds"))

    async def stored(self) -> str | None:
        state: str | None = await self.page.evaluate('() => sessionStorage.getItem("mimi-hearing-test")')
        return state

    async def sees(self, name: str) -> None:
        """Assert that a heading of this name is shown and has the focus."""
        await expect(self.page.get_by_role("heading", name=name, exact=True)).to_be_focused()
