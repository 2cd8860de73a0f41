"""A policy in the type it is exported in, number for number as transformers will load it again.

Not every tensor follows `dtype`: rotary frequencies, routers and attention sinks of some architectures stay in fp32,
and some tables of constants do not. An empty model of that type says which, so no architecture is named here.
"""

import copy
import re

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from engine.rounding import to_dtype


@torch.no_grad()
def cast(model: PreTrainedModel, dtype: torch.dtype) -> None:
    """Puts every parameter and buffer into the type that `from_pretrained(dtype=dtype)` would give it, one by one."""
    types = types_when_loaded(model, dtype)
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point():
            parameter.data = to_dtype(parameter.data, types.get(name, dtype))
    for name, buffer in model.named_buffers():
        if buffer.is_floating_point():
            buffer.data = buffer.data.to(types.get(name, buffer.dtype))


def types_when_loaded(model: PreTrainedModel, dtype: torch.dtype) -> dict[str, torch.dtype]:
    """The type of each parameter and buffer once transformers loads the model as `dtype`."""
    with torch.device("meta"):  # no memory, no numbers
        empty = type(model)._from_config(copy.deepcopy(model.config), dtype=dtype)
    plan = empty._get_dtype_plan(dtype)
    return {name: _planned(name, plan) or tensor.dtype for name, tensor in _tensors(empty).items()}


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    parameters = model.named_parameters(remove_duplicate=False)
    return {**dict(parameters), **dict(model.named_buffers(remove_duplicate=False))}


def _planned(name: str, plan: dict[str, torch.dtype]) -> torch.dtype | None:
    """What the architecture's own list of exceptions says of a tensor; its patterns know one wildcard."""
    matches = (kind for pattern, kind in plan.items() if re.search(pattern.replace("*", ".*"), name))
    return next(matches, None)
