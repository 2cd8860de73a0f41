"""How a job stands: the answers of squeue and sacct, and what follows from them for its run."""

import time
from pathlib import Path

import pytest

from dpo_tui.runs import effective_state, is_live
from dpo_tui.sweep_table import result_of, table
from engine.config.schema import Config
from engine.config.slurm import Slurm
from engine.exits import EnvironmentUnfitError, Exit
from engine.launch.ranks import RankExit
from engine.launch.slurm import queue, requeue
from engine.launch.slurm.cluster import Partition, partitions
from engine.launch.slurm.job import Job
from engine.launch.slurm.queue import FORGOTTEN, JobState, Queue, ask, in_queue
from engine.launch.slurm.step import StepRanks, rank_exits
from engine.rundir.files import write_json
from engine.rundir.job import JobRecord, write_job
from engine.rundir.paths import RunDir
from engine.rundir.status import Reason, RunRecord, Status, write_record, write_status

JOB = JobRecord("12", 0.0)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "r")
    run.root.mkdir()
    run.config.touch()
    return run


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[str, JobState | None]:
    """What the queue tells of job 12; nothing until a test sets it."""
    answers: dict[str, JobState | None] = {"12": None}
    monkeypatch.setattr("dpo_tui.job_state.QUEUE.state", lambda job, _: answers[job.id])
    return answers


@pytest.fixture
def sent(run: RunDir) -> RunDir:
    """A run whose job was sent a moment ago."""
    write_job(run.job_json, "12", None, run.job_script)
    return run


def begin(run: RunDir) -> None:
    """The job's supervisor has begun."""
    record = RunRecord(
        id="x", pid=1, start_time=0.0, owner=None, host="node1", launcher="slurm", job_id="12", argv=[]
    )
    write_record(run.run_json, record)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("RUNNING|None\n", JobState("RUNNING")),
        ("PENDING|PartitionConfig\n", JobState("PENDING", "PartitionConfig")),
        ("CANCELLED by 1000|None", JobState("CANCELLED")),
        ("CANCELLED+|", JobState("CANCELLED")),
        ("\nslurm_load_jobs error: Invalid job id specified\n", None),
        ("PENDING|\x1b[31mred\n", JobState("PENDING")),
        ("", None),
    ],
)
def test_an_answer(text: str, state: JobState | None) -> None:
    assert in_queue(text) == state


def command(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_squeue_then_sacct_then_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What squeue has forgotten, sacct may know; either may be missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask(JOB) is None
    command(tmp_path, "sacct", "echo 'COMPLETED|None'")
    assert ask(JOB) == JobState("COMPLETED")
    command(tmp_path, "squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert ask(JOB) == JobState("COMPLETED")
    command(tmp_path, "sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert ask(JOB) == JobState(FORGOTTEN)  # not for ever in the queue
    command(
        tmp_path, "squeue", "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1"
    )
    assert ask(JOB) is None
    command(tmp_path, "squeue", "echo 'RUNNING|None'")
    assert ask(JOB) == JobState("RUNNING")


def test_the_queue_is_asked_once_in_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(job: JobRecord) -> JobState:
        asked.append(job.id)
        return JobState("RUNNING")

    monkeypatch.setattr(queue, "ask", answer)
    fresh = Queue()
    assert [fresh.state(JOB, 5.0) for _ in range(3)] == [JobState("RUNNING")] * 3
    assert asked == ["12"]
    fresh.forget(JOB)
    fresh.state(JOB, 5.0)
    assert asked == ["12", "12"]


def test_a_job_that_waits(sent: RunDir, told: dict[str, JobState | None]) -> None:
    """It says why in plain words, and counts as live: nobody starts it twice."""
    told["12"] = JobState("PENDING", "Resources")
    status = effective_state(sent)
    assert (status.state, status.reason and status.reason.text) == (
        "queued",
        "job 12 waits: no nodes are free",
    )
    assert is_live(sent)
    told["12"] = JobState("PENDING", "SomethingNew")
    waiting = effective_state(sent).reason
    assert waiting is not None
    assert "Slurm says SomethingNew" in waiting.text
    told["12"] = JobState("PENDING", "PartitionConfig")
    never = effective_state(sent).reason
    assert never is not None
    assert never.params["case"] == "never"
    told["12"] = JobState("RUNNING")
    assert effective_state(sent).state == "starting"


def test_a_resumed_run_is_its_new_job_s(run: RunDir, told: dict[str, JobState | None]) -> None:
    """The end of an attempt before says nothing of the job that was sent after it."""
    write_status(run.status_json, Status(state="failed", exit_code=1, heartbeat=time.time() - 10))
    write_job(run.job_json, "12", None, run.job_script)
    told["12"] = JobState("PENDING", "Priority")
    assert effective_state(run).state == "queued"


@pytest.mark.parametrize(
    ("word", "state", "code"),
    [
        ("CANCELLED", "stopped", "slurm.cancelled"),
        ("TIMEOUT", "failed", "slurm.ended"),
        ("NODE_FAIL", "failed", "slurm.ended"),
        ("FAILED", "failed", "slurm.ended"),
        (FORGOTTEN, "failed", "slurm.ended"),
    ],
)
def test_a_job_that_ended_without_a_word(
    word: str, state: str, code: str, sent: RunDir, told: dict[str, JobState | None]
) -> None:
    told["12"] = JobState(word)
    status = effective_state(sent)
    assert status.reason is not None
    assert (status.state, status.reason.code, status.final) == (state, code, True)
    assert not is_live(sent)


def test_nobody_can_be_asked(sent: RunDir, told: dict[str, JobState | None]) -> None:
    """A run that has not spoken waits; one that fell silent is lost; one that speaks is as it says."""
    assert told["12"] is None
    assert effective_state(sent).state == "queued"
    write_status(sent.status_json, Status(state="running", heartbeat=time.time()))
    assert effective_state(sent).state == "queued"  # of an attempt before
    begin(sent)
    assert effective_state(sent).state == "running"
    write_status(sent.status_json, Status(state="running", heartbeat=time.time() - 500))
    assert effective_state(sent).state == "failed"


def test_ended_by_slurm_and_queued_again(sent: RunDir, told: dict[str, JobState | None]) -> None:
    """TERM says as little of a node that failed as of scancel: what the job does next tells them apart."""
    begin(sent)
    reason = Reason("run.stopped", "stopped", {"case": "terminated"})
    write_status(
        sent.status_json, Status(state="stopped", exit_code=5, reason=reason, heartbeat=time.time(), step=7)
    )
    told["12"] = JobState("COMPLETING")
    assert effective_state(sent).state == "stopping"
    told["12"] = JobState("PENDING", "BeginTime")
    waiting = effective_state(sent)
    assert (waiting.state, waiting.step, waiting.exit_code) == ("queued", 7, None)
    told["12"] = JobState("CANCELLED")
    assert effective_state(sent).state == "stopped"


@pytest.mark.parametrize(
    ("left", "returned", "told", "exits"),
    [
        ({0: 0, 1: 0}, 0, "", [RankExit(0, 0), RankExit(1, 0)]),
        ({0: 5, 1: 5}, 0, "", [RankExit(0, 5), RankExit(1, 5)]),
        ({0: 1}, 137, "srun: error: node2: task 1: Killed\nsrun: error: node1: task 0: Exited with exit code 1",
         [RankExit(1, -9)]),
        ({0: 3, 1: 5}, 3, "srun: error: node1: task 0: Exited with exit code 3", [RankExit(0, 3)]),
        ({}, 1, "srun: error: node[1-2]: tasks 0-1: Exited with exit code 1", [RankExit(0, 1)]),
        ({0: 0}, 137, "", [RankExit(1, -9)]),
        ({}, 2, "srun: error: Unable to create step", [RankExit(0, 2)]),
    ],
)  # fmt: skip
def test_how_the_ranks_of_a_job_ended(
    left: dict[int, int], returned: int, told: str, exits: list[RankExit], run: RunDir
) -> None:
    """The one that srun told of first ended the others; srun's own code is only the highest."""
    run.ranks_dir.mkdir()
    for rank, code in left.items():
        write_json(run.rank_exit(rank), {"code": code})
    assert rank_exits(run, 2, returned, told) == exits


def test_the_table_of_a_sweep(tmp_path: Path) -> None:
    """The most accurate run first, and what has no result last."""
    results = []
    for name, accuracy, margin in (
        ("s-1", 0.5, 2.0),
        ("s-2", 0.75, 0.1),
        ("s-3", None, None),
        ("s-4", 0.75, 0.3),
    ):
        run = RunDir(tmp_path / name)
        run.root.mkdir()
        if accuracy is not None:
            final = {"step": 1, "loss": 0.6, "rewards/accuracies": accuracy, "rewards/margins": margin}
            write_json(run.summary_json, {"eval": {"final": final}, "train": {}})
        results.append(result_of(run, {"objective.beta": 0.1}, "failed" if accuracy is None else "done"))
    head, *rows = table(results)
    assert head.split()[:2] == ["run", "objective.beta"]
    assert [row.split()[0] for row in rows] == ["s-4", "s-2", "s-1", "s-3"]
    assert rows[-1].split()[2:] == ["failed", "–", "–", "–"]


@pytest.mark.parametrize(
    ("asked", "step", "before", "code"),
    [
        ({}, 8, 4, None),
        ({}, 4, 4, "slurm.no_progress"),
        ({}, 0, 0, "slurm.no_progress"),
        ({"requeue": False}, 8, 4, "slurm.time_up"),
    ],
)
def test_a_job_whose_time_is_up_goes_on_if_it_got_further(
    asked: dict[str, bool], step: int, before: int, code: str | None
) -> None:
    end = requeue.end_instead(Slurm.model_validate(asked), step, before)
    assert (end and end[1].code) == code
    assert end is None or end[0] is (Exit.USAGE if code == "slurm.no_progress" else Exit.STOPPED)


def test_the_job_around_this_process() -> None:
    """An array's task has a number of its own, and the name that squeue knows it by."""
    job = Job.of({"SLURM_JOB_ID": "17", "SLURM_ARRAY_JOB_ID": "16", "SLURM_ARRAY_TASK_ID": "1"})
    assert (job.id, job.number) == ("16_1", 17)
    assert Job.of({"SLURM_JOB_ID": "17"}).id == "17"
    meeting = job.meeting(4)
    assert 20_017 <= int(meeting["MASTER_PORT"]) < 20_117
    assert meeting["WORLD_SIZE"] == "4"
    with pytest.raises(EnvironmentUnfitError, match="this is no Slurm job"):
        Job.of({})


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            "gpu*|up|2-00:00:00|12|gpu:a100:8(S:0-1)|96+|1000000",
            Partition("gpu", True, True, "2-00:00:00", 12, "a100", 8, 96, 1000000),
        ),
        (
            "debug|down|30:00|2|(null)|16|64000",
            Partition("debug", False, False, "30:00", 2, None, 0, 16, 64000),
        ),
        ("old|up|infinite|4|gpu:4|32|x", Partition("old", False, True, "infinite", 4, None, 4, 32, 0)),
        ("nonsense", None),
        ("a|up|1|many|(null)|1|1", None),
    ],
)
def test_a_partition_as_sinfo_lists_it(
    line: str, found: Partition | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    command(tmp_path, "sinfo", f"echo '{line}'")
    assert partitions() == ([] if found is None else [found])


def test_a_job_without_srun_says_what_may_have_hidden_it(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    config = Config.model_validate(
        {"model": {"id": "x"}, "data": {"sources": [{"path": "y"}]}, "launch": {"launcher": "slurm"}}
    )
    with pytest.raises(EnvironmentUnfitError, match=r"srun cannot be started in the job: .*PATH"):
        StepRanks(run, config, Job("12", 12)).start({"PATH": "/nowhere"})
