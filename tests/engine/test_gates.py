"""Gates: a run that does not reach what the config asks for fails, exports nothing, and keeps its checkpoints."""

import json
from pathlib import Path

import pytest

from engine import train
from engine.config.schema import Gates
from engine.exits import Exit, GateFailed, UnusableError
from engine.gates import judge, require_eval_pairs, require_few_dropped
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import read_events
from engine.rundir.paths import RunDir
from engine.rundir.status import Status
from engine.rundir.summary import write_summary
from tests.engine.runs import make_run, of_type

METRICS = {"eval_loss": 0.5, "eval_rewards/accuracies": 0.75, "eval_rewards/margins": 0.2}


@pytest.mark.parametrize(
    ("gates", "passed"),
    [
        ({"min_accuracy": 0.75}, True),
        ({"min_accuracy": 0.76}, False),
        ({"min_margin": -1.0}, True),
        ({"min_margin": 0.3}, False),
        ({"max_loss": 0.5}, True),
        ({"max_loss": 0.49}, False),
    ],
)
def test_a_gate_is_passed_at_its_limit_and_missed_beyond(gates: dict[str, float], passed: bool) -> None:
    assert [verdict.passed for verdict in judge(Gates.model_validate(gates), METRICS)] == [passed]


def test_what_was_not_measured_has_not_passed() -> None:
    (verdict,) = judge(Gates(min_accuracy=0.0), {})
    assert verdict.value is None
    assert not verdict.passed


def test_no_gate_gives_no_verdict() -> None:
    assert judge(Gates(max_dropped=0.5), METRICS) == []


def test_dropped_rows_are_judged_by_their_share() -> None:
    require_few_dropped(Gates(max_dropped=0.1), 10, 100)
    require_few_dropped(Gates(), 100, 100)
    with pytest.raises(
        GateFailed, match=r"11 of 100 rows are dropped, 11\.0%, above gates\.max_dropped = 0\.1"
    ):
        require_few_dropped(Gates(max_dropped=0.1), 11, 100)


def test_a_gate_on_held_out_pairs_needs_some() -> None:
    require_eval_pairs(Gates(max_dropped=0.1), 0)
    with pytest.raises(
        UnusableError, match=r"gates\.max_loss looks at held-out pairs, and none are held out"
    ):
        require_eval_pairs(Gates(max_loss=1.0), 0)


def finished(run: RunDir, code: Exit) -> dict[str, object]:
    """The summary that the supervisor would write."""
    write_summary(
        run, Status(state="done" if code == 0 else "failed", exit_code=int(code)), since=0, seconds=1.0
    )
    summary: dict[str, object] = json.loads(run.summary_json.read_text())
    return summary


def test_a_missed_gate_fails_the_run_and_exports_nothing(tmp_path: Path, model: Path, pairs: Path) -> None:
    run = make_run(
        tmp_path, "missed", model, pairs, "gates.min_margin=1000", "gates.max_loss=10", "train.max_steps=2"
    )
    code = train.main(run.root)
    assert code is Exit.TRAINING_FAILED
    events = list(read_events(run.events))
    end = events[-1]
    assert end["code"] == "gates.missed"
    assert "below gates.min_margin = 1000" in end["text"]
    assert "max_loss" not in end["text"]
    assert f"dpo-tui export {run.root}" in end["text"]
    assert not run.export_dir.exists()
    assert CheckpointIndex(run.checkpoints_dir).latest() == 2
    (judged,) = of_type(events, "gates")
    assert [verdict["passed"] for verdict in judged["gates"]] == [False, True]
    assert finished(run, code)["gates"] == {"step": 2, "gates": judged["gates"]}


def test_gates_passed_are_in_the_summary_beside_the_export(tmp_path: Path, model: Path, pairs: Path) -> None:
    run = make_run(tmp_path, "passed", model, pairs, "gates.min_accuracy=0", "train.max_steps=2")
    assert train.main(run.root) is Exit.DONE
    summary = finished(run, Exit.DONE)
    assert [verdict["passed"] for verdict in summary["gates"]["gates"]] == [True]  # type: ignore[index]
    assert summary["export"] == str(run.export_dir)


def test_too_many_dropped_rows_fail_before_the_model_is_loaded(
    tmp_path: Path, model: Path, pairs: Path
) -> None:
    rows = pairs.read_text() + 10 * (
        json.dumps({"prompt": [{"role": "user", "content": "x"}], "chosen": [], "rejected": []}) + "\n"
    )
    holed = tmp_path / "holed.jsonl"
    holed.write_text(rows)
    run = make_run(tmp_path, "holed", model, holed, "gates.max_dropped=0.2")
    assert train.main(run.root) is Exit.TRAINING_FAILED
    events = list(read_events(run.events))
    assert events[-1]["code"] == "gates.dropped"
    assert "download" not in {event.get("phase") for event in events}
