"""The script that sbatch is given: what to ask for, what to set up, and the run's supervisor in its place."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from huggingface_hub import constants
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from engine.config.schema import Config
from engine.launch.local import ENGINE, supervisor_environment
from engine.launch.slurm.options import job_options
from engine.rundir.paths import RunDir
from engine.shipped import template_dir

TEMPLATE = "job.sbatch.j2"


def job_script(config: Config, runs: Sequence[RunDir], at: Path) -> str:
    """The script of one run, or of a sweep's `runs` as an array; `at` is where it will lie.

    Every value that is not one of the patterns of `engine.config.slurm` is quoted for the shell.
    """
    environment = Environment(
        loader=FileSystemLoader(template_dir()),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 # a script, no page; its values are quoted for the shell
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["quote"] = shlex.quote
    job = config.launch.job
    return environment.get_template(TEMPLATE).render(
        options=job_options(config, job_name(runs, at), len(runs)),
        command=shlex.join(["sbatch", f"--chdir={at.parent}", at.name]),
        config=shlex.quote(str(runs[0].config)),
        runs=[str(run.root) for run in runs],
        modules=job.modules or [],
        setup=job.setup,
        environment=job_environment(config),
        supervisor=shlex.join([*ENGINE, "run"]),
    )


def job_name(runs: Sequence[RunDir], at: Path) -> str:
    """The run's name; a sweep's is that of its script's folder. A folder may have been given any name since."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", runs[0].name if len(runs) == 1 else at.parent.name)


def job_environment(config: Config) -> Mapping[str, str]:
    """What the script sets for the supervisor and the ranks: quiet output, and caches that all nodes see."""
    cache = config.launch.job.cache
    if cache is None:
        return supervisor_environment({})
    places = {
        "XDG_CACHE_HOME": cache,
        "HF_HOME": f"{cache}/huggingface",
        "HF_TOKEN_PATH": constants.HF_TOKEN_PATH,  # a path, no secret: the login stays in the sender's own HF_HOME
    }
    return {**supervisor_environment({}), **places}
