"""Rows of the table: how long, in which portions, what is saved, and what happens on the way."""

import math
from collections.abc import Iterator

from dpo_tui.importing.findings import Finding, Origin, Remark, Taken
from dpo_tui.importing.settings import Settings, place_of, symbol_of

LOADER = "train_dataloader"
LOOP = "train_cfg"
HOOKS = "default_hooks"
ACCUMULATED = "optim_wrapper.accumulative_counts"

_IDLE_HOOKS = ("DatasetInfoHook", "VarlenAttnArgsToMessageHubHook", "ThroughputHook")
_AROUND = {"visualizer": "visualizer", "resume": "resume", "strategy": "strategy", "work_dir": "runs"}
"""Settings of the surroundings, each with what is said of it."""


def length(settings: Settings) -> Iterator[Finding]:
    """Epochs, or iterations, of which `accumulative_counts` make an optimizer step."""
    epochs = settings.take(f"{LOOP}.max_epochs", float)
    iterations = settings.take(f"{LOOP}.max_iters", int)
    settings.see(f"{LOOP}.type")
    settings.pass_over(f"{LOOP}.val_interval", f"{LOOP}.val_begin", f"{LOOP}.dynamic_intervals")
    if iterations is not None:
        counts, origins = _counts(settings)
        steps = max(1, math.ceil(iterations[0] / counts))
        yield Taken("train.max_steps", steps, (iterations[1], *origins), joint=" / ")
        yield Remark("differs", "iterations", "train.max_steps", None, {"counts": counts})
    elif epochs is not None:
        yield Taken("train.epochs", epochs[0], (epochs[1],))


def pairs_per_step(settings: Settings) -> Iterator[Finding]:
    """Theirs is of each device, and where pairs are packed it counts packs."""
    batch = settings.take(f"{LOADER}.batch_size", int)
    counts, origins = _counts(settings)
    if settings.take(ACCUMULATED, int) is not None and not origins:
        yield Remark("lost", "counts", ACCUMULATED, place_of(settings.find(ACCUMULATED)))
    size = batch[0] if batch else 1
    yield Taken(
        "train.pairs_per_step", size * counts, (*((batch[1],) if batch else ()), *origins), joint=" x "
    )
    packed = settings.take("model.use_varlen_attn", bool)
    code = "packed_batch" if packed and packed[0] else "batch"
    yield Remark("differs", code, "train.pairs_per_step", None, {"pairs": size * counts})


def saving(settings: Settings) -> Iterator[Finding]:
    """Their interval is one of iterations; ours one of optimizer steps."""
    path = f"{HOOKS}.checkpoint"
    every, by_epoch = settings.take(f"{path}.interval", int), settings.take(f"{path}.by_epoch", bool)
    kept = settings.take(f"{path}.max_keep_ckpts", int)
    settings.see(f"{path}.type")
    settings.pass_over(f"{path}.save_optimizer", f"{path}.save_last", f"{path}.out_dir")
    if every is not None and (by_epoch is None or by_epoch[0]):
        yield Remark("lost", "save_epochs", f"{path}.interval", every[1].place)
    elif every is not None and every[0] > 0:
        counts, origins = _counts(settings)
        steps = max(1, round(every[0] / counts))
        yield Taken("train.save_every", steps, (every[1], *origins), joint=" / ")
        if counts > 1:
            yield Remark("differs", "iterations", "train.save_every", None, {"counts": counts})
    if kept is not None and kept[0] > 0:
        yield Taken("train.keep", kept[0], (kept[1],))
    elif kept is not None:
        yield Remark("lost", "keep_all", f"{path}.max_keep_ckpts", kept[1].place)


def seed(settings: Settings) -> Iterator[Finding]:
    """A seed of None is another one each time there, and never here."""
    taken = settings.take("randomness.seed", int)
    settings.pass_over("randomness.deterministic", "randomness.diff_rank_seed")
    if taken is not None:
        yield Taken("run.seed", taken[0], (taken[1],))


def parallel(settings: Settings) -> Iterator[Finding]:
    """Devices that share a sequence: theirs are as many as are started, ours are counted in the config."""
    taken = settings.take("sequence_parallel_size", int)
    if taken is not None and taken[0] > 1:
        yield Taken("launch.devices", taken[0], (taken[1],))
        yield Taken("launch.sequence_parallel", taken[0], (taken[1],))
        yield Remark("differs", "sequence", "launch.devices")


def hooks(settings: Settings) -> Iterator[Finding]:
    """What XTuner does on the way: most of it happens here anyway, the rest cannot be had."""
    found = settings.find("custom_hooks")
    entries = found.data if found is not None and isinstance(found.data, tuple) else ()
    if found is not None and found.data is not None and not isinstance(found.data, tuple):
        settings.lose("custom_hooks", found)
    settings.see("custom_hooks")
    for index, hook in enumerate(entries):
        kind, path = symbol_of(hook), f"custom_hooks.{index}"
        if kind == "EvaluateChatHook":
            yield Remark("lost", "chat", f"{path}: {kind}", hook.place)
        elif kind in _IDLE_HOOKS:
            settings.idle.append(f"{path}: {kind}")
        else:
            yield Remark("lost", "hook", f"{path}: {kind or '?'}", hook.place)
    logger = settings.take(f"{HOOKS}.logger.interval", int)
    if logger is not None and logger[0] > 0:
        counts, origins = _counts(settings)
        yield Taken("train.log_every", max(1, round(logger[0] / counts)), (logger[1], *origins), joint=" / ")
    settings.see(f"{HOOKS}.logger")
    settings.pass_over(*(f"{HOOKS}.{name}" for name in ("timer", "param_scheduler", "sampler_seed")))


def surroundings(settings: Settings) -> Iterator[Finding]:
    """Where it runs and how it talks."""
    for path, code in _AROUND.items():
        value = settings.find(path)
        settings.see(path)
        if value is not None and value.data not in (None, False):
            yield Remark("lost", code, path, value.place)
    settings.pass_over(
        "env_cfg", "log_processor", "log_level", "launcher", "default_scope", "runner_type", "SYSTEM"
    )
    settings.see("optim_wrapper.type", "evaluation_freq", "evaluation_inputs")


def _counts(settings: Settings) -> tuple[int, tuple[Origin, ...]]:
    """The iterations of an optimizer step, and where they are written."""
    taken = settings.take(ACCUMULATED, int)
    return (taken[0], (taken[1],)) if taken and taken[0] > 0 else (1, ())
