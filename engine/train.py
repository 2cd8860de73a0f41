"""A training process from its first line to its exit code. Read `run` top to bottom: it is the product."""

import gc
import sys
import traceback
from pathlib import Path

import torch

from engine.attention import native_problem
from engine.checkpoint import Identity
from engine.compiled import compile_policy, wanted
from engine.config.load import config_digest, load_config
from engine.config.schema import Config
from engine.data.prepare import prepare
from engine.data.prepared.pairs import Pair
from engine.data.prepared.prepared_set import Prepared
from engine.distributed import make_accelerator, numerics
from engine.exits import EngineError, Exit, NonFiniteError, StopRequested, UnusableError
from engine.export.export import export
from engine.export.folder import export_folder, require_target
from engine.export.stages import counted
from engine.export.tokenizer import note_tokenizer
from engine.gates import pass_gates, require_eval_pairs, require_few_dropped
from engine.keeper import Keeper
from engine.meter import progress_of
from engine.mix import mix_of, require_step
from engine.models.adapters import add_lora
from engine.models.hub import require_login, require_repo_id
from engine.models.load import LoadedModel, load_model, load_tokenizer
from engine.models.quiet import quiet_libraries
from engine.models.weights import trained_tensors
from engine.optimizer import MasterWeights, split_precision
from engine.pins import pinned
from engine.policy import Policy, choose_mode
from engine.reference import ReferenceCache, cache_folder
from engine.rounding import DTYPES
from engine.rundir.control import Control
from engine.rundir.events import EventWriter
from engine.rundir.paths import RunDir
from engine.sanitize import visible
from engine.trainer import PairSet, Trainer

OUT_OF_MEMORY = (MemoryError, torch.OutOfMemoryError)


def main(root: Path) -> Exit:
    """Train the run in `root`; every way it can end becomes an `end` event and an exit code."""
    quiet_libraries()
    with EventWriter(RunDir(root).events) as events:
        try:
            run(RunDir(root), events)
        except EngineError as error:
            print(visible(error.text), file=sys.stderr)
            events.end(error.exit, error.code, error.text, **error.params)
            return error.exit
        except OUT_OF_MEMORY as error:
            traceback.print_exc()
            text = f"out of memory: {error}. Lower train.tokens_per_pack, or set train.gradient_checkpointing = true"
            events.end(Exit.TRAINING_FAILED, "train.out_of_memory", text, detail=str(error))
            return Exit.TRAINING_FAILED
        except Exception as error:
            traceback.print_exc()
            text = f"{type(error).__name__}: {error}. The traceback is in train.log"
            events.end(Exit.TRAINING_FAILED, "train.crashed", text, detail=f"{type(error).__name__}: {error}")
            return Exit.TRAINING_FAILED
        events.end(Exit.DONE, "run.done", "all steps are trained")
        return Exit.DONE


def run(run: RunDir, events: EventWriter) -> None:
    """Data, model, reference, training, export: each phase starts when all before it has proved sound."""
    asked = load_config(run.config).config
    control = Control(run.control_dir)
    if asked.export.enabled:
        require_exportable(run, asked)
    config = pinned(asked, run)
    prepared = prepare_data(run, config, events, control)
    trainer, loaded = build(config, prepared, events, control)

    cache = fill_references(trainer, loaded)
    identity = Identity(
        config_digest=config_digest(asked),
        data_digest=prepared.train.digest(),
        model_digest=loaded.fingerprint,
        world_size=trainer.accelerator.num_processes,
    )
    keeper = Keeper(trainer, run, identity)
    start = keeper.resume()
    if start == 0:
        trainer.require_zero_margin(cache)
    train(trainer, keeper, start)
    pass_gates(run, config, events)

    del trainer, keeper, loaded
    gc.collect()
    if config.export.enabled:
        export_model(run, config, events)


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
    require_few_dropped(config.gates, prepared.report.dropped_count, prepared.report.rows)
    require_eval_pairs(config.gates, prepared.report.eval)
    require_step(mix_of(config, prepared.train.sources()), config.train.pairs_per_step)
    note_tokenizer(run, config, tokenizer)
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
    masters = split_precision(model, trained, DTYPES[config.model.dtype], adapters=lora is not None)
    if config.train.gradient_checkpointing:
        enable_checkpointing(loaded)
    policy = Policy(model)
    dropout = lora is not None and lora.dropout > 0
    require_fit(loaded, prepared)
    choice = choose_mode(policy, longest_of(prepared), config.train.share_prompt, dropout)
    policy.use_mode(choice.mode)
    if choice.reason:
        events.warning("policy.mode", choice.reason, mode=choice.mode, reason=choice.reason)
    if problem := native_problem(policy.base):
        reason = f"the CPU's attention kernel cannot be built ({problem})"
        events.warning("compile.fallback", f"attention is torch's own: {reason}", reason=reason)
    weights = MasterWeights(trained, masters, config.optimizer)
    key_cost = policy.key_cost
    train_set = PairSet.of(prepared.train, policy.shares_prefix, key_cost)
    eval_set = PairSet.of(prepared.eval, policy.shares_prefix, key_cost) if prepared.eval else None
    trainer = Trainer(config, policy, weights, accelerator, train_set, eval_set, events, control)
    packing = trainer.packing()
    events.emit("packs", **packing.to_json())
    print(packing, flush=True)
    compile_where_it_pays(trainer, longest_of(prepared))
    return trainer, loaded


def compile_where_it_pays(trainer: Trainer, pair: Pair) -> None:
    """Compile the policy and the update, or say why not; the run is the same either way, but for its speed."""
    policy, events = trainer.policy, trainer.events
    device, size = policy.base.device.type, sum(p.numel() for p in policy.parameters())
    if policy.mode == "single" or not wanted(trainer.config, size, trainer.tokens_in_all, device):
        return
    events.phase("compile", "start")
    reason = compile_policy(policy, pair)
    trainer.weights.compiled = policy.compiled and device == "cpu"
    if reason:
        events.warning("compile.fallback", f"nothing is compiled: {reason}", reason=reason)
    events.phase("compile", "end")


def enable_checkpointing(loaded: LoadedModel) -> None:
    """Recompute activations in the backward pass, for models that can."""
    if not loaded.model.supports_gradient_checkpointing:
        raise UnusableError(
            "model.no_checkpointing",
            f"{loaded.origin.id} cannot recompute activations: set train.gradient_checkpointing = false",
            id=loaded.origin.id,
        )
    loaded.model.gradient_checkpointing_enable({"use_reentrant": False})


def require_fit(loaded: LoadedModel, prepared: Prepared) -> None:
    """Raise UnusableError for tokens or positions the model has no embedding for, which no kernel reports well."""
    size = loaded.model.get_input_embeddings().num_embeddings
    positions = getattr(loaded.model.config.get_text_config(), "max_position_embeddings", None)
    for store in filter(None, (prepared.train, prepared.eval)):
        highest, longest = store.highest_id(), int(store.lengths()[:, :2].max())
        if highest >= size:
            raise UnusableError(
                "model.vocabulary",
                f"the tokenizer writes token {highest}, and {loaded.origin.id} has embeddings for {size}: they do not "
                "belong together",
                id=loaded.origin.id,
                token=highest,
                size=size,
            )
        if positions is not None and longest - 1 > positions:
            raise UnusableError(
                "model.positions",
                f"a pair has {longest} tokens, and {loaded.origin.id} has {positions} positions: set data.max_length "
                f"to {positions} or less",
                id=loaded.origin.id,
                longest=longest,
                positions=positions,
            )


def longest_of(prepared: Prepared, among: int = 64) -> Pair:
    """The longest of the first pairs: what differs with length shows in it."""
    lengths = prepared.train.lengths()[:among, :2].sum(1)
    return prepared.train[int(lengths.argmax())]


def fill_references(trainer: Trainer, loaded: LoadedModel) -> ReferenceCache:
    """Reference log-probabilities of every pair to be visited, while the weights are still the reference's."""
    policy = trainer.policy
    cache = ReferenceCache(cache_folder(loaded.fingerprint, numerics(policy.base.dtype, policy.numerics)))
    trainer.events.phase("reference", "start")
    cache.load()
    trainer.fill_references(cache)
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
            if due(step, settings.log_every) or step == last or trainer.control.stop_requested():
                trainer.emit_step(plan, stats)
            if due(step, settings.eval_every):
                keeper.evaluate(step)
            if trainer.control.take_checkpoint_request() or due(step, settings.save_every):
                keeper.evaluate(step)
                keeper.save(step)
        keeper.finish(last)
    except StopRequested as stop:
        keeper.save(done)
        text = f"stopped after step {done} of {last}; its checkpoint is saved" if done else stop.text
        case = "saved" if done else ""
        raise StopRequested("run.stopped", text, step=done, total=last, case=case) from stop
    except (NonFiniteError, *OUT_OF_MEMORY):
        keeper.save(done)
        raise
    trainer.events.phase("train", "end", last, last)


def due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0


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
