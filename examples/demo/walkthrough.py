"""The walk-through: eight steps with real processes, and the checks of each."""

import argparse
import asyncio
import io
import sys
import time
from collections.abc import Sequence

from mimi_async import MimiError

from .narration import Notes
from .processes import Launch
from .stage import LAUNCH, Stage
from .steps import STEPS, Step, Story
from .stopping import StoppedError, run_until_stopped


async def walk_through(launch_module: str = LAUNCH, steps: Sequence[Step] = STEPS) -> bool:
    """Run and print all steps; return whether every check holds."""
    notes = Notes()
    print("Setting up: an identity server on SQLite, and a partner with two products …")
    async with Stage(launch_module) as stage:
        start = time.monotonic()
        story = Story(stage, notes)
        launches = await _ready(stage, steps[0])
        for step, following in zip(steps, (*steps[1:], None), strict=True):
            ahead = [] if following is None else await _ready(stage, following)
            await _play(story, notes, step, launches)
            launches = ahead
        await story.check_output()
        seconds = time.monotonic() - start
    print(f"\n{notes.summary()}, in {seconds:.1f} s")
    return notes.all_hold


async def _ready(stage: Stage, step: Step) -> list[Launch]:
    """Start the processes of a step while the step before it runs: Python takes half a second to start."""
    return [await stage.ready(command) for command in step.launches]


async def _play(story: Story, notes: Notes, step: Step, launches: list[Launch]) -> None:
    notes.begin(step.title)
    try:
        await step.play(story, *launches)
    except Exception as error:  # noqa: BLE001 - a step that raises is a failed check; the next step runs all the same
        notes.check(f"the step goes through ({type(error).__name__}: {error})", holds=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the walk-through; return 0 if every check held."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--launch-module", default=LAUNCH, help="the module of a launch; tests pass a broken one")
    parser.add_argument("--steps", type=int, default=len(STEPS), metavar="N", help="run the first N steps only")
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without UTF-8 has no check mark
    try:
        return 0 if asyncio.run(run_until_stopped(walk_through(options.launch_module, STEPS[: options.steps]))) else 1
    except StoppedError as stopped:
        print(f"\n{stopped}: no process is left, and the data are deleted", file=sys.stderr)
        return stopped.status
    except (MimiError, OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
