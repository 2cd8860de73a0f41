"""QLoRA's base: frozen linear layers in 4 bits, by bitsandbytes; all that is not a linear layer stays as it is.

Embeddings, norms and the head keep the types they have in any model here. A model carries no marks of having been
quantised but its layers, so that transformers treats it as it does others.
"""

import sys
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from engine.freed import give_back
from engine.kernels.nf4 import quantizing
from engine.whole import size

MARKS = ("hf_quantizer", "is_quantized", "quantization_method", "is_loaded_in_4bit", "hf_device_map")
CONFIG_MARKS = ("quantization_config", "_is_quantized")


def load_nf4(folder: str, **options: Any) -> tuple[PreTrainedModel, dict[str, Any]]:
    """A transformers folder whose linear layers are quantised while they are read: never is all of it there in fp32.

    On the CPU, wherever it will go: what is in 4 bits takes a GPU no time to get.
    """
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    with quantizing():
        model, info = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=torch.float32,
            quantization_config=config,
            device_map={"": "cpu"},
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    for parameter in model.parameters():
        if (
            parameter.is_floating_point()
        ):  # the last that keep all of the checkpoint's file mapped into memory
            parameter.data = parameter.data.clone()
    _settle(model)
    give_back()
    return model, info


def quantize(model: PreTrainedModel) -> None:
    """Puts the linear layers of a model in memory into 4 bits, all but the head; each makes room for the next."""
    head = model.get_output_embeddings()
    names = [name for name, module in model.named_modules() if _is_linear(module) and module is not head]
    for name in names:
        model.set_submodule(name, _in_4_bits(model.get_submodule(name)))
    _settle(model)
    give_back()


def _is_linear(module: nn.Module) -> bool:
    return type(module) is nn.Linear or isinstance(module, Conv1D)


def _in_4_bits(module: Any) -> nn.Module:
    from bitsandbytes.nn import Linear4bit, Params4bit

    weight = module.weight.detach()
    weight = weight.T if isinstance(module, Conv1D) else weight  # [out, in]
    kinds = {"compress_statistics": True, "quant_type": "nf4"}
    with torch.device("meta"):
        layer = Linear4bit(weight.shape[1], weight.shape[0], module.bias is not None, torch.float32, **kinds)
    with quantizing():
        layer.weight = Params4bit(weight, requires_grad=False, module=layer, **kinds).to("cpu")
    layer.bias = module.bias
    layer.source_cls = type(module)
    made: nn.Module = layer
    return made


def _settle(model: PreTrainedModel) -> None:
    """Takes the marks off, and leaves the weights as they are stored.

    On processors with AVX-512 BF16 bitsandbytes rearranges weights, rounded, for passes in evaluation mode, and from
    then on computes no gradients through them.
    """
    for name in MARKS:
        model.__dict__.pop(name, None)
    for name in CONFIG_MARKS:
        model.config.__dict__.pop(name, None)
    for _, layer in linears(model):
        layer.support_avx512bf16_for_cpu = False
    model.is_loaded_in_4bit = True  # by which peft knows


def linears(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Name and module of each layer in 4 bits."""
    if "bitsandbytes" not in sys.modules:
        return
    from bitsandbytes.nn import Linear4bit

    yield from ((name, module) for name, module in model.named_modules() if isinstance(module, Linear4bit))


def is_nf4(model: nn.Module) -> bool:
    """Whether any layer is in 4 bits."""
    return next(linears(model), None) is not None


def place(model: nn.Module, dtype: torch.dtype, device: torch.device) -> None:
    """Have the layers in 4 bits compute in `dtype`, on `device`."""
    for _, layer in linears(model):
        layer.weight = layer.weight.to(device)
        layer.weight.quant_state.dtype = dtype
        layer.quant_state = layer.weight.quant_state
        layer.compute_dtype, layer.compute_type_is_set = dtype, True


def dequantize(model: PreTrainedModel) -> None:
    """Ordinary layers again, of the numbers in `model`'s fp32 type that its 4 bits stand for."""
    from bitsandbytes.functional import dequantize_4bit

    for name, layer in list(linears(model)):
        weight = dequantize_4bit(layer.weight.data, layer.weight.quant_state)
        model.set_submodule(name, _ordinary(layer, weight))
    model.__dict__.pop("is_loaded_in_4bit", None)


def _ordinary(layer: Any, weight: Tensor) -> nn.Module:
    turned = issubclass(layer.source_cls, Conv1D)
    with torch.device("meta"):
        made: nn.Module = (
            Conv1D(layer.out_features, layer.in_features)
            if turned
            else nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None)
        )
    made.weight = nn.Parameter(weight.T.contiguous() if turned else weight)
    made.bias = layer.bias
    return made


def packed_weights(model: nn.Module) -> int:
    """How many weights of a model are in 4 bits."""
    return sum(size(layer.weight) for _, layer in linears(model))


def states(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Besides the parameters, all that the weights in 4 bits depend on; the type they compute in is no part of it."""
    for name, layer in linears(model):
        state = layer.weight.quant_state
        yield f"{name}.scales", state.absmax
        yield f"{name}.scales of scales", state.state2.absmax
        yield f"{name}.mean of scales", state.offset


def numerics() -> str:
    """By what 4-bit layers are computed."""
    return f"nf4 by bitsandbytes {version('bitsandbytes')}"
