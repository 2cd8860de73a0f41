"""Configs of XTuner's train as imported: nothing of them is replaced but where the model and the pairs are."""

from pathlib import Path

import pytest

from dpo_tui.importing.command import import_file
from engine.config.load import load_config
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.paths import RunDir
from tests.engine.runs import of_type, train_here
from tests.unit.importing import FIXTURES


@pytest.mark.parametrize("name", ["full", "qlora", "varlen", "jsonl"])
def test_an_imported_config_trains(name: str, tmp_path: Path, model: Path, pairs: Path) -> None:
    run = RunDir(tmp_path / "run")
    run.root.mkdir()
    import_file(FIXTURES / f"{name}.py", run.config)
    sources = len(load_config(run.config).config.data.sources)
    places = ["model.source=local", f"model.id={model}"]
    for index in range(sources):
        places += [f"data.sources.{index}.source=local", f"data.sources.{index}.path={pairs}"]
    loaded = load_config(run.config, [*places, "train.max_steps=3", "export.enabled=false"])
    run.config.write_text(loaded.document.dumps(), encoding="utf-8")
    events = train_here(run)
    steps = of_type(events, "step")
    assert [event["step"] for event in steps] == [1, 2, 3]
    assert steps[0]["rewards/margins"] == pytest.approx(0, abs=1e-6)
    assert steps[0]["learning_rate"] <= steps[1]["learning_rate"] > 0
    assert steps[2]["rewards/margins"] != 0
    assert CheckpointIndex(run.checkpoints_dir).steps() == [3]
