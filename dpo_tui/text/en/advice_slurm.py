"""What to do about jobs of a cluster."""

TEXTS: dict[str, str] = {
    "advice.slurm.mount": "A container sees the folders of the run, its inputs and the cache under their own names.",
    "advice.sweep.too_many": "A sweep is a run for each combination; fewer values in each list make fewer of them.",
    "advice.sweep.exists": "Its runs are beside it, with numbers behind its name.",
    "advice.slurm.no_job": "The supervisor of a Slurm run works inside the job that was sent for it.",
    "advice.slurm.no_srun": (
        "srun starts the training processes on the job's nodes. What modules load and the setup file runs comes "
        "before it; job.log and train.log show what they said."
    ),
    "advice.slurm.no_sbatch": (
        "sbatch sends jobs; it is on the login nodes of a cluster. `dpo-tui doctor` shows what is found here."
    ),
    "advice.slurm.unreachable": (
        "The controller of the cluster is down or busy. Nothing was sent; try again."
    ),
    "advice.slurm.refused": (
        "The words are Slurm's own. `dpo-tui --headless CONFIG --dry-run` shows the script and "
        "tries it without sending."
    ),
    "advice.slurm.never": "Slurm takes such jobs and lets them wait for ever; so it was cancelled.",
    "advice.slurm.not_cancelled": "Use `scancel` with the job's number yourself.",
    "advice.slurm.pending": "Nothing to do but wait. `squeue --start` may tell when it begins.",
    "advice.slurm.unknown": (
        "squeue and sacct are not here or do not answer. What the run says of itself is shown as soon as it begins."
    ),
    "advice.slurm.silent": ("The job may have lost its node. Ask `squeue` on the cluster before you resume."),
    "advice.slurm.cancelled": (
        "What was done since the last checkpoint is lost. Resume sends a new job that goes on from it."
    ),
    "advice.slurm.ended": (
        "train.log and job.log in the run directory have the last words. Resume goes on from the last checkpoint."
    ),
    "advice.slurm.requeued": (
        "Nothing to do: it goes on from this checkpoint as soon as it gets nodes, and ends with the same weights."
    ),
    "advice.slurm.time_up": "launch.slurm.requeue is false. Resume sends another job.",
    "advice.slurm.no_progress": (
        "Loading and one step take longer than the time less the grace. Raise launch.slurm.time."
    ),
    "advice.slurm.not_requeued": "Resume sends another job that goes on from the checkpoint.",
}
