"""A training process from its first line to its exit code. Read `run` top to bottom: it is the product."""

import gc
import sys
import traceback
from pathlib import Path

import torch

from engine import checkpoint
from engine.checkpoint import Identity
from engine.config.load import config_digest, load_config
from engine.config.schema import Config
from engine.data.prepare import Prepared, prepare
from engine.distributed import make_accelerator, numerics
from engine.exits import EngineError, Exit, StopRequested
from engine.export.export import export
from engine.meter import progress_of
from engine.models.adapters import add_lora
from engine.models.load import LoadedModel, load_model, load_tokenizer
from engine.models.weights import trained_tensors
from engine.optimizer import MasterWeights, split_precision
from engine.policy import Policy, choose_mode
from engine.reference import ReferenceCache, cache_folder
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.control import Control
from engine.rundir.events import EventWriter, read_events
from engine.rundir.paths import RunDir
from engine.sanitize import visible
from engine.trainer import PairSet, Trainer

DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def main(root: Path) -> Exit:
    """Train the run in `root`; every way it can end becomes an `end` event and an exit code."""
    with EventWriter(RunDir(root).events) as events:
        try:
            run(RunDir(root), events)
        except EngineError as error:
            print(visible(error.text), file=sys.stderr)
            events.end(error.exit, error.code, error.text, **error.params)
            return error.exit
        except (MemoryError, torch.OutOfMemoryError) as error:
            traceback.print_exc()
            text = f"out of memory: {error}. Lower train.tokens_per_pack, or set train.gradient_checkpointing = true"
            events.end(Exit.TRAINING_FAILED, "train.out_of_memory", text)
            return Exit.TRAINING_FAILED
        except Exception as error:
            traceback.print_exc()
            text = f"{type(error).__name__}: {error}. The traceback is in train.log"
            events.end(Exit.TRAINING_FAILED, "train.crashed", text)
            return Exit.TRAINING_FAILED
        events.end(Exit.DONE, "run.done", "all steps are trained")
        return Exit.DONE


def run(run: RunDir, events: EventWriter) -> None:
    """Data, model, reference, training, export: each phase starts when all before it has proved sound."""
    config = load_config(run.config).config
    control = Control(run.control_dir)
    prepared = prepare_data(run, config, events, control)
    trainer, loaded = build(config, prepared, events, control)
    checkpoint.require_space(run.root, trainer.weights, config.train.keep)

    cache = fill_references(trainer, loaded)
    identity = Identity(
        config_digest=config_digest(config),
        data_digest=prepared.train.digest(),
        model_digest=loaded.fingerprint,
        world_size=trainer.accelerator.num_processes,
    )
    keeper = Keeper(trainer, run, identity)
    start = keeper.resume()
    if start == 0:
        trainer.require_zero_margin(cache)
    train(trainer, keeper, start)

    del trainer, keeper, loaded
    gc.collect()
    if config.export.enabled:
        export_model(run, config, events)


def prepare_data(run: RunDir, config: Config, events: EventWriter, control: Control) -> Prepared:
    """Tokenised pairs on disk, and the report on them as an event, before any weight is read."""
    events.phase("tokenize", "start")
    prepared = prepare(
        config,
        load_tokenizer(config.model),
        run.data_dir,
        progress_of(events, "tokenize"),
        control.stop_requested,
    )
    events.emit("data", report=prepared.report.to_json())
    for notice in prepared.report.warnings():
        events.warning(notice.code, notice.text, **notice.params)
    print(prepared.report.render(), flush=True)
    events.phase("tokenize", "end")
    return prepared


def build(
    config: Config, prepared: Prepared, events: EventWriter, control: Control
) -> tuple[Trainer, LoadedModel]:
    """The model with its fp32 weights, in the fastest mode that is exact for it, ready to train."""
    accelerator = make_accelerator(config.launch.devices)
    events.phase("download", "start")
    loaded = load_model(config.model)
    events.phase("download", "end")
    lora = config.model.lora
    model = loaded.model if lora is None else add_lora(loaded.model, lora, config.run.seed)
    model.to(accelerator.device)
    trained = trained_tensors(model)
    masters = split_precision(model, trained, DTYPES[config.model.dtype])
    if config.train.gradient_checkpointing:
        loaded.model.gradient_checkpointing_enable({"use_reentrant": False})
    policy = Policy(model)
    dropout = lora is not None and lora.dropout > 0
    choice = choose_mode(policy, prepared.train[0], config.train.share_prompt, dropout)
    policy.use_mode(choice.mode)
    if choice.reason:
        events.warning("policy.mode", choice.reason, mode=choice.mode)
    weights = MasterWeights(trained, masters, config.optimizer)
    train_set = PairSet.of(prepared.train, policy.shares_prefix)
    eval_set = PairSet.of(prepared.eval, policy.shares_prefix) if prepared.eval else None
    return Trainer(config, policy, weights, accelerator, train_set, eval_set, events, control), loaded


def fill_references(trainer: Trainer, loaded: LoadedModel) -> ReferenceCache:
    """Reference log-probabilities of every pair to be visited, while the weights are still the reference's."""
    policy = trainer.policy
    cache = ReferenceCache(cache_folder(loaded.fingerprint, numerics(policy.base.dtype, policy.mode)))
    trainer.events.phase("reference", "start")
    cache.load()
    trainer.fill_references(cache)
    trainer.events.phase("reference", "end")
    return cache


def train(trainer: Trainer, keeper: "Keeper", start: int) -> None:
    """Steps `start + 1` to the last, with what is due after each."""
    settings, last = trainer.config.train, trainer.schedule.total_steps
    trainer.events.phase("train", "start", start, last)
    trainer.meter.start()
    done = start
    try:
        for step in range(start + 1, last + 1):
            plan = trainer.plan(step)
            stats = trainer.step(plan)
            done = step
            if due(step, settings.log_every) or step == last:
                trainer.events.emit(
                    "step", step=step, epoch=round(plan.epoch, 6), **trainer.meter.report(), **stats
                )
            if due(step, settings.eval_every):
                keeper.evaluate(step)
            if due(step, settings.save_every) or step == last or trainer.control.take_checkpoint_request():
                keeper.evaluate(step)
                keeper.save(step)
    except StopRequested as stop:
        keeper.save(done)
        text = f"stopped after step {done} of {last}; its checkpoint is saved" if done else stop.text
        raise StopRequested("run.stopped", text, step=done, total=last) from stop
    trainer.events.phase("train", "end", last, last)


def due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0


class Keeper:
    """Evaluation results and checkpoints: what a run keeps of itself."""

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
            events.warning("checkpoint.bad", f"checkpoint of step {step} is not used: {problem}", step=step)

        step = self.index.newest_verified(on_bad)
        if step is not None:
            checkpoint.check_identity(self.index, step, self.identity)
            checkpoint.load(self.index, step, self.trainer.weights)
        earlier = [event["type"] for event in read_events(self.run.events)]
        if step is not None or "step" in earlier:
            events.emit("resume", attempt=earlier.count("resume") + 2, from_step=step or 0)
        return step or 0

    def evaluate(self, step: int) -> None:
        """Evaluate once at `step`, if there are pairs for it."""
        if self.trainer.evaluation is None or self._evaluated == step:
            return
        self.trainer.events.phase("eval", "start")
        self._metrics = self.trainer.evaluate()
        self._evaluated = step
        self.trainer.events.emit("eval", step=step, **self._metrics)
        self.trainer.events.phase("eval", "end")

    def save(self, step: int) -> None:
        """Checkpoint `step`, unless there is nothing to save or it is saved already and good."""
        if step == 0 or self.index.verify(step) is None:
            return
        metrics = (
            {f"eval_{name}": value for name, value in self._metrics.items()}
            if self._evaluated == step
            else {}
        )
        checkpoint.save(
            self.index,
            self.trainer.weights,
            self.trainer.events,
            step=step,
            epoch=self.trainer.plan(step).epoch,
            metrics=metrics,
            identity=self.identity,
            keep=self.trainer.config.train.keep,
        )


def export_model(run: RunDir, config: Config, events: EventWriter) -> None:
    """The Hugging Face model the config asks for; a failure here leaves the training as it is, to be exported again."""
    settings = config.export
    events.phase("export", "start")
    path = export(
        run,
        checkpoint=settings.checkpoint,
        to=Path(settings.to) if settings.to else None,
        dtype=settings.dtype,
        adapter=settings.adapter,
        push=settings.push,
        private=settings.private,
        progress=progress_of(events, "export"),
    )
    events.emit("export", path=str(path), push=settings.push)
    events.phase("export", "end")
