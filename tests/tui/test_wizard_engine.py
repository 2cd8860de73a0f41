"""The wizard over the engine's own helper process: the built-in model and data, and rows of somebody's own."""

import tomllib
from pathlib import Path

from textual.widgets import Button, Select, Static

from dpo_tui.preview import PreviewClient
from dpo_tui.widgets.pair_view import PairView
from dpo_tui.wizard.data import DataStep
from engine.process import is_alive
from tests.tui.driving import frame, shows, wait_for
from tests.tui.wizard_app import opened
from tests.tui.wizard_preview import PreviewedApp

ROW = '{"q": "What is tea, [/x]?", "better": "A drink, cold.", "worse": "A car, fast."}\n'


async def test_the_engine_tells_of_the_builtin_model_and_of_rows_of_ones_own(quiet_home: Path) -> None:
    (quiet_home / "odd.jsonl").write_text(ROW * 40)
    preview = PreviewClient()
    async with PreviewedApp(preview).run_test(size=(120, 60)) as pilot:
        app = await opened(pilot)
        await pilot.press("ctrl+n")
        await wait_for(pilot, lambda: "135M" in frame(app), 60)
        await pilot.press("ctrl+n")
        step = app.step
        assert isinstance(step, DataStep)
        await wait_for(pilot, lambda: "460 pairs" in frame(app), 60)
        view = step.query_one(PairView)
        view.focus()
        await pilot.press("end")
        await wait_for(pilot, lambda: "pair 460 of 460" in frame(app))
        step.query("Choice").first().focus()
        await pilot.press("left")
        await wait_for(pilot, lambda: step.query_one("#map", Button).display)
        await pilot.press("f8")
        await wait_for(pilot, lambda: app.screen.query(Select))
        app.screen.query_one("#prompt", Select).value = "q"
        app.screen.query_one("#use", Button).press()
        await wait_for(pilot, lambda: "40 rows" in str(step.query_one("#report", Static).content), 60)
        columns = {"prompt": "q", "chosen": "better", "rejected": "worse"}
        assert tomllib.loads(step.draft.text)["data"]["sources"][0]["columns"] == columns
        await shows(pilot, "What is tea, [/x]?")
        process = preview._process
        assert process is not None
    assert not is_alive(process.pid, None)
