"""A training process from its first line to its exit code. Read `run` top to bottom: it is the product."""

import gc
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import torch

from engine.build import build
from engine.checkpoint import Identity
from engine.choices import kept_choice
from engine.config.load import config_digest, load_config
from engine.config.schema import Config
from engine.data.prepare import prepare
from engine.data.prepared.prepared_set import Prepared
from engine.exits import EngineError, Exit, NonFiniteError, StopRequested
from engine.export.export import export
from engine.export.folder import export_folder, require_target
from engine.export.stages import counted
from engine.export.tokenizer import note_tokenizer
from engine.extras import require_extras
from engine.filling import fill_references, require_zero_margin
from engine.gates import pass_gates, require_eval_pairs, require_few_dropped
from engine.keeper import Keeper
from engine.memory import gib
from engine.meter import progress_of
from engine.mix import mix_of, require_step
from engine.models.hub import require_login, require_repo_id
from engine.models.load import LoadedModel, load_tokenizer
from engine.models.quiet import quiet_libraries
from engine.numerics import device_has_bf16, numerics
from engine.parallel.processes import Processes
from engine.pins import pinned
from engine.precision import computing_type
from engine.reference import ReferenceCache, cache_folder
from engine.rundir.control import Control
from engine.rundir.events import EventWriter, NoEvents, read_events
from engine.rundir.paths import RunDir
from engine.sanitize import visible
from engine.trainer import Trainer, due

OUT_OF_MEMORY = (MemoryError, torch.OutOfMemoryError)
YIELD_SECONDS = 1.0
"""How long a process among several that failed unforeseen lets others go first: the one that ended is why its own
exchange with it broke, and the supervisor, who hears of that one first, ends this one meanwhile."""


def main(root: Path) -> Exit:
    """Train the run in `root`; every way it can end becomes an `end` event of rank 0, and an exit code."""
    quiet_libraries()
    with EventWriter(RunDir(root).events) if rank() == 0 else NoEvents() as events:
        try:
            run(RunDir(root), events)
        except EngineError as error:
            print(visible(error.text), file=sys.stderr)
            events.end(error.exit, error.code, error.text, **error.params)
            return error.exit
        except OUT_OF_MEMORY as error:
            traceback.print_exc()
            text, params = out_of_memory(RunDir(root), error)
            events.end(Exit.TRAINING_FAILED, "train.out_of_memory", text, **params)
            return Exit.TRAINING_FAILED
        except Exception as error:
            traceback.print_exc()
            if "WORLD_SIZE" in os.environ:
                time.sleep(YIELD_SECONDS)
            text = f"{type(error).__name__}: {error}. The traceback is in train.log"
            events.end(Exit.TRAINING_FAILED, "train.crashed", text, detail=f"{type(error).__name__}: {error}")
            return Exit.TRAINING_FAILED
        events.end(Exit.DONE, "run.done", "all steps are trained")
        return Exit.DONE


def rank() -> int:
    """This process's number among those of the run, before it has met them."""
    return int(os.environ.get("RANK", "0"))


def out_of_memory(run: RunDir, error: Exception) -> tuple[str, dict[str, Any]]:
    """That the memory did not suffice and, where it was foreseen, what the most of it is for."""
    params: dict[str, Any] = {"detail": str(error)}
    text = f"out of memory: {error}. "
    told = [event for event in read_events(run.events) if event["type"] == "memory"]
    if told:
        largest = told[-1]["largest"]
        params |= {"largest": largest, "of": gib(told[-1][largest]), "case": "known"}
        text += f"The most of it, {params['of']} GiB, is for {largest}. "
    return text + "Lower train.tokens_per_pack, or set train.gradient_checkpointing = true", params


def run(run: RunDir, events: EventWriter) -> None:
    """Data, model, reference, training, export: each phase starts when all before it has proved sound."""
    asked = load_config(run.config).config
    require_extras(asked)
    control = Control(run.control_dir)
    if asked.export.enabled:
        require_exportable(run, asked)
    processes = Processes()
    processes.require(asked.launch.world)
    with processes.first():
        config = with_computing_type(pinned(asked, run), run, events)
        prepared = prepare_data(run, config, events, control)
    trainer, loaded = build(run, config, prepared, processes, events, control)

    cache = references(trainer, loaded)
    identity = Identity(
        config_digest=config_digest(asked),
        data_digest=prepared.train.digest(),
        model_digest=loaded.fingerprint,
        world_size=processes.world,
    )
    keeper = Keeper(trainer, run, identity)
    start = keeper.resume()
    if start == 0:
        require_zero_margin(trainer, cache)
    train(trainer, keeper, start)
    processes.close()
    if not processes.leads:
        return
    pass_gates(run, config, events)

    del trainer, keeper, loaded
    gc.collect()
    if config.export.enabled:
        export_model(run, asked, events)


def with_computing_type(config: Config, run: RunDir, events: EventWriter) -> Config:
    """`config` with a type where it says auto, for a resumed run that of its start; a slow one is warned of."""
    fast, asked = device_has_bf16(), config.model.dtype
    chosen: str = asked
    if asked == "auto":
        chosen = kept_choice(run, "dtype", str, lambda: computing_type("auto", fast_bf16=fast))
    if not fast and asked != "float32":
        case = "slow" if chosen == "bfloat16" else ""
        text = "this processor has no instructions for bfloat16: "
        text += (
            'it computes in it many times as slowly as in float32. Set model.dtype = "auto", or "float32"'
            if case
            else "the model computes in float32"
        )
        events.warning("model.float32", text, case=case)
    return config.model_copy(update={"model": config.model.model_copy(update={"dtype": chosen})})


def require_exportable(run: RunDir, config: Config) -> None:
    """Raise now what would otherwise be found when all is trained: UsageError or HubError."""
    require_target(export_folder(run, config))
    if repo := config.export.push:
        require_repo_id(repo)
        require_login(repo)


def prepare_data(run: RunDir, config: Config, events: EventWriter, control: Control) -> Prepared:
    """Tokenised pairs on disk, and the report on them as an event, before any weight is read."""
    events.phase("tokenize", "start")
    tokenizer = load_tokenizer(config.model)
    prepared = prepare(
        config,
        tokenizer,
        run.data_dir,
        progress_of(events, "tokenize"),
        control.stop_requested,
    )
    events.emit("data", report=prepared.report.to_json())
    for notice in prepared.report.warnings():
        events.warning(notice.code, notice.text, **notice.params)
    print(prepared.report.render(), flush=True)
    report = prepared.report
    require_few_dropped(config.gates, report.lost_count, report.rows - report.excluded_count)
    require_eval_pairs(config.gates, prepared.report.eval)
    require_step(mix_of(config, prepared.train.sources()), config.train.pairs_per_step)
    if rank() == 0:
        note_tokenizer(run, config, tokenizer)
    events.phase("tokenize", "end")
    return prepared


def references(trainer: Trainer, loaded: LoadedModel) -> ReferenceCache:
    """Reference log-probabilities of every pair to be visited, while the weights are still the reference's."""
    policy = trainer.policy
    cache = ReferenceCache(cache_folder(loaded.fingerprint, numerics(policy.base.dtype, policy.numerics)))
    trainer.events.phase("reference", "start")
    if trainer.processes.leads:
        cache.load()
    fill_references(trainer, cache)
    trainer.events.phase("reference", "end")
    return cache


def train(trainer: Trainer, keeper: Keeper, start: int) -> None:
    """Steps `start + 1` to the last, with what is due after each; a stop, a NaN or a full memory saves the last one."""
    settings, last, done = trainer.config.train, trainer.schedule.total_steps, start
    if start < last:
        keeper.require_space()
    trainer.events.phase("train", "start", start, last)
    trainer.meter.start()
    try:
        for step in range(start + 1, last + 1):
            plan = trainer.plan(step)
            stats = trainer.step(plan)
            done = step
            if trainer.is_logged(step) or trainer.stop_requested():
                trainer.emit_step(plan, stats)
            if due(step, settings.eval_every):
                keeper.evaluate(step)
            if trainer.checkpoint_requested() or due(step, settings.save_every):
                keeper.evaluate(step)
                keeper.save(step)
        keeper.finish(last)
    except StopRequested as stop:
        keeper.save(done)
        text = f"stopped after step {done} of {last}; its checkpoint is saved" if done else stop.text
        case = "saved" if done else ""
        raise StopRequested("run.stopped", text, step=done, total=last, case=case) from stop
    except NonFiniteError:
        keeper.save(done)
        raise
    except OUT_OF_MEMORY:
        if trainer.processes.world == 1:  # else the others wait for this one in the middle of a step
            keeper.save(done)
        raise
    trainer.events.phase("train", "end", last, last)


def export_model(run: RunDir, config: Config, events: EventWriter) -> None:
    """The Hugging Face model the config asks for; a failure here leaves the training as it is, to be exported again."""
    settings = config.export
    events.phase("export", "start")
    exported = export(
        run,
        checkpoint=settings.checkpoint,
        to=export_folder(run, config),
        dtype=settings.dtype,
        adapter=settings.adapter,
        push=settings.push,
        private=settings.private,
        verify=settings.verify,
        tell=counted(progress_of(events, "export")),
    )
    for notice in exported.notices:
        events.warning(notice.code, notice.text, **notice.params)
    events.emit("export", push=settings.push, **exported.to_json())
    events.phase("export", "end")
