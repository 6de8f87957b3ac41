"""The tones of the hearing test, sample by sample, as an OfflineAudioContext renders them."""

import asyncio
import base64
import cmath
import itertools
import math
from array import array
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Error, Page

from .harness import serve

RATE = 48000
START = 0.1
FREQUENCIES = (250, 500, 1000, 2000, 4000, 8000)
REFERENCE = {250: 18.0, 500: 11.0, 1000: 5.5, 2000: 4.5, 4000: 9.5, 8000: 17.5}
RAMP = round(0.030 * RATE)

RENDER = """async ([tone, start, stopAt]) => {
  const { play } = await import("/static/mimi.js");
  const context = new OfflineAudioContext(2, 1.3 * 48000, 48000);
  const sound = play(context, tone, start);
  if (stopAt !== null) {
    const stop = () => (sound.stop(), sound.stop());
    context.suspend(stopAt).then(stop).finally(() => context.resume());
  }
  const buffer = await context.startRendering();
  const text = (channel) => {
    let bytes = "";
    for (const byte of new Uint8Array(buffer.getChannelData(channel).buffer)) bytes += String.fromCharCode(byte);
    return btoa(bytes);
  };
  return { end: sound.end, left: text(0), right: text(1) };
}"""


def samples_of(text: str) -> list[float]:
    return array("f", base64.b64decode(text)).tolist()


@attrs.frozen(kw_only=True)
class Rendered:
    """Samples of both ears, and the end in seconds that was promised."""

    end: float
    left: list[float] = attrs.field(converter=samples_of)
    right: list[float] = attrs.field(converter=samples_of)


@attrs.frozen
class Studio:
    """A page of the site, to render tones in."""

    page: Page

    async def render(
        self, frequency: int = 1000, level: float | None = 40, *, ear: str = "right", stop_at: float | None = None
    ) -> Rendered:
        tone = {"ear": ear, "frequency": frequency, "level": level}
        return Rendered(**await self.page.evaluate(RENDER, [tone, START, stop_at]))

    async def gain(self, frequency: int, level: float) -> float:
        script = 'async (tone) => (await import("/static/mimi.js")).gainOf(...tone)'
        gain: Any = await self.page.evaluate(script, [frequency, level])
        return float(gain)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def studio(browser: Browser) -> AsyncIterator[Studio]:
    async with serve() as site, await browser.new_context() as context:
        page = await context.new_page()
        await page.goto(f"{site.url}/results")
        yield Studio(page)


def peak(samples: list[float]) -> float:
    return max(map(abs, samples))


def sounding(samples: list[float]) -> range:
    """From the first to the last sample that is not silence."""
    heard = [index for index, sample in enumerate(samples) if sample]
    return range(heard[0], heard[-1] + 1)


def crossings(samples: list[float]) -> list[float]:
    """Return where the samples cross zero upwards, in samples, interpolated."""
    pairs = enumerate(itertools.pairwise(samples))
    return [index - low / (high - low) for index, (low, high) in pairs if low <= 0 < high]


def largest_step(samples: list[float]) -> float:
    return max(abs(high - low) for low, high in itertools.pairwise(samples))


def steepest(frequency: float, gain: float) -> float:
    """The largest step from sample to sample of a steady sine, with a thousandth to spare."""
    return 2 * gain * math.sin(math.pi * frequency / RATE) * 1.001


def amplitude(samples: list[float], frequency: int) -> float:
    """Return the amplitude of a sine over whole periods. Its highest sample may be less: 8 kHz has six a period."""
    phases = (cmath.exp(-2j * math.pi * frequency * index / RATE) for index in range(len(samples)))
    return 2 * abs(sum(sample * phase for sample, phase in zip(samples, phases, strict=True))) / len(samples)


def raised_cosine(at: float) -> float:
    """Return what part of its amplitude a tone has, so many samples after its start."""
    return (1 - math.cos(math.pi * min(at / RAMP, 1))) / 2


def envelope(samples: list[float], frequency: int) -> list[float]:
    """Return the largest amplitude of each half wave."""
    half = RATE // frequency // 2
    return [peak(samples[at : at + half]) for at in range(0, len(samples) - half, half)]


@pytest.mark.parametrize("frequency", FREQUENCIES)
async def test_a_tone_has_its_frequency(studio: Studio, frequency: int) -> None:
    steady = (await studio.render(frequency)).right[round(0.2 * RATE) : round(1.0 * RATE)]
    found = crossings(steady)
    measured = (len(found) - 1) * RATE / (found[-1] - found[0])
    assert measured == pytest.approx(frequency, rel=0.005)


@pytest.mark.parametrize(("ear", "other"), [("left", "right"), ("right", "left")])
async def test_one_ear_hears_it_and_the_other_nothing_at_all(studio: Studio, ear: str, other: str) -> None:
    rendered = await studio.render(level=80, ear=ear)
    assert peak(getattr(rendered, ear)) > 0.1
    assert set(getattr(rendered, other)) == {0}


@pytest.mark.parametrize("frequency", FREQUENCIES)
async def test_the_amplitude_follows_the_reference_thresholds(studio: Studio, frequency: int) -> None:
    gain = await studio.gain(frequency, 40)
    assert gain == pytest.approx(10 ** ((40 + REFERENCE[frequency] - 100) / 20))
    steady = (await studio.render(frequency, 40)).right[round(0.2 * RATE) : round(1.0 * RATE)]
    assert amplitude(steady, frequency) == pytest.approx(gain, rel=0.01)


async def test_twenty_decibels_less_are_a_tenth_of_the_amplitude(studio: Studio) -> None:
    loud, soft = [peak((await studio.render(level=level)).right) for level in (60, 40)]
    assert loud / soft == pytest.approx(10, rel=0.001)
    assert await studio.gain(1000, 60) == pytest.approx(10 * await studio.gain(1000, 40))


@pytest.mark.parametrize("frequency", FREQUENCIES)
async def test_no_level_is_louder_than_the_cap(studio: Studio, frequency: int) -> None:
    assert await studio.gain(frequency, 1000) == await studio.gain(frequency, 80)
    assert await studio.gain(frequency, 80) <= 10 ** (-2 / 20) * 1.000001
    assert peak((await studio.render(frequency, 1000)).right) <= await studio.gain(frequency, 80) * 1.000001


async def test_a_frequency_without_a_reference_is_refused(studio: Studio) -> None:
    with pytest.raises(Error, match="no reference threshold is known for 3000 Hz"):
        await studio.gain(3000, 40)


@pytest.mark.parametrize("frequency", [1000, 2000, 8000])
async def test_a_tone_lasts_a_second_and_has_ramps_of_thirty_milliseconds(studio: Studio, frequency: int) -> None:
    rendered = await studio.render(frequency)
    heard = sounding(rendered.right)
    assert rendered.end == pytest.approx(START + 1)
    assert (heard.start / RATE, heard.stop / RATE) == pytest.approx((START, rendered.end), abs=0.001)
    whole = rendered.right[round(START * RATE) : round(rendered.end * RATE)]
    gain = await studio.gain(frequency, 40)
    period = RATE // frequency
    for half in (whole, whole[::-1]):
        rise = [amplitude(half[at : at + period], frequency) / gain for at in range(0, 2 * RAMP, period)]
        assert rise == pytest.approx([raised_cosine(at + period / 2) for at in range(0, 2 * RAMP, period)], abs=0.02)
        assert rise[: RAMP // period] == sorted(rise[: RAMP // period])


@pytest.mark.parametrize("frequency", FREQUENCIES)
async def test_a_tone_begins_and_ends_without_a_click(studio: Studio, frequency: int) -> None:
    samples = (await studio.render(frequency)).right
    gain = await studio.gain(frequency, 40)
    heard = sounding(samples)
    assert (samples[heard.start], samples[heard.stop - 1]) == pytest.approx((0, 0), abs=gain / 1000)
    assert largest_step(samples) <= steepest(frequency, gain)
    for edge in (samples[heard.start : heard.start + RAMP // 10], samples[heard.stop - RAMP // 10 : heard.stop]):
        assert peak(edge) < 0.03 * gain


async def test_a_stop_ends_it_within_thirty_milliseconds_without_a_click(studio: Studio) -> None:
    whole, stopped = await asyncio.gather(studio.render(2000), studio.render(2000, stop_at=0.5))
    stop = math.ceil(0.5 * RATE / 128) * 128
    assert stopped.right[:stop] == whole.right[:stop]
    assert peak(stopped.right[stop + RAMP + 128 :]) == 0
    assert peak(stopped.right[stop : stop + RAMP // 4]) > 0.8 * peak(whole.right)
    fall = envelope(stopped.right[stop : stop + RAMP], 2000)
    assert fall == sorted(fall, reverse=True)
    assert largest_step(stopped.right) <= steepest(2000, await studio.gain(2000, 40))


@pytest.mark.parametrize("stop_at", [0.02, 0.11, 1.08, 1.2])
async def test_a_stop_makes_no_click_before_or_after_the_tone_nor_in_its_ramps(studio: Studio, stop_at: float) -> None:
    samples = (await studio.render(1000, stop_at=stop_at)).right
    assert largest_step(samples) <= steepest(1000, await studio.gain(1000, 40))
    assert (peak(samples) == 0) is (stop_at < START)


async def test_a_catch_trial_is_silence_of_the_same_length(studio: Studio) -> None:
    tone, trial = await studio.render(), await studio.render(level=None, stop_at=0.5)
    assert trial.end == tone.end
    assert {*trial.left, *trial.right} == {0}
