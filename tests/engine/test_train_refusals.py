"""What a training refuses, and when: before it has cost anybody time, or before it spoils the weights."""

from pathlib import Path

import pytest
import torch

from engine import train
from engine.exits import (
    CannotWriteError,
    EngineError,
    Exit,
    HubError,
    NonFiniteError,
    UnusableError,
    UsageError,
)
from engine.objectives import pair_losses
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import read_events
from tests.engine.runs import final_weights, make_run, train_here, write_pairs
from tests.engine.tiny_folder import write_folder


def test_a_loss_that_is_not_finite_stops_before_the_update(
    tmp_path: Path, model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "runs", "nan", model, pairs)
    real, calls = pair_losses, 0

    def poisoned(*args: object) -> torch.Tensor:
        nonlocal calls
        calls += 1
        losses = real(*args)  # type: ignore[arg-type]
        return losses * float("nan") if calls > 4 else losses

    monkeypatch.setattr("engine.trainer.pair_losses", poisoned)
    with pytest.raises(NonFiniteError, match="loss of step") as caught:
        train_here(run)
    assert CheckpointIndex(run.checkpoints_dir).steps()[-1] == caught.value.params["step"] - 1
    assert all(torch.isfinite(weight).all() for weight in final_weights(run).values())


def test_a_model_that_gives_nan_is_not_blamed_on_the_learning_rate(
    tmp_path: Path, model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.trainer.pair_losses", lambda *args: pair_losses(*args) * float("nan"))
    run = make_run(tmp_path / "runs", "nan", model, pairs)
    with pytest.raises(NonFiniteError, match="step 1 is nan before any update") as caught:
        train_here(run)
    assert "learning_rate" not in caught.value.text
    assert CheckpointIndex(run.checkpoints_dir).steps() == []


def test_resuming_with_other_data_is_refused(tmp_path: Path, model: Path) -> None:
    data = write_pairs(tmp_path / "pairs.jsonl")
    run = make_run(tmp_path / "runs", "changed", model, data, "export.enabled=false", "train.max_steps=2")
    train_here(run)
    write_pairs(data, count=40)
    with pytest.raises(EngineError, match="another data"):
        train_here(run)


def test_no_space_is_said_before_training(
    tmp_path: Path, model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("usage", (), {"free": 1000}))
    with pytest.raises(CannotWriteError, match="MiB more needed for checkpoints"):
        train_here(make_run(tmp_path / "runs", "full", model, pairs))


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path: Path, pairs: Path) -> None:
    small = write_folder(tmp_path / "small", vocab_size=40)
    with pytest.raises(UnusableError, match="they do not belong together"):
        train_here(make_run(tmp_path / "runs", "small", small, pairs))


def test_an_export_folder_that_is_taken_is_found_before_training(
    tmp_path: Path, model: Path, pairs: Path
) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.txt").touch()
    run = make_run(tmp_path / "runs", "taken", model, pairs, f"export.to='{taken}'")
    with pytest.raises(UsageError, match="thesis"):
        train_here(run)
    assert not run.data_dir.exists()


def test_an_upload_without_a_login_is_found_before_training(
    tmp_path: Path, model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.models.hub.get_token", lambda: None)
    run = make_run(tmp_path / "runs", "push", model, pairs, "export.push='me/mine'")
    with pytest.raises(HubError, match="hf auth login"):
        train_here(run)
    assert not run.data_dir.exists()


@pytest.mark.parametrize(("world", "waits"), [("2", True), (None, False)])
def test_of_several_processes_one_that_breaks_lets_the_cause_go_first(
    tmp_path: Path, model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch, world: str | None, waits: bool
) -> None:
    """What it was exchanging with broke because another has ended, which the supervisor is to hear of first."""
    done: list[object] = []

    def broken(*_: object) -> None:
        raise RuntimeError("Connection closed by peer")

    run = make_run(tmp_path, "run", model, pairs)
    monkeypatch.setattr(train, "run", broken)
    monkeypatch.setattr("time.sleep", lambda seconds: done.append((seconds, list(read_events(run.events)))))
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if world:
        monkeypatch.setenv("WORLD_SIZE", world)
    assert train.main(run.root) is Exit.TRAINING_FAILED
    assert done == ([(train.YIELD_SECONDS, [])] if waits else [])
    assert [event["code"] for event in read_events(run.events)] == ["train.crashed"]
