"""The walk-through: eight steps with real processes, and what must hold after each."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence

from mimi_async import MimiError

from .narration import Notes
from .processes import Launch
from .stage import LAUNCH, Stage
from .steps import STEPS, Step, Story
from .stopping import StoppedError, run_until_stopped


async def walk_through(launch_module: str = LAUNCH) -> bool:
    """Play all steps, say what happens, and tell whether everything held."""
    notes = Notes()
    print("Setting up: an identity server on SQLite, and a partner with two products …")
    async with Stage(launch_module) as stage:
        begun = time.monotonic()
        story = Story(stage, notes)
        launches = await _ready(stage, STEPS[0])
        for step, following in zip(STEPS, (*STEPS[1:], None), strict=True):
            ahead = [] if following is None else await _ready(stage, following)
            await _play(story, notes, step, launches)
            launches = ahead
        seconds = time.monotonic() - begun
    print(f"\n{notes.summary()}, in {seconds:.1f} s")
    return notes.all_hold


async def _ready(stage: Stage, step: Step) -> list[Launch]:
    """Make the launches of a step ready while the one before it is played: Python takes its time to start."""
    return [await stage.ready(command) for command in step.launches]


async def _play(story: Story, notes: Notes, step: Step, launches: list[Launch]) -> None:
    notes.begin(step.title)
    try:
        await step.play(story, *launches)
    except Exception as error:  # noqa: BLE001 - a step that breaks is a broken promise: it is told, and the next one begins
        notes.check(f"the step goes through ({type(error).__name__}: {error})", holds=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the walk-through; return 0 if every check held."""
    parser = argparse.ArgumentParser(prog="python -m examples.partner_service", description=__doc__)
    parser.add_argument("--launch-module", default=LAUNCH, help="what to run as a launch, for a test that breaks one")
    options = parser.parse_args(arguments)
    try:
        return 0 if asyncio.run(run_until_stopped(walk_through(options.launch_module))) else 1
    except StoppedError as stopped:
        print(f"\n{stopped}: no process is left, and the data are gone", file=sys.stderr)
        return stopped.status
    except (MimiError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
