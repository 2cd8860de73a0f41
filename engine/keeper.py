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

        step = self.index.newest_verified(on_bad)
        if step is not None:
            checkpoint.check_identity(self.index, step, self.identity)
            checkpoint.load(self.index, step, self.trainer.weights)
        earlier = [event["type"] for event in read_events(self.run.events)]
        if step is not None or "step" in earlier:
            events.emit("resume", attempt=earlier.count("resume") + 2, from_step=step or 0)
        return step or 0

    def require_space(self) -> None:
        """Room for those kept, the best one, and the one being written. Raises CannotWriteError."""
        best = 0 if self.trainer.evaluation is None else 1
        checkpoint.require_space(self.index, self.trainer.weights, self.trainer.config.train.keep + best + 1)

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
        if step == 0 or self._saved(step):
            return
        with self.trainer.meter.paused():
            start = time.monotonic()
            self.trainer.events.phase("save", "start")
            path = checkpoint.write(
                self.index,
                self.trainer.weights,
                step=step,
                epoch=self.trainer.plan(step).epoch,
                metrics=self._metrics_of(step),
                identity=self.identity,
            )
            self.index.prune(self.trainer.config.train.keep, verified=step)
            size = sum(file.stat().st_size for file in path.iterdir())
            seconds = round(time.monotonic() - start, 3)
            self.trainer.events.emit(
                "save", step=step, path=str(path), seconds=seconds, bytes=size, verified=True
            )
            self.trainer.events.phase("save", "end")

    def finish(self, step: int) -> None:
        """The last checkpoint, with its metrics even where the run was stopped before it had them."""
        if not (self._saved(step) and (self.trainer.evaluation is None or self.index.manifest(step).metrics)):
            self.evaluate(step)
            self.save(step)

    def _saved(self, step: int) -> bool:
        """Whether `step` has a good checkpoint that lacks nothing that is known now."""
        if self.index.verify(step) is not None:
            return False
        return not self._metrics_of(step) or bool(self.index.manifest(step).metrics)

    def _metrics_of(self, step: int) -> dict[str, float]:
        if self._evaluated != step:
            return {}
        return {f"eval_{name}": value for name, value in self._metrics.items()}
