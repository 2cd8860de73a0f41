"""From config and prepared pairs to a trainer: the model loaded, cast and compiled, the fastest way that is exact."""

from dataclasses import replace

import torch

from engine.attention import native_problem
from engine.compiled import compile_policy, wanted
from engine.config.schema import Config
from engine.data.prepared.pairs import Pair
from engine.data.prepared.prepared_set import Prepared
from engine.exits import UnusableError, UsageError
from engine.launch.deepspeed import STAGES, deepspeed_config
from engine.memory import Setup, estimate
from engine.models.adapters import add_lora
from engine.models.load import LoadedModel, load_model
from engine.models.resolve import resolve
from engine.models.weights import trained_tensors
from engine.optimizer import MasterWeights, split_precision
from engine.pair_set import PairSet, tokens_in_all
from engine.parallel.processes import Processes
from engine.parallel.replicated import Replicated
from engine.parallel.strategy import Strategy
from engine.parallel.team import Team
from engine.policy import Policy, choose_mode
from engine.precision import computing_type
from engine.remedy import Pairs, fits, remedy, tight
from engine.room import pairs_of, room, setup_of, strategy_for, with_pack_size
from engine.rounding import DTYPES
from engine.rundir.control import Control
from engine.rundir.events import EventWriter
from engine.rundir.paths import RunDir
from engine.trainer import Trainer


def build(
    run: RunDir,
    config: Config,
    prepared: Prepared,
    processes: Processes,
    events: EventWriter,
    control: Control,
) -> tuple[Trainer, LoadedModel]:
    """The model with its fp32 weights, in the fastest mode that is exact for it, ready to train."""
    events.phase("download", "start")
    with processes.first():
        resolved = resolve(config.model)
    loaded = load_model(resolved)
    events.phase("download", "end")
    require_fit(loaded, prepared)
    policy, weights = trainable(config, loaded, processes.device)
    use_fastest_mode(policy, config, longest_of(prepared), events)
    train_set = PairSet.of(prepared.train, policy.shares_prefix, policy.key_cost)
    eval_set = PairSet.of(prepared.eval, policy.shares_prefix, policy.key_cost) if prepared.eval else None
    compiling = pays_to_compile(config, policy, tokens_in_all(config, train_set))
    setup = setup_of(config, policy, weights.size, processes.world, compiled=compiling)
    pairs = pairs_of(train_set, eval_set, config, processes.world)
    way = strategy_for(config, run, policy, setup, pairs, processes)
    compiling = compiling and way != "zero3"  # whose weights come and go within a layer
    setup = setup and replace(setup, strategy=way, compiled=compiling)
    config = with_pack_size(config, run, policy, setup, pairs, processes)
    if compiling:
        with processes.first():
            compile_all(policy, events, longest_of(prepared))
    policy.team = team_of(config, policy, processes)
    strategy = laid_out(way, config, policy, weights, processes)
    trainer = Trainer(config, policy, strategy, processes, train_set, eval_set, events, control)
    tell_of_packs(trainer)
    if setup is None:
        tell_of_unknown_memory(trainer, loaded)
    else:
        tell_of_memory(trainer, setup, pairs)
    return trainer, loaded


def team_of(config: Config, policy: Policy, processes: Processes) -> Team | None:
    """The processes that share each pack's tokens, if the config has them do so. Raises UsageError."""
    size = config.launch.sequence_parallel
    if size == 1:
        return None
    shape = policy.shape
    if policy.mode == "single" or shape is None:
        text = "launch.sequence_parallel needs a model that runs packs, and this one does not: set it to 1"
        raise UsageError("launch.sequence_mode", text)
    if shape.heads % size:
        text = f"launch.sequence_parallel must divide the model's {shape.heads} attention heads; found {size}"
        raise UsageError("launch.sequence_heads", text, size=size, heads=shape.heads)
    return Team(processes, size)


def laid_out(
    way: str, config: Config, policy: Policy, weights: MasterWeights, processes: Processes
) -> Strategy:
    """The weights on the devices by the strategy of that name. Raises UsageError."""
    if way in STAGES:
        from engine.parallel.ops import build_for_cpu
        from engine.parallel.zero import Zero

        with processes.first():
            build_for_cpu()
        keys = deepspeed_config(config, way, computing_type(config.model.dtype, fast_bf16=True))
        return Zero(policy, trained_tensors(policy.model), weights.weights, config.optimizer, keys, processes)
    return Replicated(policy, weights, processes)


def trainable(config: Config, loaded: LoadedModel, device: torch.device) -> tuple[Policy, MasterWeights]:
    """The model in its computing type on its device, with its adapters, and the weights that are trained."""
    lora = config.model.lora
    model = loaded.model if lora is None else add_lora(loaded.model, lora, config.run.seed)
    trained = trained_tensors(model)
    dtype = DTYPES[config.model.dtype]
    masters = split_precision(model, trained, dtype, device, adapters=lora is not None)
    if config.train.gradient_checkpointing:
        enable_checkpointing(loaded)
    return Policy(model), MasterWeights(trained, masters, config.optimizer)


def use_fastest_mode(policy: Policy, config: Config, pair: Pair, events: EventWriter) -> None:
    """Choose how packs are computed, and say what does not work here and why."""
    lora = config.model.lora
    dropout = lora is not None and lora.dropout > 0
    choice = choose_mode(policy, pair, config.train.share_prompt, dropout)
    policy.use_mode(choice.mode)
    if choice.reason:
        events.warning("policy.mode", choice.reason, mode=choice.mode, reason=choice.reason)
    if problem := native_problem(policy.base):
        reason = f"the CPU's attention kernel cannot be built ({problem})"
        events.warning("compile.fallback", f"attention is torch's own: {reason}", reason=reason)


def tell_of_packs(trainer: Trainer) -> None:
    """How well the pairs pack, as an event and in the log."""
    packing = trainer.packing()
    trainer.events.emit("packs", **packing.to_json())
    print(packing, flush=True)


def tell_of_memory(trainer: Trainer, setup: Setup, pairs: Pairs) -> None:
    """The peak that is expected, and, where it may not fit, what is the most of it and what would make it fit."""
    expected, there = estimate(setup, trainer.largest_work()), room(trainer.policy, trainer.processes.world)
    trainer.events.emit("memory", room=there, tokens_per_pack=trainer.pack_size, **expected.to_json())
    print(expected, flush=True)
    if not fits(expected.total, there):
        change = remedy(setup, pairs, trainer.pack_size, there)
        text, params = tight(expected, there, change)
        trainer.events.warning("memory.tight", text, **params)


def tell_of_unknown_memory(trainer: Trainer, loaded: LoadedModel) -> None:
    """That nobody knows how much memory it will be, since the model's config does not tell its sizes."""
    text = (
        f"{loaded.origin.id} does not say its sizes, so its memory is not known beforehand: packs have up to "
        f"{trainer.pack_size} tokens. Lower train.tokens_per_pack if it runs out"
    )
    trainer.events.warning("memory.unknown", text, id=loaded.origin.id, tokens=trainer.pack_size)


def pays_to_compile(config: Config, policy: Policy, tokens: float) -> bool:
    """Whether this policy will be compiled."""
    size = sum(p.numel() for p in policy.parameters())
    return policy.mode != "single" and wanted(config, size, tokens, policy.base.device.type)


def compile_all(policy: Policy, events: EventWriter, pair: Pair) -> None:
    """Compile the policy, or say why not; the run is the same either way, but for its speed."""
    events.phase("compile", "start")
    if reason := compile_policy(policy, pair):
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
