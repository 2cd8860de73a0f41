"""Draw every screen of the app, over runs that are really trained here: an SVG each, and a PNG where chromium is.

Three short trainings of the built-in model come first: two that end, to be compared, and one that still goes on.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

os.environ["TEXTUAL_ANIMATIONS"] = "none"

from textual.pilot import Pilot
from textual.widgets import Input

from dpo_tui.app import DpoApp
from dpo_tui.runs import effective_state
from dpo_tui.screens.export import ExportScreen
from dpo_tui.settings import Recents, Settings
from engine.rundir.control import Control
from engine.rundir.paths import RunDir

HERE = Path(__file__).parent
SIZE = (120, 36)
SMALL = (80, 24)
WAIT_SECONDS = 600.0

TRAINED = {
    "concise": ("train.max_steps=40", "objective.beta=0.1"),
    "concise-beta-0.5": ("train.max_steps=40", "objective.beta=0.5"),
    "concise-ipo": ("train.max_steps=400", "objective.loss=ipo"),
}
"""The runs and what they change of the quickstart; the last one is stopped when its picture is drawn."""

Act = Callable[[Pilot[int]], Awaitable[None]]


def main() -> None:
    """Train, then draw."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        os.chdir(work)
        os.environ |= {
            "HOME": folder,
            "XDG_CONFIG_HOME": folder,
            "XDG_STATE_HOME": folder,
            "HF_HUB_OFFLINE": "1",
        }
        Input.cursor_blink = False  # type: ignore[assignment] # a picture has no time
        draw_first_start(work)
        *ended, live = TRAINED
        for name in ended:
            train(name)
        train(live, detach=True)
        try:
            asyncio.run(draw_all(work / "runs", live))
        finally:
            Control(RunDir(work / "runs" / live).control_dir).request_stop()
            wait(lambda: effective_state(RunDir(work / "runs" / live)).final)
        asyncio.run(draw("export-answers", app(work / "runs", run=work / "runs" / ended[0]), export))


def train(name: str, *, detach: bool = False) -> None:
    """A training of the quickstart by the command line."""
    sets = ["train.pairs_per_step=2", "train.save_every=16", "data.max_length=128", *TRAINED[name]]
    sets += ["data.max_prompt_length=64", "train.tokens_per_pack=512", "data.sources.0.limit=40"]
    sets += ["optimizer.learning_rate=2e-6", "export.enabled=false"]
    config = HERE.parent / "templates" / "quickstart.toml"
    command = [sys.executable, "-P", "-m", "dpo_tui", "--headless", str(config), "--run", name]
    command += [f"--set={setting}" for setting in sets] + (["--detach"] if detach else [])
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def draw_first_start(work: Path) -> None:
    """Home, when there is nothing yet."""
    asyncio.run(draw("first-start", DpoApp(work / "none"), nothing, size=SMALL))


async def draw_all(runs: Path, live: str) -> None:
    """Each screen from the real app."""
    wait(lambda: effective_state(RunDir(runs / live)).step >= 19)  # between two saves
    done = runs / next(iter(TRAINED))
    await draw("home", app(runs), settled)
    await draw("monitor", app(runs, run=runs / live), settled)
    await draw("monitor-small", app(runs, run=runs / live), settled, size=SMALL)
    await draw("monitor-light", app(runs, run=done, theme="dpo-light"), settled)
    await draw("compare", app(runs), compare)
    for number, step in enumerate(("template", "model", "data", "launcher", "review")):
        await draw(f"wizard-{step}", app(runs, new=True), steps(number))
    await draw("export", app(runs, run=done), press_and_settle("e"))
    await draw("help", app(runs), press_and_settle("f1"))
    await draw("palette", app(runs), press_and_settle("ctrl+k"))
    await draw("quit", app(runs, run=runs / live), press_and_settle("ctrl+q"))


def app(runs: Path, *, theme: str | None = None, run: Path | None = None, new: bool = False) -> DpoApp:
    """The app over these runs, with a memory of its own."""
    recents = Recents(runs.parent / "recent.json")
    return DpoApp(runs, settings=Settings(theme=theme), recents=recents, run=run, new=new)


async def draw(name: str, app: DpoApp, act: Act, *, size: tuple[int, int] = SIZE) -> None:
    """Let the app come to rest after `act`, and save what it shows."""
    async with app.run_test(size=size) as pilot:
        await act(pilot)
        (HERE / f"{name}.svg").write_text(app.export_screenshot(title="dpo-tui"), encoding="utf-8")
    picture(HERE / f"{name}.svg")
    print(name, flush=True)


def picture(svg: Path) -> None:
    """The drawing as a PNG, by a browser: it sets the characters where the terminal has them."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return
    head = svg.read_text(encoding="utf-8").partition('viewBox="')[2].partition('"')[0].split()
    width, height = (int(float(length)) + 1 for length in head[2:4])
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    command += [
        "--hide-scrollbars",
        f"--screenshot={svg.with_suffix('.png')}",
        f"--window-size={width},{height}",
    ]
    subprocess.run([*command, svg.as_uri()], check=True, capture_output=True)


async def nothing(pilot: Pilot[int]) -> None:
    """Only wait for the first frame."""
    await pilot.pause(0.5)


async def settled(pilot: Pilot[int]) -> None:
    """Everything that was to be read is read and drawn."""
    await pilot.pause(4.0)


def press_and_settle(*keys: str) -> Act:
    """Press keys over the settled screen."""

    async def act(pilot: Pilot[int]) -> None:
        await pilot.pause(2.0)
        await pilot.press(*keys)
        await settled(pilot)

    return act


async def compare(pilot: Pilot[int]) -> None:
    """The two runs that have ended, marked and laid over each other."""
    await pilot.pause(2.0)
    await pilot.press("down", "space", "down", "space", "c")
    await settled(pilot)


async def export(pilot: Pilot[int]) -> None:
    """The model written and verified, and what both say to the same question; nothing trains beside it."""
    await pilot.pause(2.0)
    await pilot.press("e")
    await settled(pilot)
    await pilot.press("enter")
    screen = pilot.app.screen
    assert isinstance(screen, ExportScreen)
    deadline = time.monotonic() + WAIT_SECONDS
    while not screen.follower.story.end:
        if time.monotonic() > deadline:
            raise RuntimeError("the export does not come to its end")
        await pilot.pause(0.5)
    await settled(pilot)


def steps(forward: int) -> Act:
    """The wizard so many steps on; data and model take their time to be looked at."""

    async def act(pilot: Pilot[int]) -> None:
        await pilot.pause(1.0)
        await pilot.press(*["ctrl+n"] * forward)
        await pilot.pause(20.0)

    return act


def wait(condition: Callable[[], object]) -> None:
    """Until it holds; RuntimeError when it never does."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("the training does not go on")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
