"""Run directories that anything may have happened to: each verb that reads one answers, and resuming never lies."""

import io
import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpo_tui import cli
from engine.exits import Exit
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import effective_steps, read_events
from engine.rundir.paths import RunDir
from engine.rundir.status import State, read_record, read_status
from engine.rundir.summary import write_summary
from tests.fuzz.cases import COUNT, case, fuzzed
from tests.fuzz.test_command_line import CONFIG

KEYS = ["v", "type", "step", "loss", "state", "exit_code", "reason", "code", "text", "params", "heartbeat",
         "total", "pid",
        "start_time", "owner", "host", "argv", "phase", "done", "time", "from_step", "attempt", "path", "train", "eval",
        "final", "best", "report", "rows", "checkpoints", "files", "seal", "metrics", "eval_loss", "gates", "passed",
        "verified", "epoch", "world_size", "versions", "export"]  # fmt: skip
WORDS = ["step", "eval", "save", "phase", "end", "resume", "warning", "data", "export", "start", "progress", "gates",
         "train", "done", "failed", "running", "stopped", "queued", "\x1b[2J", "\udcff", "a\nb", "",
         "[/red]"]  # fmt: skip
LEAF = st.sampled_from(WORDS) | st.none() | st.booleans() | st.integers(-3, 10**30) | st.floats()
VALUE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=9,
)
OBJECT = st.dictionaries(st.sampled_from(KEYS), VALUE, max_size=8)
EVENT = st.builds(lambda kind, rest: {"type": kind, **rest}, st.sampled_from(WORDS), OBJECT)
TEXT = (OBJECT | VALUE).map(json.dumps).map(str.encode) | st.binary(max_size=30)
LINES = st.lists(EVENT.map(json.dumps).map(str.encode) | TEXT, max_size=8).map(b"\n".join)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A run that is over."""
    run = RunDir(tmp_path_factory.mktemp("runs") / "tiny")
    run.root.mkdir()
    run.config.write_text(CONFIG)
    return run


def call(*words: object) -> int:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as caught:
        cli.main([str(word) for word in words])
    assert "Traceback" not in err.getvalue()
    assert "\x1b" not in out.getvalue() + err.getvalue()
    return int(caught.value.code or 0)


@fuzzed
@given(status=TEXT, record=TEXT, summary=TEXT, events=LINES, over=st.booleans())
def test_a_run_is_listed_and_followed_whatever_its_files_hold(
    run: RunDir, status: bytes, record: bytes, summary: bytes, events: bytes, over: bool
) -> None:
    COUNT["run files"] += 1
    if over or (found := read(run, status)) is None or found not in ("done", "failed", "stopped"):
        status = json.dumps({"state": "failed", "exit_code": 1, "reason": {"text": "x\x1b[2J"}}).encode()
    run.status_json.write_bytes(status)
    run.run_json.write_bytes(record)
    run.summary_json.write_bytes(summary)
    run.events.write_bytes(events)
    read_record(run.run_json)
    for verb in (["runs"], ["runs", "--json"]):
        assert call(*verb, "--runs", run.root.parent) == Exit.DONE
    for verb in (["attach", "--json"], ["attach"], ["stop"]):
        assert call(*verb, run.root) in set(Exit)


def read(run: RunDir, status: bytes) -> State | None:
    run.status_json.write_bytes(status)
    found = read_status(run.status_json)
    return None if found is None else found.state


@fuzzed
@given(events=LINES)
def test_any_events_make_a_summary_that_is_json(run: RunDir, events: bytes) -> None:
    run.events.write_bytes(events)
    status = read_status(run.status_json)
    with case("events"):
        if status is not None:
            write_summary(run, status, since=0, seconds=1.0)
            json.loads(run.summary_json.read_text())
        steps = [event["step"] for event in effective_steps(read_events(run.events))]
        assert all(isinstance(step, int) for step in steps)


Change = Callable[[Path], Any]


@fuzzed
@given(
    manifest=TEXT,
    latest=st.binary(max_size=20),
    name=st.sampled_from(["step-7", "step-2", "step-x", ".staging-7"]),
)
def test_a_checkpoint_that_is_none_is_never_taken_for_one(
    run: RunDir, manifest: bytes, latest: bytes, name: str
) -> None:
    shutil.rmtree(run.checkpoints_dir, ignore_errors=True)
    index = CheckpointIndex(run.checkpoints_dir)
    (index.staging(2) / "weights").write_bytes(b"good")
    digests = {"config_digest": "c", "data_digest": "d", "model_digest": "m"}
    index.commit(2, epoch=0.5, metrics={}, world_size=1, versions={}, **digests)
    bad = run.checkpoints_dir / name
    bad.mkdir(exist_ok=True)
    (bad / "manifest.json").write_bytes(manifest)
    (run.checkpoints_dir / "latest").write_bytes(latest)
    with case("checkpoints"):
        index.recover()
        assert index.newest_verified(lambda *_: None) == (None if name == "step-2" else 2)
        index.best()
        index.prune(1)
        assert (index.verify(2) is None) is (name != "step-2")
