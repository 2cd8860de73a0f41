"""From config and prepared pairs to a trainer: the model loaded, cast and compiled, the fastest way that is exact."""

from engine.attention import native_problem
from engine.compiled import compile_policy, wanted
from engine.config.schema import Config
from engine.data.prepared.pairs import Pair
from engine.data.prepared.prepared_set import Prepared
from engine.exits import UnusableError, UsageError
from engine.memory import Setup, Strategy, estimate
from engine.models.load import LoadedModel, load_model
from engine.models.nf4 import packed_weights
from engine.models.resolve import resolve
from engine.pair_set import PairSet, tokens_in_all
from engine.parallel.processes import Processes
from engine.parallel.team import Team
from engine.placement import Placed, place
from engine.policy import Policy, choose_mode, shape_of_model
from engine.remedy import Pairs, fits, remedy, tight
from engine.room import pairs_of, room, setup_of, strategy_for, with_pack_size
from engine.rundir.control import Control
from engine.rundir.events import EventWriter
from engine.rundir.paths import RunDir
from engine.trainer import Trainer
from engine.whole import size


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
    loaded = load_model(resolved, config.model.quantization, as_stored=True)
    events.phase("download", "end")
    require_fit(loaded, prepared)
    way = way_for(config, run, loaded, prepared, processes)
    placed = place(way, config, loaded, processes)
    policy = placed.policy
    tell_of_quantized(config, policy, events)
    use_fastest_mode(placed, config, longest_of(prepared), events)
    train_set, eval_set = pair_sets(prepared, policy.shares_prefix, policy.key_cost)
    compiling = pays_to_compile(config, policy, tokens_in_all(config, train_set)) and way != "zero3"
    setup = setup_of(config, policy, way, placed.size, processes.world, compiled=compiling)
    pairs = pairs_of(train_set, eval_set, config)
    config = with_pack_size(config, run, setup, pairs, processes)
    if compiling:
        events.phase("compile", "start")
        with processes.first():
            compile_all(policy, events, longest_of(prepared))
    policy.team = team_of(config, policy, processes)
    strategy = placed.laid_out()
    trainer = Trainer(config, policy, strategy, processes, train_set, eval_set, events, control)
    if compiling:
        with processes.first():
            strategy.rehearse(several_packs=trainer.packing().packs_per_step > 1)
        events.phase("compile", "end")
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


def way_for(
    config: Config, run: RunDir, loaded: LoadedModel, prepared: Prepared, processes: Processes
) -> Strategy:
    """The strategy by its name. Raises CannotWriteError."""
    shape = shape_of_model(loaded.model)
    pairs = pairs_of(*pair_sets(prepared, config.train.share_prompt, 0.0), config)
    return strategy_for(config, run, shape, pairs, processes)


def pair_sets(prepared: Prepared, shares: bool, key_cost: float) -> tuple[PairSet, PairSet | None]:
    """The pairs to train on and those to evaluate on, as a policy packs them."""
    train, evaluation = prepared.train, prepared.eval
    return (
        PairSet.of(train, shares, key_cost),
        PairSet.of(evaluation, shares, key_cost) if evaluation else None,
    )


def use_fastest_mode(placed: Placed, config: Config, pair: Pair, events: EventWriter) -> None:
    """Choose how packs are computed, and say what does not work here and why."""
    lora, policy = config.model.lora, placed.policy
    dropout = lora is not None and lora.dropout > 0
    choice = choose_mode(policy, pair, config.train.share_prompt, dropout, placed.recover)
    policy.use_mode(choice.mode)
    if choice.reason:
        events.warning("policy.mode", choice.reason, mode=choice.mode, reason=choice.reason)
    if problem := native_problem(policy.base):
        reason = f"the CPU's attention kernel cannot be built ({problem})"
        events.warning("compile.fallback", f"attention is torch's own: {reason}", reason=reason)


def tell_of_quantized(config: Config, policy: Policy, events: EventWriter) -> None:
    """That most of a base is not in 4 bits, though it was asked for: experts, for one, are no linear layers."""
    if not config.model.quantization:
        return
    embeddings = (policy.base.get_input_embeddings(), policy.base.get_output_embeddings())
    outside = {id(p) for module in embeddings if module is not None for p in module.parameters()}
    inner = sum(size(p) for p in policy.base.parameters() if id(p) not in outside and not p.requires_grad)
    share = packed_weights(policy.base) / inner
    if share < 0.5:
        text = (
            f"only {share:.0%} of the weights between embeddings and head are in 4 bits: the others, such as those "
            "of experts, are not in linear layers and stay as they are"
        )
        events.warning("model.little_quantized", text, percent=round(100 * share))


def tell_of_packs(trainer: Trainer) -> None:
    """How well the pairs pack, as an event and in the log."""
    packing = trainer.packing()
    trainer.events.emit("packs", **packing.to_json())
    print(packing, flush=True)


def tell_of_memory(trainer: Trainer, setup: Setup, pairs: Pairs) -> None:
    """The peak that is expected, and, where it may not fit, what is the most of it and what would make it fit."""
    there = room(trainer.processes.device, trainer.processes.world)
    expected = estimate(setup, trainer.largest_work())
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
    weights = sum(map(size, policy.parameters()))
    return policy.mode != "single" and wanted(config, weights, tokens, policy.base.device.type)


def compile_all(policy: Policy, events: EventWriter, pair: Pair) -> None:
    """Compile the policy, or say why not; the run is the same either way, but for its speed."""
    if reason := compile_policy(policy, pair):
        events.warning("compile.fallback", f"nothing is compiled: {reason}", reason=reason)


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
