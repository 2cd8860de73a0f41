"""One number for what a model computes: the key under which reference logps are kept."""

import hashlib
import json

import torch
from transformers import PreTrainedModel

from engine.models.nf4 import states

VOLATILE = frozenset(
    {
        "_name_or_path",
        "transformers_version",
        "dtype",
        "torch_dtype",
        "use_cache",
        "architectures",
        "auto_map",
    }
)
"""Config entries that say where a model came from or how it is stored, not what it computes."""


def fingerprint(model: PreTrainedModel) -> str:
    """sha256 hex over the config and over every parameter and buffer: name, type, shape, bytes.

    Tied parameters count once, and one in bf16 as the fp32 numbers that it is. Buffers are in it since rotary
    frequencies change the logps as weights do, and of weights in 4 bits all that makes numbers of them. So a quantised
    base is another model than the one it was made of.
    """
    digest = hashlib.sha256(_config_json(model).encode())
    for tensors in (model.named_parameters(), model.named_buffers(), states(model)):
        for name, stored in sorted(tensors):
            tensor = stored.float() if stored.dtype == torch.bfloat16 else stored
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            digest.update(tensor_bytes(tensor))
    return digest.hexdigest()


def tensor_bytes(tensor: torch.Tensor) -> memoryview:
    """The tensor's bytes in row-major order, without a copy where it lies on the CPU contiguously."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data


def _config_json(model: PreTrainedModel) -> str:
    values = {key: value for key, value in model.config.to_dict().items() if key not in VOLATILE}
    return json.dumps(values, sort_keys=True, default=str)
