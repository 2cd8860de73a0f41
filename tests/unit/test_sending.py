"""A job sent from the app or the command line: the cluster's first look at it, and what stays of one it refuses."""

from pathlib import Path

import pytest

from dpo_tui import sending
from dpo_tui.headless import launch
from dpo_tui.resuming import resume
from dpo_tui.setting_off import set_off, to_start
from dpo_tui.starting import Prepared, create, prepare
from dpo_tui.sweep import Sweep, prepare_sweep, send
from engine.exits import Exit, UsageError
from engine.launch.local import supervisor_command
from engine.rundir.files import write_json
from engine.rundir.job import read_job
from engine.rundir.paths import RunDir
from tests.fake_slurm import FakeSlurm

SLURM = ("launch.launcher='slurm'",)
ARRAY = 'launch.slurm.array={ "objective.beta" = [0.05, 0.2] }'


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "_LOOK_SECONDS", 0.0)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSlurm:
    return FakeSlurm(tmp_path / "bin", monkeypatch)


def job_of(config: Path) -> Prepared:
    return prepare(config, overrides=SLURM)


def start(prepared: Prepared) -> None:
    set_off(prepared, supervisor_command)


def test_a_job_that_can_begin_is_left_to_the_cluster(tiny_config: Path, slurm: FakeSlurm) -> None:
    """Once the cluster has looked at it: that it waits for its turn is no reason to wait here."""
    slurm.says("PENDING|None", "PENDING|Priority")
    start(prepared := job_of(tiny_config))
    job = read_job(prepared.run.job_json)
    assert job is not None
    assert (job.id, slurm.cancelled, slurm.asked) == ("12", "", 2)


def test_of_a_job_that_will_never_begin_nothing_stays(tiny_config: Path, slurm: FakeSlurm) -> None:
    slurm.says("PENDING|None", "PENDING|PartitionConfig")
    prepared = job_of(tiny_config)
    with pytest.raises(UsageError, match="more nodes or time than the partition ever has") as caught:
        start(prepared)
    assert (caught.value.code, slurm.cancelled) == ("slurm.never", "12")
    assert list(prepared.run.root.parent.iterdir()) == []


def test_of_a_job_that_is_refused_nothing_stays(tiny_config: Path, slurm: FakeSlurm) -> None:
    slurm.refuses("invalid account")
    prepared = job_of(tiny_config)
    with pytest.raises(UsageError, match="the cluster refused the job: invalid account"):
        start(prepared)
    assert list(prepared.run.root.parent.iterdir()) == []


def test_a_run_that_exists_stays_when_its_job_cannot_begin(tiny_config: Path, slurm: FakeSlurm) -> None:
    prepared = job_of(tiny_config)
    create(prepared)
    write_json(prepared.run.run_json, {})
    slurm.says("PENDING|PartitionTimeLimit")
    with pytest.raises(UsageError, match="above the partition's limit"):
        resume(prepared.run.root, supervisor_command)
    assert prepared.run.config.is_file()


def test_nobody_waits_for_a_look_that_nobody_wants(tiny_config: Path, slurm: FakeSlurm) -> None:
    slurm.says("PENDING|None")
    prepared = job_of(tiny_config)
    set_off(prepared, supervisor_command, wanted=lambda: False)
    assert prepared.run.job_json.is_file()
    assert (slurm.cancelled, slurm.asked) == ("", 0)


def test_the_command_line_says_that_it_was_sent_and_takes_it_back(
    tiny_config: Path, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    slurm.says("PENDING|PartitionConfig")
    with pytest.raises(UsageError):
        launch(tiny_config, overrides=SLURM, detach=True)
    assert "job 12 is sent" in capsys.readouterr().err
    assert not (tiny_config.parent / "runs" / "tiny").exists()
    slurm.says("PENDING|Resources")
    assert launch(tiny_config, overrides=SLURM, detach=True) is Exit.DONE
    assert RunDir(tiny_config.parent / "runs" / "tiny").job_json.is_file()


def test_of_a_sweep_that_will_never_begin_nothing_stays(tiny_config: Path, slurm: FakeSlurm) -> None:
    sweep = prepare_sweep(tiny_config, overrides=[*SLURM, ARRAY])
    assert sweep is not None
    slurm.says("PENDING|PartitionConfig")
    with pytest.raises(UsageError, match="It was cancelled"):
        send(sweep)
    assert slurm.cancelled == "12"
    assert list(sweep.folder.parent.iterdir()) == []
    slurm.says("PENDING|Priority")
    send(sweep)
    assert sorted(path.name for path in sweep.folder.parent.iterdir()) == ["tiny", "tiny-1", "tiny-2"]


def test_a_dry_run_of_a_sweep_tells_its_runs_and_what_they_have_in_common(
    tiny_config: Path, slurm: FakeSlurm, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before its runs are there, and when they are to go on."""
    overrides = [*SLURM, ARRAY, "launch.slurm.gpus_per_node=1", "launch.slurm.gpu_type=wonder"]

    def told(*, resume: bool) -> str:
        assert launch(tiny_config, overrides=overrides, dry_run=True, resume=resume) is Exit.DONE
        return capsys.readouterr().out

    new = told(resume=False)
    assert not (tiny_config.parent / "runs").exists()
    assert all(word in new for word in ("tiny-2: objective.beta = 0.2", "--array=0-1", 'name = "tiny"'))
    sweep = to_start(tiny_config, overrides=overrides)
    assert isinstance(sweep, Sweep)
    for prepared in sweep.runs:
        create(prepared)
        write_json(prepared.run.run_json, {})
    assert told(resume=True) == new


@pytest.mark.parametrize(("more", "first"), [((), "tiny"), ((ARRAY,), "tiny-1")])
def test_whatever_a_config_starts_is_set_off_alike(
    more: tuple[str, ...], first: str, tiny_config: Path, slurm: FakeSlurm
) -> None:
    run = set_off(to_start(tiny_config, overrides=[*SLURM, *more]), supervisor_command)
    assert (run.name, run.job_json.is_file(), slurm.asked) == (first, True, 1)
