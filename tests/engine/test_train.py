"""A whole training, in this process: what it writes, how it stops, and that it goes on as if it never had."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine import train
from engine.data.prepared.pairs import PairStore
from engine.exits import (
    Exit,
    StopRequested,
)
from engine.objectives import LOSSES
from engine.reference import ReferenceCache, pair_key
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.control import Control
from engine.rundir.events import EventWriter, effective_steps, read_events
from engine.rundir.paths import RunDir
from engine.rundir.tail import Tail
from engine.trainer import Trainer
from tests.engine.runs import final_weights, make_run, of_type, stop_at, train_here

LORA = ("model.lora.rank=4", "model.lora.dropout=0.2")


@pytest.fixture(params=[(), LORA, ("model.dtype='bfloat16'",)], ids=["full", "lora", "bf16"])
def finished(request: pytest.FixtureRequest, tmp_path: Path, model: Path, pairs: Path) -> RunDir:
    run = make_run(tmp_path / "runs", "whole", model, pairs, *request.param)
    train_here(run)
    return run


def test_a_run_learns_checkpoints_and_exports(finished: RunDir) -> None:
    events = list(read_events(finished.events))
    steps = of_type(events, "step")
    assert [event["step"] for event in steps] == [1, 2, 3, 4, 5, 6]
    assert steps[0]["rewards/margins"] == 0
    assert steps[-1]["rewards/margins"] > 0
    assert [event["step"] for event in of_type(events, "save")] == [2, 4, 6]
    assert all(event["verified"] for event in of_type(events, "save"))
    assert [event["step"] for event in of_type(events, "eval")] == [2, 4, 6]
    index = CheckpointIndex(finished.checkpoints_dir)
    assert 6 in index.steps()
    assert index.manifest(6).metrics["eval_loss"] == pytest.approx(of_type(events, "eval")[-1]["loss"])
    exported = AutoModelForCausalLM.from_pretrained(finished.export_dir)
    tokenizer = AutoTokenizer.from_pretrained(finished.export_dir)
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "1 red?"}], return_tensors="pt")[
        "input_ids"
    ]
    assert torch.isfinite(exported(ids).logits).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_every_objective_is_learned(tmp_path: Path, model: Path, pairs: Path, loss: str) -> None:
    quick = ("train.max_steps=12", "train.save_every=6", "train.pairs_per_step=8", "export.enabled=false")
    smoothing = f"objective.label_smoothing={0.1 if loss == 'robust' else 0.0}"
    objective = (f"objective.loss={loss}", smoothing, "objective.beta=0.2")
    run = make_run(tmp_path, "run", model, pairs, *objective, *quick)
    events = train_here(run)
    for kind in ("step", "eval"):
        told = of_type(events, kind)
        assert told[-1]["loss"] < told[0]["loss"], kind
        assert told[-1]["rewards/margins"] > 0, kind


def test_all_phases_end_in_order(finished: RunDir) -> None:
    phases = of_type(list(read_events(finished.events)), "phase")
    ended = [event["phase"] for event in phases if event["state"] == "end"]
    assert list(dict.fromkeys(ended)) == [
        "tokenize",
        "download",
        "reference",
        "eval",
        "save",
        "train",
        "export",
    ]


@pytest.mark.parametrize("overrides", [(), LORA], ids=["full", "lora with dropout"])
@pytest.mark.parametrize("stop_after", [1, 3, 4])
def test_stopped_and_resumed_equals_never_stopped(
    tmp_path: Path,
    model: Path,
    pairs: Path,
    overrides: tuple[str, ...],
    stop_after: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick = ("export.enabled=false", *overrides)
    whole = make_run(tmp_path / "runs", "whole", model, pairs, *quick)
    train_here(whole)

    halves = make_run(tmp_path / "runs", "halves", model, pairs, *quick)
    control = stop_at(monkeypatch, halves, stop_after)
    with pytest.raises(StopRequested, match=f"after step {stop_after}"):
        train_here(halves)
    assert CheckpointIndex(halves.checkpoints_dir).steps()[-1] == stop_after
    control.clear()
    events = train_here(halves)

    assert of_type(events, "resume")[0]["from_step"] == stop_after
    assert [event["step"] for event in effective_steps(events)] == [1, 2, 3, 4, 5, 6]
    assert_same_weights(whole, halves)


def assert_same_weights(a: RunDir, b: RunDir) -> None:
    first, second = final_weights(a), final_weights(b)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("seed", [0, 1])
def test_killed_at_a_random_moment_resumes_bit_for_bit(
    tmp_path: Path, model: Path, pairs: Path, seed: int
) -> None:
    quick = ("export.enabled=false", "train.max_steps=12")
    whole = make_run(tmp_path / "runs", "whole", model, pairs, *quick)
    train_here(whole)

    killed = make_run(tmp_path / "runs", "killed", model, pairs, *quick)
    rng = random.Random(seed)
    for _ in range(2):
        kill_after(killed, events=rng.randint(10, 40))
        CheckpointIndex(killed.checkpoints_dir).recover()
    train_here(killed)
    assert_same_weights(whole, killed)


def kill_after(run: RunDir, events: int) -> None:
    """Train in a process of its own and kill it when it has written so many events, if it lives that long."""
    tail, seen = Tail(run.events), 0
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"from pathlib import Path; from engine.train import main; main(Path({str(run.root)!r}))",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and seen < events:
        seen += len(tail.read())
        os.sched_yield()
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_a_partial_last_step_is_scaled_by_its_own_pairs(tmp_path: Path, model: Path, pairs: Path) -> None:
    run = make_run(
        tmp_path / "runs",
        "partial",
        model,
        pairs,
        "train.pairs_per_step=20",
        "train.max_steps=2",
        "export.enabled=false",
        "objective.beta=1e-6",
        "optimizer.warmup_ratio=0.0",
    )
    steps = of_type(train_here(run), "step")
    # At beta near 0 the mean loss of any number of pairs is ln 2, and so it is for 20 pairs and for the last 7.
    assert [event["loss"] for event in steps] == pytest.approx([0.693147, 0.693147], rel=1e-4)
    assert steps[1]["epoch"] == 1.0


def test_packs_of_any_size_give_the_same_training(tmp_path: Path, model: Path, pairs: Path) -> None:
    quick = ("export.enabled=false", "train.save_every=6")
    runs = [
        make_run(
            tmp_path / "runs", f"tokens{tokens}", model, pairs, f"train.tokens_per_pack={tokens}", *quick
        )
        for tokens in (192, 4096)
    ]
    losses = [[event["loss"] for event in of_type(train_here(run), "step")] for run in runs]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_wrong_cache_entry_is_found_before_the_first_step_and_mended(
    tmp_path: Path, model: Path, pairs: Path
) -> None:
    run = make_run(tmp_path / "runs", "first", model, pairs, "export.enabled=false", "train.max_steps=2")
    train_here(run)
    (folder,) = (Path(os.environ["XDG_CACHE_HOME"]) / "dpo-tui" / "reference").iterdir()
    cache = ReferenceCache(folder)
    cache.load()
    store = PairStore.open(run.data_dir / "train.arrow")
    keys = [pair_key(store[i]) for i in range(len(store))]
    known = cache.lookup(keys)
    for key, (chosen, rejected) in zip(keys, known.tolist(), strict=True):
        cache.add(key, chosen - 3, rejected)
    cache.flush()
    second = make_run(tmp_path / "runs", "second", model, pairs, "export.enabled=false", "train.max_steps=2")
    assert of_type(train_here(second), "step")[0]["rewards/margins"] == 0


def test_every_end_is_an_event_with_its_code(tmp_path: Path, model: Path) -> None:
    missing = make_run(tmp_path / "runs", "missing", model, tmp_path / "nothing.jsonl")
    assert train.main(missing.root) is Exit.UNUSABLE
    end = list(read_events(missing.events))[-1]
    assert (end["type"], end["exit_code"]) == ("end", 3)
    assert "nothing.jsonl" in end["text"]


def test_stopped_before_the_first_step_leaves_no_checkpoint(tmp_path: Path, model: Path, pairs: Path) -> None:
    run = make_run(tmp_path / "runs", "early", model, pairs)
    Control(run.control_dir).request_stop()
    assert train.main(run.root) is Exit.STOPPED
    assert CheckpointIndex(run.checkpoints_dir).steps() == []


def test_an_event_writer_is_closed_with_the_process(tmp_path: Path) -> None:
    with EventWriter(tmp_path / "events.jsonl") as events:
        events.end(0, "run.done", "done")
    assert len(list(read_events(tmp_path / "events.jsonl"))) == 1


def test_stopped_in_the_last_evaluation_the_resumed_run_makes_up_for_it(
    tmp_path: Path, model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "runs", "eval", model, pairs, "train.save_every=9", "export.checkpoint='best'")
    evaluate = Trainer.evaluate

    def stopped(_: Trainer) -> dict[str, float]:
        raise StopRequested("run.stopped", "stopped on request")

    monkeypatch.setattr(Trainer, "evaluate", stopped)
    with pytest.raises(StopRequested):
        train_here(run)
    assert CheckpointIndex(run.checkpoints_dir).best() is None
    monkeypatch.setattr(Trainer, "evaluate", evaluate)
    train_here(run)
    assert CheckpointIndex(run.checkpoints_dir).best() == 6
    assert run.export_dir.is_dir()


def test_the_last_step_is_told_whatever_log_every_says(tmp_path: Path, model: Path, pairs: Path) -> None:
    run = make_run(tmp_path / "runs", "log", model, pairs, "train.log_every=100", "export.enabled=false")
    assert [event["step"] for event in of_type(train_here(run), "step")] == [6]
