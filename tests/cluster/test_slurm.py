"""Runs on a real Slurm of two nodes: sent, followed, ended, cut off by the time limit and by failing nodes."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file

from engine.exits import Exit
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import read_events
from engine.rundir.paths import RunDir
from engine.rundir.status import read_record
from tests.cluster.conftest import call, start, write_config
from tests.cluster.jobs import ended, job_of, ranks, slurm_says, steps, supervisor, weights
from tests.engine.internlm2_folder import write_internlm2
from tests.engine.internlm2_recipe import recipe, write_orpo_rows
from tests.waiting import until

SCRIPT = Path(__file__).with_name("slurm.sh")
TWO_NODES = (
    "--set",
    "launch.launcher=slurm",
    "--set",
    "launch.slurm.nodes=2",
    "--set",
    "launch.slurm.grace=60",
)
ENDLESS = ("--set", "train.max_steps=100000", "--set", "train.save_every=20", "--set", "train.log_every=10")
TOKEN = "hf_" + "abcdefgh" * 4


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Two nodes, for all tests here: it takes some seconds to start."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to start a Slurm")
    folder = Path(f"/run/dpo-tui-slurm-{os.getpid()}")
    subprocess.run(["bash", SCRIPT, folder, "up"], check=True, timeout=300)
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(folder / "etc" / "slurm.conf")
    try:
        yield
    finally:
        subprocess.run(["bash", SCRIPT, folder, "down"], check=True, timeout=120)
        os.environ.pop("SLURM_CONF")
        if before is not None:
            os.environ["SLURM_CONF"] = before


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """The run that `config` describes."""
    return RunDir(tmp_path / "runs" / "tiny")


@pytest.fixture
def config(tmp_path: Path, model: Path, pairs: Path) -> Path:
    return write_config(tmp_path, tmp_path / "runs", model, pairs)


def test_two_nodes_train_one_run(config: Path, run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sent from the command, watched as it trains, exported; and a token of the shell's goes nowhere."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    said = call("--headless", config, *TWO_NODES, "--json")
    assert said.returncode == Exit.DONE, said.stderr
    assert '"step": 6' in said.stdout
    assert f"job {job_of(run)}" in said.stderr
    assert (run.export_dir / "model.safetensors").exists()
    assert run.rank_log(1).exists()
    record = read_record(run.run_json)
    assert record is not None
    assert (record.launcher, record.job_id, record.host) == ("slurm", job_of(run), "node1")
    known = slurm_says("scontrol", "show", "job", job_of(run))
    held = [path for path in run.root.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert (TOKEN in known + said.stdout + said.stderr, held) == (False, [])
    again = call("--headless", config, *TWO_NODES, "--resume")
    assert again.returncode == Exit.DONE, again.stderr  # it is done: nothing is sent


def test_the_job_has_no_secret(config: Path, run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in the environment of the supervisor on the node either, which Slurm keeps on its disk."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("INNOCENT", f"Bearer {TOKEN}")
    assert call("--headless", config, *TWO_NODES, *ENDLESS, "--detach").returncode == Exit.DONE
    until(lambda: steps(run), 60)
    environment = supervisor(run).joinpath("environ").read_bytes()
    assert b"SLURM_JOB_ID=" in environment
    assert TOKEN.encode() not in environment
    stopped = call("stop", run.root, "--wait")
    assert stopped.returncode == Exit.DONE, stopped.stderr
    status = ended(run)
    assert status is not None
    assert (status.state, status.exit_code) == ("stopped", Exit.STOPPED)
    until(lambda: slurm_says("squeue", "-h", "-t", "running", "-j", job_of(run)) == "", 30)


def test_the_time_limit(config: Path, run: RunDir, tmp_path: Path) -> None:
    """USR1 before it, a checkpoint, back into the queue, and on: with the weights of a run that was not cut off.

    The steps are chosen by the machine's speed, so that one slice of time does not suffice.
    """
    whole = RunDir(tmp_path / "runs" / "whole")
    every = (
        "--set",
        "train.save_every=100000",
        "--set",
        "train.log_every=10",
        "--set",
        "export.enabled=false",
    )
    trial = call("--headless", config, *TWO_NODES, *every, "--set", "train.max_steps=60", "--run", "trial")
    assert trial.returncode == Exit.DONE, trial.stderr
    told = [e for e in read_events(RunDir(tmp_path / "runs" / "trial").events) if e["type"] == "step"]
    rate = (told[-1]["step"] - told[1]["step"]) / (told[-1]["time"] - told[1]["time"])
    many = ("--set", f"train.max_steps={int(75 * rate)}")
    limited = ("--set", "launch.slurm.time=2")
    cut = call("--headless", config, *TWO_NODES, *every, *many, *limited, "--json")
    assert cut.returncode == Exit.DONE, cut.stderr
    resumed = [event for event in read_events(run.events) if event["type"] == "resume"]
    assert resumed, "one slice of time sufficed"
    assert "queued again" in cut.stderr
    uncut = call("--headless", config, *TWO_NODES, *every, *many, "--run", "whole")
    assert uncut.returncode == Exit.DONE, uncut.stderr
    assert weights(run) == weights(whole)


def test_scancel(config: Path, run: RunDir) -> None:
    """Somebody cancels the job: it saves in the seconds that Slurm leaves it, and goes on when resumed."""
    following = start("--headless", config, *TWO_NODES, *ENDLESS)
    until(lambda: steps(run), 60)
    reached = steps(run)
    slurm_says("scancel", job_of(run))
    assert following.wait(60) == Exit.STOPPED
    status = ended(run)
    assert status is not None
    assert status.state == "stopped"
    saved = CheckpointIndex(run.checkpoints_dir).latest() or 0
    assert saved >= reached
    assert call("--headless", config, *TWO_NODES, *ENDLESS, "--resume", "--detach").returncode == Exit.DONE
    until(lambda: steps(run) > saved, 60)
    assert call("stop", run.root, "--wait").returncode == Exit.DONE


def test_a_node_fails(config: Path, run: RunDir) -> None:
    """Slurm queues the job again, and it goes on from its checkpoint when there are nodes."""
    steps_asked = (
        "--set",
        "train.max_steps=400",
        "--set",
        "train.save_every=20",
        "--set",
        "export.enabled=false",
    )
    following = start("--headless", config, *TWO_NODES, *steps_asked)
    until(lambda: CheckpointIndex(run.checkpoints_dir).latest(), 60)
    try:
        slurm_says("scontrol", "update", "nodename=node2", "state=down", "reason=test")
        until(lambda: slurm_says("squeue", "-h", "-o", "%T", "-j", job_of(run)) == "PENDING", 30)
    finally:
        subprocess.run(
            ["scontrol", "update", "nodename=node2", "state=resume"], check=False, capture_output=True
        )
    assert following.wait(120) == Exit.DONE
    assert any(event["type"] == "resume" for event in read_events(run.events))


def test_a_rank_dies(config: Path, run: RunDir) -> None:
    """The run names it, on whatever node it was, and nothing is left of the others."""
    following = start("--headless", config, *TWO_NODES, *ENDLESS)
    until(lambda: steps(run), 60)
    os.kill(ranks(run)[1], signal.SIGKILL)
    assert following.wait(60) == Exit.TRAINING_FAILED
    status = ended(run)
    assert status is not None
    assert status.reason is not None
    assert status.reason.code == "rank.killed", status
    assert status.reason.params["rank"] == 1
    until(lambda: not ranks(run), 30)


def test_what_can_never_begin(config: Path, run: RunDir) -> None:
    """A partition that is not there, and more nodes than there are: exit 2, in plain words, and nothing is left."""
    no_partition = call("--headless", config, *TWO_NODES, "--set", "launch.slurm.partition=nowhere")
    assert no_partition.returncode == Exit.USAGE
    assert "refused" in no_partition.stderr
    assert "partition" in no_partition.stderr
    assert not run.root.exists()
    too_many = call("--headless", config, "--set", "launch.launcher=slurm", "--set", "launch.slurm.nodes=4")
    assert too_many.returncode == Exit.USAGE, too_many.stderr
    assert not run.root.exists()
    too_long = call("--headless", config, *TWO_NODES, "--set", "launch.slurm.time=5-0")
    assert too_long.returncode == Exit.USAGE, too_long.stderr
    reason = "more nodes or time than the partition ever has|its time is above the partition's limit"
    assert re.search(reason, too_long.stderr), (
        too_long.stderr
    )  # which of the two depends on who looks at it first
    assert not run.root.exists()
    array = ("--set", 'launch.slurm.array={ "objective.beta" = [0.05, 0.2] }')
    sweep = call("--headless", config, *TWO_NODES, *array, "--set", "launch.slurm.time=5-0")
    assert sweep.returncode == Exit.USAGE, sweep.stderr
    assert list(run.root.parent.iterdir()) == []
    assert slurm_says("squeue", "-h", "-t", "pending") == ""


def test_stop_before_it_begins(config: Path, run: RunDir) -> None:
    """A job that waits is taken out of the queue; and its run can be resumed."""
    slurm_says("scontrol", "update", "partitionname=test", "state=down")
    try:
        assert call("--headless", config, *TWO_NODES, "--detach").returncode == Exit.DONE
        listed = call("runs", "--runs", run.root.parent)
        assert "the partition is down" in listed.stdout
        refused = call("--headless", config, *TWO_NODES, "--resume")
        assert refused.returncode == Exit.USAGE
        assert "running" in refused.stderr
        assert call("stop", run.root, "--wait").returncode == Exit.DONE
        following = start("--headless", config, *TWO_NODES, "--resume")
        until(lambda: slurm_says("squeue", "-h", "-t", "pending"), 30)
        following.send_signal(signal.SIGINT)
        _, said = following.communicate(timeout=30)
        assert (following.returncode, "tiny goes on" in said) == (Exit.INTERRUPTED, True), said
        assert call("stop", run.root, "--wait").returncode == Exit.DONE
    finally:
        slurm_says("scontrol", "update", "partitionname=test", "state=up")
    assert slurm_says("squeue", "-h", "-t", "pending") == ""
    assert call("--headless", config, *TWO_NODES, "--resume").returncode == Exit.DONE


def test_stop_while_it_begins(config: Path, run: RunDir, tmp_path: Path) -> None:
    """Asked for when the job has its nodes and its supervisor is not there yet; a resume does not find it again."""
    setup = tmp_path / "setup.sh"
    setup.write_text("mkdir -p control && touch control/stop\n")
    begun = call("--headless", config, *TWO_NODES, "--set", f"launch.slurm.setup='{setup}'")
    assert begun.returncode == Exit.STOPPED, begun.stderr
    assert "stopped before the training began" in begun.stderr
    setup.write_text("")
    first = job_of(run)
    assert call("--headless", config, "--resume").returncode == Exit.DONE
    assert job_of(run) != first  # a job again, as the run was launched


def test_a_sweep_of_four(config: Path, tmp_path: Path) -> None:
    """Four runs of one array, and a table of what came out, the best first."""
    array = 'launch.slurm.array={ "objective.beta" = [0.05, 0.2], "optimizer.learning_rate" = [1e-5, 1e-3] }'
    on_cpus = (
        "--set",
        "launch.launcher=slurm",
        "--set",
        "launch.slurm.grace=60",
        "--set",
        "export.enabled=false",
    )
    words = ("--headless", config, *on_cpus, "--set", array)
    said = call(*words)
    assert said.returncode == Exit.DONE, said.stderr
    head, *rows = said.stdout.splitlines()
    assert "objective.beta" in head
    assert sorted(row.split()[0] for row in rows) == ["tiny-1", "tiny-2", "tiny-3", "tiny-4"]
    ranked = [tuple(map(float, row.split()[-3:-1])) for row in rows]
    assert ranked == sorted(ranked, reverse=True)
    betas = {name: (tmp_path / "runs" / name / "config.toml").read_text() for name in ("tiny-1", "tiny-4")}
    assert "beta = 0.05" in betas["tiny-1"]
    assert "beta = 0.2" in betas["tiny-4"]
    again = call(*words, "--resume")
    assert again.stdout == said.stdout


def test_xtuners_quick_start(tmp_path: Path) -> None:
    """Its template on a small InternLM2, two nodes under zero2, exported as its authors publish theirs."""
    base = write_internlm2(tmp_path / "internlm2")
    config = recipe(tmp_path, base, write_orpo_rows(tmp_path / "orpo.jsonl"))
    quick = ("train.pairs_per_step=6", "train.max_steps=4", "launch.strategy=zero2", "model.dtype=float32")
    words = [word for key in quick for word in ("--set", key)]
    done = call("--headless", config, *TWO_NODES, *words, "--run", "recipe", "--json")
    assert done.returncode == Exit.DONE, done.stderr
    assert '"step": 4' in done.stdout
    export = tmp_path / "runs" / "recipe" / "export"
    assert (export / "config.json").read_bytes() == (base / "config.json").read_bytes()
    assert "model.tok_embeddings.weight" in load_file(export / "model.safetensors")
