"""The config DeepSpeed gets for a ZeRO strategy, and the person's own keys for it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.config.local import expanded
from engine.config.schema import Config
from engine.exits import UsageError
from engine.precision import Computing

STAGES = {"zero1": 1, "zero2": 2, "zero3": 3}
BUCKET = 1 << 26
"""Numbers in one exchange. DeepSpeed's own 5e8 would be a gigabyte of buffers."""
LARGEST = 1 << 20
"""Bytes of a file of keys: more is no config."""
OURS = (
    "optimizer", "scheduler", "fp16", "amp", "zero_optimization.stage3_gather_16bit_weights_on_model_save",
    "zero_optimization.offload_optimizer", "zero_optimization.offload_param",
)  # fmt: skip
"""Keys that this program answers for in another way: they may not be set."""
TUNED = ("zero_optimization.reduce_bucket_size", "zero_optimization.allgather_bucket_size")
"""Keys that have a value here, and may have another: they change no result."""


def deepspeed_config(config: Config, strategy: str, dtype: Computing) -> dict[str, Any]:
    """What `deepspeed.initialize` gets. Raises UsageError where the person's own keys contradict the config.

    A "micro batch" is a pack, however many pairs it holds, and a step is told to DeepSpeed when its packs are done: so
    the counts are nominal. Adapters, and weights that compute in fp32, are their own master weights.
    """
    made = _made(config, strategy, dtype)
    if config.launch.deepspeed is None:
        return made
    path = expanded(config.launch.deepspeed)
    given = read_keys(path)
    _require_agreement(given, made, path)
    return _merged(made, given)


def _made(config: Config, strategy: str, dtype: Computing) -> dict[str, Any]:
    masters = dtype == "bfloat16" and config.model.lora is None
    zero: dict[str, Any] = {
        "stage": STAGES[strategy],
        "reduce_bucket_size": BUCKET,
        "allgather_bucket_size": BUCKET,
        "round_robin_gradients": False,
    }
    if config.launch.offload != "none":
        zero["offload_optimizer"] = {"device": "cpu"}
    if config.launch.offload == "all":
        zero["offload_param"] = {"device": "cpu"}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "managed_gradient_accumulation": False,
        "gradient_clipping": config.optimizer.max_grad_norm,
        "bf16": {"enabled": masters, "check_grad_overflow": masters},
        "data_types": {"grad_accum_dtype": "fp32"},
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": None,
    }


def read_keys(path: Path) -> dict[str, Any]:
    """The person's own keys. Raises UsageError for what is no JSON object."""
    try:
        if path.stat().st_size > LARGEST:
            raise _unusable(path, "it is larger than 1 MiB")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise _unusable(path, f"it is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise _unusable(path, "it is no JSON object")
    return value


def _require_agreement(given: dict[str, Any], made: dict[str, Any], path: Path) -> None:
    """What both say must be the same; "auto" leaves it to the config."""
    ours, theirs = dict(_leaves(made)), dict(_leaves(given))
    for key, value in theirs.items():
        if any(key == name or key.startswith(f"{name}.") for name in OURS):
            raise UsageError(
                "launch.deepspeed_key",
                f"{path}: {key} is not DeepSpeed's to set here: the TOML says it. Take it out of the file",
                path=str(path),
                key=key,
            )
        if key in ours and key not in TUNED and value not in (ours[key], "auto"):
            raise UsageError(
                "launch.deepspeed_conflict",
                f"{path}: {key} = {json.dumps(value)}, and the config makes it {json.dumps(ours[key])}. Take it out of "
                "the file, or change the config",
                path=str(path),
                key=key,
                theirs=json.dumps(value),
                ours=json.dumps(ours[key]),
            )


def _leaves(tree: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and their values."""
    for key, value in tree.items():
        name = f"{above}{key}"
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{name}.")
        else:
            yield name, value


def _merged(made: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    out = dict(made)
    for key, value in given.items():
        if isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = _merged(out[key], value)
        elif value != "auto":
            out[key] = value
    return out


def _unusable(path: Path, why: str) -> UsageError:
    text = f"launch.deepspeed: {path} cannot be used: {why}"
    return UsageError("launch.bad_deepspeed", text, path=str(path), why=why)
