"""A listener who takes the hearing test on a page whose clock the test controls."""

from typing import Any

import attrs
from playwright.async_api import BrowserContext, Locator, Page, expect

from .harness import Reply, Site

SILENCE = 1.5
"""The silence before each tone, in seconds: `SPY` draws a quarter of the way from 1 to 3."""

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


async def freeze_clock(context: BrowserContext) -> None:
    """Stop the clock of all pages of a context, an hour after the time 0, and run `SPY` in each page."""
    await context.clock.install(time=0)
    await context.clock.pause_at(3600)  # seconds; it must be later than the clock, which runs until then
    await context.add_init_script(SPY)


@attrs.define(eq=False)
class Clock:
    """The frozen clock of a page, which a test advances."""

    page: Page

    async def is_waiting(self, seconds: float) -> None:
        """Wait until the page has set a timer of so many seconds."""
        await self.page.wait_for_function("(ms) => Math.abs(timers.at(-1) - ms) < 1", arg=seconds * 1000)

    async def let_pass(self, seconds: float) -> None:
        """Wait for a timer of so many seconds, and advance the clock to its end."""
        await self.is_waiting(seconds)
        await self.page.evaluate("() => timers.splice(0)")
        await self.page.clock.run_for(round(seconds * 1000) + 1)


@attrs.define(eq=False)
class Listener(Clock):
    """A page and its site. No test sleeps: each step of the page is a timer, a text or a request."""

    site: Site

    async def open(self, path: str = "/test", *script: Reply) -> None:
        """Open a page of the site, whose server then sends these replies."""
        self.site.script.extend(script)
        await self.page.goto(self.site.url + path)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    async def click(self, name: str) -> None:
        await self.button(name).click()
        if name == "Stop":  # the timers that it cancelled must not be taken for those of the next trial
            await self.page.evaluate("() => timers.splice(0)")

    async def begin(self, *script: Reply) -> None:
        await self.open("/test", *script)
        await self.click("Begin the test")

    async def hear_tone(self, *script: Reply) -> None:
        """Begin the test, and let the first silence pass."""
        await self.begin(*script)
        await self.let_silence_pass()

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

    async def read_replies(self) -> None:
        """Wait until the page has read the replies that were sent: a request of its own comes after them."""
        await self.page.evaluate("() => fetch('/static/none').catch(() => null)")

    async def sounds(self) -> list[dict[str, Any]]:
        """Return the tones so far, with the times at which they end: a tone that was stopped has a second time."""
        return list(await self.page.evaluate("() => sounds"))

    async def stored(self) -> str | None:
        state: str | None = await self.page.evaluate('() => sessionStorage.getItem("mimi-hearing-test")')
        return state

    async def expect_heading(self, name: str) -> None:
        """Assert that a heading of this name is shown and has the focus."""
        await expect(self.page.get_by_role("heading", name=name, exact=True)).to_be_focused()
