"""The export screen with the real engine: from Enter to a proved folder and answers."""

from pathlib import Path

import pytest

from dpo_tui import exporting
from dpo_tui.app import DpoApp
from dpo_tui.export_story import result_of
from dpo_tui.screens.export import ExportScreen
from engine.rundir.paths import RunDir
from tests.engine.tiny_run import LORA, tiny_run
from tests.tui.driving import frame, wait_for
from tests.waiting import until


class Bare(DpoApp):
    """The app with nothing but the export screen."""

    def __init__(self, run: RunDir) -> None:
        super().__init__(run.root.parent)
        self.shown = run

    def open_home(self) -> None:
        self.push_screen(ExportScreen(self.shown.root))


async def test_a_real_checkpoint_is_exported_proved_and_asked(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    run = tiny_run(tmp_path / "runs" / "tiny", model, LORA, {2: 0.6, 4: 0.5})
    app = Bare(run)
    async with app.run_test(size=(140, 50)) as pilot:
        await wait_for(pilot, lambda: app.screen.has_class("-form"))
        await pilot.press("enter")
        await wait_for(pilot, lambda: "bit for bit" in frame(app), seconds=120)
        shown = frame(app)
        assert "merging moved logits" in shown
        assert "1 of 3" in shown
        assert "step-4 · merged model · bfloat16" in shown
    found = result_of(run.export_dir)
    assert found is not None
    assert found.bytes
    assert not exporting.is_busy(run)
    until(lambda: not exporting.is_running(run))
    assert exporting.export_log(run).exists()
