"""What may start: whatever is in the way is said before anything is written."""

import os
import shlex
from pathlib import Path

import pytest

from dpo_tui.ending import Ending, announce
from dpo_tui.headless import launch
from engine.exits import EngineError, Exit, UnusableError, UsageError
from engine.rundir.files import write_json
from engine.rundir.paths import RunDir
from engine.rundir.status import Status, write_status
from tests.fake_engine import supervisor, write_config

LOCAL = """
[model]
source = "local"
id = "model"
[data]
chat_template = "chat.jinja"
[[data.sources]]
source = "local"
path = "pairs.jsonl"
"""


@pytest.mark.parametrize("dry_run", [True, False])
def test_local_files_that_are_missing_are_all_named_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dry_run: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("c.toml").write_text(LOCAL)
    Path("chat.jinja").touch()
    with pytest.raises(UnusableError) as caught:
        launch(Path("c.toml"), dry_run=dry_run, supervisor=supervisor())
    assert f"model.id: {tmp_path}/model does not exist" in caught.value.text
    assert f"data.sources[0].path: {tmp_path}/pairs.jsonl does not exist" in caught.value.text
    assert "chat_template" not in caught.value.text
    assert sorted(os.listdir()) == ["c.toml", "chat.jinja"]
    Path("model").mkdir()
    Path("pairs.jsonl").touch()
    assert launch(Path("c.toml"), dry_run=True) is Exit.DONE


@pytest.mark.parametrize(("options", "saved"), [((), False), (("--fail-at", "4"), True)])
def test_a_run_without_a_checkpoint_may_be_deleted_to_start_over(
    tmp_path: Path, options: tuple[str, ...], saved: bool
) -> None:
    base = tmp_path / "with space"
    base.mkdir()
    config = write_config(base)
    launch(config, supervisor=supervisor(*options) if saved else supervisor("--fail-at", "1"))
    run = RunDir(base / "runs" / "tiny")
    if saved:
        (run.checkpoints_dir / "step-3").mkdir(parents=True)
        (run.checkpoints_dir / "step-3" / "manifest.json").touch()
    hint = f"It has no checkpoint: to start over, delete it with: rm -r {shlex.quote(str(run.root))}"
    for changed, resume in (((), False), (("objective.beta=0.5",), True)):
        with pytest.raises(UsageError) as caught:
            launch(config, overrides=changed, resume=resume)
        assert (hint in caught.value.text) != saved


def test_a_run_whose_folder_was_given_a_name_of_two_lines_is_not_resumed(tmp_path: Path) -> None:
    """It would stand in a job's script."""
    config = write_config(tmp_path)
    launch(config, supervisor=supervisor("--fail-at", "2"))
    odd = (tmp_path / "runs" / "tiny").rename(tmp_path / "runs" / "a\ntouch canary #")
    with pytest.raises(UsageError, match="Rename it"):
        launch(odd, resume=True, supervisor=supervisor())


def test_a_run_directory_as_config_is_resumed_or_explained(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    launch(config, supervisor=supervisor("--fail-at", "2"))
    root = tmp_path / "runs" / "tiny"
    with pytest.raises(UsageError, match="is a run, not a config: --resume goes on"):
        launch(root)
    assert launch(root, resume=True, supervisor=supervisor()) is Exit.DONE


def test_a_current_directory_no_config_can_name_is_the_one_to_blame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path)
    config.write_text(config.read_text().replace(f"{tmp_path}/runs", "runs"))
    odd = tmp_path / "o\x1bdd"
    odd.mkdir()
    monkeypatch.chdir(odd)
    with pytest.raises(EngineError, match=r"directory of all runs.*U\+001B.*--runs"):
        launch(config, dry_run=True)


def test_the_last_eval_is_shown_and_the_best_beside_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDir(tmp_path / "tiny")
    run.root.mkdir()
    write_status(run.status_json, Status(state="stopped", exit_code=5))
    evals = {"final": {"step": 9, "loss": 0.6}, "best": {"step": 5, "loss": 0.5}}
    write_json(run.summary_json, {"train": {"step": 10, "loss": 0.4}, "eval": evals})
    announce(run, Ending(Exit.STOPPED, "stopped", "stopped after step 10; its checkpoint is saved"))
    said = capsys.readouterr().err.splitlines()
    assert said[:4] == [
        "tiny: stopped after step 10; its checkpoint is saved",
        "  train:   step 10  loss 0.4",
        "  eval:    step 9  loss 0.6",
        "  best:    step 5  loss 0.5",
    ]
    write_json(run.summary_json, {"eval": {"final": evals["best"], "best": evals["best"]}})
    announce(run, Ending(Exit.STOPPED, "stopped", ""))
    assert "best:" not in capsys.readouterr().err
