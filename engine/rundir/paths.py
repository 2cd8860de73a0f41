"""The layout of a run directory: the only thing the app, the supervisor and the ranks share."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class RunDir:
    """A run's directory by its absolute `root`; every file of a run is named here and nowhere else."""

    root: Path

    @property
    def name(self) -> str:
        """The run's name: its directory's."""
        return self.root.name

    @property
    def config(self) -> Path:
        """The resolved config, with absolute paths: what a resume reads."""
        return self.root / "config.toml"

    @property
    def revisions_json(self) -> Path:
        """The commits its hub revisions stood for when it first started."""
        return self.root / "revisions.json"

    @property
    def choices_json(self) -> Path:
        """What was chosen at its first start, where the config leaves that to the machine."""
        return self.root / "choices.json"

    @property
    def encoding_json(self) -> Path:
        """Hashes of the tokenizer and the chat template that its pairs were written with."""
        return self.root / "encoding.json"

    @property
    def run_json(self) -> Path:
        """Who runs it: `RunRecord`."""
        return self.root / "run.json"

    @property
    def status_json(self) -> Path:
        """How it stands: `Status`, written by the supervisor alone."""
        return self.root / "status.json"

    @property
    def summary_json(self) -> Path:
        """What came out of it, written when it ends."""
        return self.root / "summary.json"

    @property
    def events(self) -> Path:
        """One JSON object a line, written by rank 0 alone."""
        return self.root / "events.jsonl"

    @property
    def job_json(self) -> Path:
        """The job that was last sent to a cluster for it: `JobRecord`."""
        return self.root / "job.json"

    @property
    def job_script(self) -> Path:
        """What that job runs."""
        return self.root / "job.sbatch"

    @property
    def train_log(self) -> Path:
        """Stdout and stderr of the supervisor and of rank 0."""
        return self.root / "train.log"

    @property
    def ranks_dir(self) -> Path:
        """Logs of the other ranks."""
        return self.root / "ranks"

    @property
    def control_dir(self) -> Path:
        """Requests to the run: see `Control`."""
        return self.root / "control"

    @property
    def checkpoints_dir(self) -> Path:
        """Checkpoints: see `CheckpointIndex`."""
        return self.root / "checkpoints"

    @property
    def data_dir(self) -> Path:
        """Tokenised pairs and their report."""
        return self.root / "data"

    @property
    def export_dir(self) -> Path:
        """The exported model, unless the config names another folder."""
        return self.root / "export"

    @property
    def export_events(self) -> Path:
        """What the latest export that was asked for is doing, or did: events like the run's."""
        return self.root / "export.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the supervisor as long as it lives: see `RunLock`."""
        return self.root / "lock"

    def rank_exit(self, rank: int) -> Path:
        """How a rank of a job ended, which its supervisor on another machine cannot see."""
        return self.ranks_dir / f"rank-{rank}.exit"

    def rank_log(self, rank: int) -> Path:
        """Stdout and stderr of one rank; rank 0 shares `train_log` with the supervisor."""
        return self.train_log if rank == 0 else self.ranks_dir / f"rank-{rank}.log"
