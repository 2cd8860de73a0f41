"""Low-rank adapters on a frozen base, and the base again with them switched off.

peft is imported with the first adapter: it takes a second, which a training of all weights has no use for.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeGuard

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from engine.config.schema import Lora
from engine.exits import UnusableError

if TYPE_CHECKING:
    from peft import PeftModel


def is_adapted(model: nn.Module) -> "TypeGuard[PeftModel]":
    """Whether `add_lora`, or peft itself, has put adapters on the model."""
    peft = sys.modules.get("peft")
    return peft is not None and isinstance(model, peft.PeftModel)


def add_lora(model: PreTrainedModel, lora: Lora, seed: int) -> "PeftModel":
    """Freezes the model and wraps it with fp32 adapters.

    Every B is 0, so before the first step the wrapped model computes what the base does; every A is a
    function of the seed alone. Raises UnusableError for targets the model lacks or that cannot be adapted.
    """
    from peft import LoraConfig, TaskType, get_peft_model

    _check_targets(model, lora)
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.targets if isinstance(lora.targets, str) else list(lora.targets),
    )
    try:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            adapted = get_peft_model(model, config, autocast_adapter_dtype=True)
            _draw(adapted)
    except ValueError as error:
        detail = str(error).splitlines()[0]
        raise _bad_target(model, detail, "", f"cannot be adapted ({detail})") from error
    return adapted


def _draw(adapted: "PeftModel") -> None:
    """Draw every A anew, in fp32: peft draws them in the type of the base, which rounds what it stores in bf16."""
    from peft.tuners.lora import LoraLayer

    for module in adapted.modules():
        if isinstance(module, LoraLayer):
            for adapter in module.lora_A:
                module.reset_lora_parameters(adapter, init_lora_weights=True)


@contextmanager
def adapter_disabled(model: nn.Module) -> Iterator[None]:
    """Within it the wrapped model computes what its base does; a model without adapters always does."""
    if not is_adapted(model):
        yield
        return
    with model.disable_adapter():
        yield


def _check_targets(model: PreTrainedModel, lora: Lora) -> None:
    """peft takes a list of which only some match; an adapter on the head would be left out of the loss."""
    if isinstance(lora.targets, str):
        return
    modules = dict(model.named_modules())
    outside = {id(model.get_input_embeddings()), id(model.get_output_embeddings())}
    for target in lora.targets:
        matches = [name for name in modules if name == target or name.endswith(f".{target}")]
        if not matches:
            raise _bad_target(model, target, "unknown", f'"{target}" names no module of this model')
        if any(id(modules[name]) in outside for name in matches):
            why = f'"{target}" is an embedding or the head, which adapters leave alone'
            raise _bad_target(model, target, "embedding", why)
        if not all(_is_linear(modules[name]) for name in matches):
            raise _bad_target(model, target, "other", f'"{target}" is not a linear layer')


def _bad_target(model: PreTrainedModel, target: str, case: str, why: str) -> UnusableError:
    head = model.get_output_embeddings()
    names = sorted(
        {n.rsplit(".", 1)[-1] for n, m in model.named_modules() if _is_linear(m) and m is not head}
    )
    return UnusableError(
        "lora.bad_target",
        f'[model.lora] targets: {why}. Linear layers here: {", ".join(names[:20])}; or "all-linear".',
        available=names,
        target=target,
        case=case,
    )


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear | Conv1D)
