"""Evaluation results and checkpoints: what a run keeps of itself, and how it takes up where it stopped."""

import time

from engine import checkpoint
from engine.checkpoint import Identity
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import read_events
from engine.rundir.paths import RunDir
from engine.trainer import Trainer


class Keeper:
    """Evaluates, saves and restores the training of one run."""

    def __init__(self, trainer: Trainer, run: RunDir, identity: Identity) -> None:
        self.trainer = trainer
        self.run = run
        self.index = CheckpointIndex(run.checkpoints_dir)
        self.identity = identity
        self._evaluated = -1
        self._metrics: dict[str, float] = {}

    def resume(self) -> int:
        """Restore the newest checkpoint that verifies; returns its step, 0 for a fresh start."""
        events = self.trainer.events

        def on_bad(step: int, problem: str) -> None:
            text = f"checkpoint of step {step} is not used: {problem}"
            events.warning("checkpoint.bad", text, step=step, problem=problem)

        leads = self.trainer.processes.leads
        step = self.trainer.processes.share(self.index.newest_verified(on_bad) if leads else None)
        if step is not None:
            checkpoint.check_identity(self.index, step, self.identity)
            self._tell_of_other_devices(self.index.manifest(step).world_size)
            checkpoint.load(self.index, step, self.trainer.strategy)
        earlier = [event["type"] for event in read_events(self.run.events)]
        if step is not None or "step" in earlier:
            events.emit("resume", attempt=earlier.count("resume") + 2, from_step=step or 0)
        return step or 0

    def _tell_of_other_devices(self, before: int) -> None:
        """The same steps on the same pairs, but sums are rounded in another order: no longer bit for bit."""
        now = self.trainer.processes.world
        if before != now:
            text = (
                f"this run goes on with {now} training processes, and its checkpoint was written by {before}"
            )
            self.trainer.events.warning("resume.devices", text, before=before, now=now)

    def require_space(self) -> None:
        """Room for those kept, the best one, and the one being written. Raises CannotWriteError."""
        best = 0 if self.trainer.evaluation is None else 1
        if self.trainer.processes.leads:
            kept = self.trainer.config.train.keep + best + 1
            checkpoint.require_space(self.index, self.trainer.strategy.size, kept)

    def evaluate(self, step: int) -> None:
        """Evaluate once at `step`, if there are pairs for it."""
        if self.trainer.evaluation is None or self._evaluated == step:
            return
        with self.trainer.meter.paused():
            self.trainer.events.phase("eval", "start")
            meter = self.trainer.evaluate()
            self._metrics = meter.means()
            self._evaluated = step
            self.trainer.events.emit("eval", step=step, **self._metrics, **meter.by_source())
            self.trainer.events.phase("eval", "end")

    def save(self, step: int) -> None:
        """Checkpoint `step`, announce it and prune older ones; nothing to do for step 0 or where it is saved."""
        if step == 0 or self._complete(step):
            return
        with self.trainer.meter.paused():
            start = time.monotonic()
            self.trainer.events.phase("save", "start")
            path = checkpoint.write(
                self.index,
                self.trainer.strategy,
                self.trainer.processes,
                step=step,
                epoch=self.trainer.plan(step).epoch,
                metrics=self._metrics_of(step),
                identity=self.identity,
            )
            if self.trainer.processes.leads:
                self.index.prune(self.trainer.config.train.keep, verified=step)
                size = sum(file.stat().st_size for file in path.iterdir())
                seconds = round(time.monotonic() - start, 3)
                told = {"step": step, "path": str(path), "seconds": seconds, "bytes": size}
                self.trainer.events.emit("save", **told, verified=True)
            self.trainer.events.phase("save", "end")

    def finish(self, step: int) -> None:
        """The last checkpoint, with its metrics even where the run was stopped before it had them."""
        processes = self.trainer.processes
        if not processes.share(processes.leads and self._finished(step)):
            self.evaluate(step)
            self.save(step)

    def _finished(self, step: int) -> bool:
        return self._saved(step) and (
            self.trainer.evaluation is None or bool(self.index.manifest(step).metrics)
        )

    def _complete(self, step: int) -> bool:
        """`_saved`, as rank 0 sees it: it reads all of a checkpoint, and only one has to."""
        processes = self.trainer.processes
        return processes.share(processes.leads and self._saved(step))

    def _saved(self, step: int) -> bool:
        """Whether `step` has a good checkpoint that lacks nothing that is known now."""
        if self.index.verify(step) is not None:
            return False
        return not self._metrics_of(step) or bool(self.index.manifest(step).metrics)

    def _metrics_of(self, step: int) -> dict[str, float]:
        if self._evaluated != step:
            return {}
        return {f"eval_{name}": value for name, value in self._metrics.items()}
