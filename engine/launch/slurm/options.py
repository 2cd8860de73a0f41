"""What a run's job asks the cluster for: options of sbatch, from the config. Pure.

They stand in the script for people, and on sbatch's command line, where neither a default of the site's nor an
SBATCH_ variable of the shell can change them.
"""

from collections.abc import Iterator

from engine.config.schema import Config

OUTPUT = "job.log"
"""What Slurm itself says of a job: the script's own output goes to the run's log."""


def job_options(config: Config, name: str, tasks: int = 1) -> list[str]:
    """The options of the job of a run of that `name`; of a sweep with that many `tasks`, those of its array."""
    launch, job = config.launch, config.launch.job
    named = {
        "job-name": f"dpo-{name}",
        "partition": job.partition,
        "account": job.account,
        "qos": job.qos,
        "time": job.time,
        "nodes": job.nodes,
        "ntasks-per-node": launch.per_node,
        "cpus-per-task": job.cpus_per_task,
        "mem": job.mem,
        "gpus-per-node": _gpus(job.gpu_type, job.gpus_per_node),
        "constraint": job.constraint,
        "exclude": job.exclude,
        "signal": f"B:USR1@{job.grace}",
        "output": OUTPUT if tasks == 1 else OUTPUT.replace(".", "-%a."),
        "open-mode": "append",
    }
    options = [f"--{name}={value}" for name, value in named.items() if value is not None]
    return [*options, "--requeue" if job.requeue else "--no-requeue", *_array(tasks, job.parallel)]


def _gpus(kind: str | None, count: int) -> str | None:
    if not count:
        return None
    return f"{kind}:{count}" if kind else str(count)


def _array(tasks: int, parallel: int | None) -> Iterator[str]:
    if tasks > 1:
        yield f"--array=0-{tasks - 1}" + (f"%{parallel}" if parallel else "")
