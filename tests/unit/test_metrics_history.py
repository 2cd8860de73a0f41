"""A run's events as what screens show."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpo_tui.metrics.history import History
from dpo_tui.metrics.table import MAX_COLUMNS
from engine.rundir.events import effective_steps


def step(number: Any, **values: Any) -> dict[str, Any]:
    return {"v": 1, "type": "step", "step": number, **values}


def phase(name: str, state: str, time: float = 0, **counts: Any) -> dict[str, Any]:
    return {"type": "phase", "phase": name, "state": state, "time": time, **counts}


def of(*events: dict[str, Any]) -> History:
    history = History()
    history.take(events)
    return history


def test_a_metric_is_a_curve_over_steps_with_gaps_where_it_was_absent() -> None:
    history = of(step(1, loss=0.7), step(2), step(3, loss=0.5, grad_norm=1))
    steps, loss = history.series("loss")
    assert steps.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(loss, [0.7, np.nan, 0.5])
    np.testing.assert_array_equal(history.series("grad_norm")[1], [np.nan, np.nan, 1])
    assert history.names() == ["loss", "grad_norm"]
    assert np.isnan(history.series("unknown")[1]).all()


@given(st.lists(st.integers(0, 30), max_size=40), st.lists(st.integers(1, 9)), st.integers(0, 30))
def test_any_slicing_of_the_file_gives_the_same_curves(
    steps: list[int], cuts: list[int], resumed: int
) -> None:
    events = [step(number, loss=row) for row, number in enumerate(steps)]
    events.insert(len(events) // 2, {"type": "resume", "attempt": 2, "from_step": resumed})
    whole, sliced = of(*events), History()
    at = 0
    for cut in [*cuts, len(events)]:
        sliced.take(events[at : at + cut])
        at += cut
    for one, other in zip(whole.series("loss"), sliced.series("loss"), strict=True):
        assert one.tolist() == other.tolist()
    assert (np.diff(whole.series("loss")[0]) > 0).all()


@given(st.lists(st.lists(st.integers(1, 30), unique=True).map(sorted), max_size=5))
def test_the_steps_that_count_are_those_the_engine_counts(attempts: list[list[int]]) -> None:
    events: list[dict[str, Any]] = []
    for steps in attempts:
        first = steps[0] if steps else 1
        events += [{"type": "resume", "from_step": first - 1}, *(step(number, loss=0.5) for number in steps)]
    assert of(*events).series("loss")[0].tolist() == [event["step"] for event in effective_steps(events)]


def test_a_resume_forgets_what_never_happened() -> None:
    history = of(
        *(step(number, loss=1.0) for number in range(1, 6)),
        {"type": "eval", "step": 2, "loss": 0.6, "time": 20.0},
        {"type": "eval", "step": 4, "loss": 0.5},
        {"type": "save", "step": 2, "path": "/r/step-2", "bytes": 7, "seconds": 0.5, "verified": True},
        {"type": "save", "step": 4},
        {"type": "end", "exit_code": 1},
        {"type": "resume", "attempt": 2, "from_step": 3},
        step(4, grad_norm=9.0),
    )
    assert history.series("loss")[0].tolist() == [1, 2, 3, 4]
    np.testing.assert_array_equal(history.series("loss")[1], [1, 1, 1, np.nan])
    assert [evaluation.step for evaluation in history.evals] == [2]
    assert history.evals[0].metrics == {"loss": 0.6}
    assert [(save.step, save.bytes, save.verified) for save in history.saves] == [(2, 7, True)]
    assert (history.attempt, history.from_step, history.step, history.end) == (2, 3, 4, None)


def test_a_step_told_again_replaces_what_lies_from_it_on() -> None:
    history = of(step(1, loss=1), step(2, loss=2), step(3, loss=3), step(2, loss=20))
    assert history.series("loss")[1].tolist() == [1, 20]
    history.take([step(1, loss=10)])
    assert history.series("loss")[1].tolist() == [10]


def test_phases_stand_in_order_with_their_durations() -> None:
    history = of(phase("tokenize", "start", 10), phase("tokenize", "progress", 11, done=5, total=9))
    current = history.current_phase
    assert current is not None
    assert (current.name, current.done, current.total, current.running) == ("tokenize", 5, 9, True)
    history.take([phase("tokenize", "end", 14), phase("train", "start", 20, done=0, total=300)])
    history.take([phase("eval", "start", 21), phase("eval", "end", 22), phase("save", "start", 23)])
    assert [entry.name for entry in history.phases] == ["tokenize", "train", "eval", "save"]
    assert history.phases[0].seconds == 4
    assert history.current_phase is not None
    assert history.current_phase.name == "save"
    assert history.total == 300
    history.take([phase("save", "end", 24)])
    assert history.current_phase.name == "train"


def test_a_new_attempt_goes_through_its_phases_anew() -> None:
    history = of(
        phase("tokenize", "start"), phase("tokenize", "end"), phase("train", "start"), phase("eval", "start")
    )
    history.take([{"type": "end", "exit_code": 1, "time": 5}])
    assert history.current_phase is None
    assert history.end is not None
    history.take([phase("tokenize", "start")])
    assert [(entry.name, entry.running) for entry in history.phases] == [("tokenize", True)]
    assert history.end is None


def test_equal_warnings_are_one_that_is_counted() -> None:
    warn = {"type": "warning", "code": "policy.mode", "params": {"mode": "split"}, "text": "slower"}
    history = of({**warn, "time": 1.0}, {**warn, "params": {"mode": "other"}}, {**warn, "time": 3.0})
    assert [(warning.count, warning.params["mode"]) for warning in history.warnings] == [
        (2, "split"),
        (1, "other"),
    ]
    assert history.warnings[0].time == 3


def test_sources_have_curves_of_their_own() -> None:
    history = of(
        step(1, loss=1, sources={"a": {"pairs": 3, "loss": 0.9}, "b": {"pairs": 1, "loss": 1.3}}),
        step(2, loss=1, sources={"b": {"pairs": 4, "loss": 1.2}}),
    )
    assert history.sources() == ["a", "b"]
    assert [array.tolist() for array in history.source_series("b", "loss")] == [[1, 2], [1.3, 1.2]]
    assert len(history.source_series("none", "loss")[0]) == 0


def test_the_time_left_passes_over_pauses_and_over_the_gap_between_attempts() -> None:
    times, now = [], 0.0
    for number in range(1, 41):
        now += 2.0 + (100 if number % 10 == 0 else 0)
        times.append(step(number, time=1000 + now))
    history = of(phase("train", "start", done=0, total=100), *times)
    assert history.eta_seconds() == pytest.approx(120)
    history.take([{"type": "resume", "attempt": 2, "from_step": 40}])
    assert history.eta_seconds() is None
    history.take([step(41, time=90000.0), step(43, time=90010.0)])
    assert history.eta_seconds() == pytest.approx(57 * 5)


@pytest.mark.parametrize(("slope", "expected"), [(0.01, 1), (-0.01, -1), (0.0, 0)])
def test_a_trend_is_what_stands_out_of_the_noise(slope: float, expected: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 200)
    history = of(*(step(row + 1, loss=slope * row + noise[row]) for row in range(200)))
    assert history.trend("loss") == expected
    assert history.trend("unknown") == 0


def test_the_last_value_is_the_last_that_is_a_number() -> None:
    history = of(step(1, loss=0.5), step(2, loss=None), step(3, loss=float("nan")))
    assert history.last("loss") == 0.5
    assert history.last("unknown") is None


@pytest.mark.parametrize("bad", ["0.5", None, True, [1], {}, 10**400, 1e300, float("inf"), float("nan")])
def test_what_is_no_number_is_a_gap(bad: Any) -> None:
    history = of(step(1, loss=0.5), step(2, loss=bad), step(3, loss=0.25))
    np.testing.assert_array_equal(history.series("loss")[1], [0.5, np.nan, 0.25])


@pytest.mark.parametrize("bad", [None, "3", 2.0, True, -1, 10**30, [3]])
def test_an_event_without_a_step_is_passed_over(bad: Any) -> None:
    assert of(step(1), step(bad), step(2)).series("loss")[0].tolist() == [1, 2]


def test_a_file_that_makes_up_names_fills_no_memory() -> None:
    history = of(*(step(number, **{f"m{number}": 1.0}) for number in range(1, 2 * MAX_COLUMNS)))
    assert len(history.names()) == MAX_COLUMNS


def test_the_version_grows_with_every_change_and_a_reset_forgets_all() -> None:
    history = of(step(1, loss=0.5))
    before = history.version
    history.take([])
    assert history.version == before
    history.take([{"type": "unknown"}])
    assert history.version > before
    before = history.version
    history.reset()
    assert history.version > before
    assert (history.step, history.names(), history.first_time) == (0, [], None)


def test_first_and_last_time_are_of_events_that_have_one() -> None:
    history = of(step(1), step(2, time=5.0), step(3, time="late"), step(4, time=9.5), step(5, time=1e300))
    assert (history.first_time, history.last_time) == (5.0, 9.5)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_KEYS = [
    "step",
    "time",
    "loss",
    "epoch",
    "phase",
    "state",
    "done",
    "total",
    "code",
    "params",
    "text",
    "sources",
    "from_step",
    "attempt",
    "report",
    "path",
    "bytes",
    "seconds",
    "verified",
    "exit_code",
    "rewards/chosen",
    "logps/chosen",
]
_types = st.sampled_from(
    ["step", "phase", "eval", "save", "warning", "resume", "data", "gates", "export", "end", "new"]
)
_hostile = st.dictionaries(st.sampled_from(_KEYS) | st.text(max_size=4), _json, max_size=8)
_names = st.sampled_from(["start", "progress", "end", "train", "eval", "tokenize"])
_events = st.tuples(
    _types | _json,
    _hostile,
    st.fixed_dictionaries({}, optional={"phase": _names, "state": _names, "step": st.integers(0, 9)}),
).map(lambda parts: {**parts[1], **parts[2], "type": parts[0]})


@given(st.lists(_events, max_size=30))
def test_no_event_breaks_it(events: list[dict[str, Any]]) -> None:
    history = of(*events)
    for name in [*history.names(), "loss"]:
        steps, values = history.series(name)
        assert len(steps) == len(values)
        assert (np.diff(steps) > 0).all()
        history.last(name)
        assert history.trend(name) in (-1, 0, 1)
    eta = history.eta_seconds()
    assert eta is None or eta >= 0
    assert history.current_phase is None or history.current_phase in history.phases
    json.dumps([[phase.name, phase.seconds] for phase in history.phases])
    assert all(save.step >= 0 for save in history.saves)
    assert all(evaluation.step >= 0 for evaluation in history.evals)
    assert all(warning.count >= 1 for warning in history.warnings)
    assert history.epoch is None or np.isfinite(history.epoch)


def test_the_training_time_is_that_of_all_attempts_without_the_pauses_between_them() -> None:
    history = of(
        phase("tokenize", "start", 0),
        phase("train", "start", 10),
        step(1, time=15),
        step(2, time=30),
        {"type": "end", "time": 31, "exit_code": 5},
        phase("tokenize", "start", 5000),
        {"type": "resume", "time": 5008, "attempt": 2, "from_step": 2},
        phase("train", "start", 5010),
        step(3, time=5020),
        phase("save", "start", 5021),
        phase("save", "end", 5024),
        phase("train", "end", 5025),
        phase("export", "start", 5026),
        phase("export", "end", 5090),
    )
    assert history.training_seconds == (31 - 10) + (5025 - 5010)


def test_an_attempt_that_was_killed_has_trained_until_its_last_event() -> None:
    history = of(phase("train", "start", 10), step(1, time=15))
    history.take([phase("tokenize", "start", 900), phase("train", "start", 910), step(2, time=912)])
    assert history.training_seconds == 5 + 2
