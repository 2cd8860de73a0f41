"""What a resumed run is launched with: what it had, but for the keys of [launch] that the config given names."""

from pathlib import Path
from typing import Any

import pytest

from engine.config.problems import ConfigError
from engine.config.relaunch import relaunched
from engine.config.schema import Config
from engine.rundir.paths import RunDir

JOB = {"launcher": "slurm", "slurm": {"nodes": 2, "gpus_per_node": 4, "partition": "gpu"}}
RUN = RunDir(Path("/runs/mine"))


def config(launch: dict[str, Any]) -> Config:
    values = {"model": {"id": "x"}, "data": {"sources": [{"path": "y"}]}, "train": {"pairs_per_step": 16}}
    return Config.model_validate({**values, "launch": launch})


@pytest.mark.parametrize("launch", [JOB, {"devices": 2, "strategy": "zero2", "offload": "optimizer"}])
def test_a_config_that_says_nothing_of_it_goes_on_as_the_run_was_launched(launch: dict[str, Any]) -> None:
    """It may have been launched by --set, which nobody wrote into the config."""
    own = config(launch)
    assert relaunched(own, config({}), RUN).model_dump() == own.launch.model_dump()


def test_each_key_that_is_named_is_taken_and_the_others_stay() -> None:
    job = relaunched(config(JOB), config({"strategy": "zero3", "slurm": {"nodes": 4}}), RUN)
    assert (job.launcher, job.strategy) == ("slurm", "zero3")
    assert (job.job.nodes, job.job.gpus_per_node, job.job.partition) == (4, 4, "gpu")


def test_another_launcher_is_taken_with_all_that_is_said_of_it() -> None:
    """Devices of this machine mean nothing to a job."""
    launch = relaunched(config({"devices": 4}), config(JOB), RUN)
    assert launch == config(JOB).launch


def test_what_does_not_fit_together_is_named() -> None:
    own = config({"devices": 2, "strategy": "zero2", "offload": "optimizer"})
    with pytest.raises(
        ConfigError, match=r"config\.toml, with the \[launch\] asked for: launch\.offload.*strategy"
    ):
        relaunched(own, config({"strategy": "ddp"}), RUN)
