"""Sending a run to the cluster: its script into its directory, the job's id beside it."""

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from engine.config.schema import Config
from engine.config.strings import holds_token
from engine.exits import EngineError, EnvironmentUnfitError, UsageError
from engine.launch.slurm.command import call
from engine.launch.slurm.options import job_options
from engine.launch.slurm.script import job_name, job_script
from engine.launch.slurm.step import step_command
from engine.rundir.control import Control
from engine.rundir.files import write_whole
from engine.rundir.job import write_job
from engine.rundir.paths import RunDir

_TIMEOUT = 120.0
_LOOK_TIMEOUT = 20.0
_SECRET = re.compile(
    r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY", re.IGNORECASE
)
_OF_A_JOB = re.compile(r"SLURM_(?!CONF|CLUSTERS|TIME_FORMAT)")
"""Slurm's variables, less those that are of a cluster or of a person."""
_BUSY = re.compile(
    r"Unable to contact|timed out|Connection refused|Resource temporarily|slurm_load|controller|configuration source"
)


def submit(
    config: Config, runs: Sequence[RunDir], at: Path, environment: Mapping[str, str] = os.environ
) -> str:
    """Write the script of a run, or of a sweep's `runs`, to `at`, and send it; returns the job's id.

    Each run is told its job. Raises UsageError for a job that the cluster refuses, EnvironmentUnfitError where
    there is no cluster or it does not answer, and CannotWriteError.
    """
    for run in runs:
        step_command(run, config)  # what cannot be started is said here, not by a job that waited for hours
        Control(
            run.control_dir
        ).clear()  # of an attempt before: what is asked from here on is asked of this job
    write_whole(at, job_script(config, runs, at).encode())
    said = _sbatch(["--parsable", *_options(config, runs, at)], environment)
    id_, _, cluster = said.strip().splitlines()[-1].partition(";")
    for index, run in enumerate(runs):
        task = id_ if len(runs) == 1 else f"{id_}_{index}"
        write_job(run.job_json, task, cluster or None, at)
    return id_


def try_submission(config: Config, runs: Sequence[RunDir]) -> str:
    """What the cluster says to such a job, without sending it: sbatch --test-only. Raises as `submit`."""
    with tempfile.TemporaryDirectory(prefix="dpo-tui-") as folder:
        at = Path(folder) / "job.sbatch"
        at.write_text(job_script(config, runs, at), encoding="utf-8")
        return _sbatch(["--test-only", *_options(config, runs, at)], os.environ, _LOOK_TIMEOUT).strip()


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment a job may get: Slurm keeps it, where its operators and a debugger's output can show it.

    Without the numbers of a job that this is sent from: the new one would take some of them for its own.
    """
    return {
        name: value
        for name, value in environment.items()
        if not (_SECRET.search(name) or _OF_A_JOB.match(name) or holds_token(value))
    }


def _options(config: Config, runs: Sequence[RunDir], at: Path) -> list[str]:
    return [
        *job_options(config, job_name(runs, at), len(runs)),
        f"--chdir={at.parent}",
        "--export=ALL",
        str(at),
    ]


def _sbatch(words: Sequence[str], environment: Mapping[str, str], patience: float = _TIMEOUT) -> str:
    try:
        answer = call(["sbatch", *words], patience, without_secrets(environment))
    except FileNotFoundError as error:
        text = (
            "there is no sbatch here, and launch.launcher is 'slurm': run this on a login node of the cluster, "
            "or load the module that has it"
        )
        raise EnvironmentUnfitError("slurm.no_sbatch", text) from error
    except OSError as error:
        raise _unreachable(str(error)) from error
    if answer.code == 0:
        return answer.out or answer.err
    raise _unreachable(answer.refusal) if _BUSY.search(answer.refusal) else _refused(answer.refusal)


def _unreachable(detail: str) -> EngineError:
    text = f"the cluster did not answer: {detail}. Try again, or ask `sinfo` how it is"
    return EnvironmentUnfitError("slurm.unreachable", text, detail=detail)


def _refused(detail: str) -> EngineError:
    text = f"the cluster refused the job: {detail}. `sinfo` lists its partitions; correct [launch.slurm]"
    return UsageError("slurm.refused", text, detail=detail)
