"""What is known of the memory that a job's processes will have, in a sentence."""

from dpo_tui.quantities import gibibytes
from dpo_tui.text import t
from engine.launch.slurm.device import JobDevice


def known_of(job: JobDevice) -> str:
    """The GPU and its sizes, or that they are not known."""
    sizes = t("slurm.memory.or").join(map(gibibytes, job.sizes))
    case = "unknown" if not job.sizes else "several" if len(job.sizes) > 1 else "one"
    return t(f"slurm.memory.{_subject(job)}.{case}", gpu=job.kind, sizes=sizes)


def key_of(job: JobDevice) -> str:
    """The key of the config that says more."""
    return "launch.slurm.mem" if job.device == "cpu" else "launch.slurm.gpu_type"


def _subject(job: JobDevice) -> str:
    if job.device == "cpu":
        return "node"
    return "gpu" if job.kind else "some_gpu"
