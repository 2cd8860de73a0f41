"""Several sources: their weights decide what is trained, and metrics are reported for each."""

from pathlib import Path

import numpy as np
import pytest

from engine.data.prepared.pairs import PairStore
from engine.rundir.events import read_events
from engine.rundir.paths import RunDir
from tests.engine.runs import make_run, of_type, train_here, write_pairs


@pytest.fixture
def mixed(tmp_path: Path, model: Path, pairs: Path) -> RunDir:
    """Three epochs over two sources: all 30 pairs of one and a third of the 12 of the other in each."""
    other = write_pairs(tmp_path / "other.jsonl", 12)
    run = make_run(
        tmp_path, "mixed", model, pairs, "data.eval_fraction=0.2", "train.epochs=3", "export.enabled=false"
    )
    text = run.config.read_text().replace("max_steps = 6\n", "")
    second = f'\n[[data.sources]]\nsource = "local"\npath = "{other}"\nweight = 0.34\n'
    run.config.write_text(text + second)
    return run


def test_metrics_are_reported_for_each_source_and_add_up(mixed: RunDir) -> None:
    events = train_here(mixed)
    for event in [*of_type(events, "step"), *of_type(events, "eval")]:
        parts = event["sources"].values()
        pairs = sum(part["pairs"] for part in parts)
        for metric in ("loss", "rewards/margins", "rewards/accuracies"):
            mean = sum(part["pairs"] * part[metric] for part in parts) / pairs
            assert event[metric] == pytest.approx(mean, rel=1e-5, abs=1e-7)
    names = {name for event in of_type(events, "step") for name in event["sources"]}
    assert names == {"pairs.jsonl", "other.jsonl"}


def test_a_weight_decides_how_many_of_a_source_are_trained(mixed: RunDir) -> None:
    events = train_here(mixed)
    sources = PairStore.open(mixed.data_dir / "train.arrow").sources()
    whole, part = (int((sources == number).sum()) for number in (0, 1))
    seen = {"pairs.jsonl": 0, "other.jsonl": 0}
    for event in of_type(events, "step"):
        for name, metrics in event["sources"].items():
            seen[name] += metrics["pairs"]
    assert seen == {"pairs.jsonl": 3 * whole, "other.jsonl": 3 * round(0.34 * part)}


def test_pairs_that_later_epochs_visit_have_their_reference(mixed: RunDir) -> None:
    train_here(mixed)
    losses = [event["loss"] for event in of_type(list(read_events(mixed.events)), "step")]
    assert np.isfinite(np.array(losses, dtype=float)).all()


def test_a_single_source_is_not_reported_twice(tmp_path: Path, model: Path, pairs: Path) -> None:
    run = make_run(tmp_path, "single", model, pairs, "train.max_steps=1", "export.enabled=false")
    assert not any("sources" in event for event in of_type(train_here(run), "step"))
