"""A parameter as a whole, where this process holds a part of it or its numbers lie packed."""

from math import prod

from torch import Tensor


def whole_shape(parameter: Tensor) -> tuple[int, ...]:
    """The shape of the weight that a parameter stands for.

    ZeRO 3 leaves an empty tensor in each process while a layer rests, and a layer in 4 bits has two numbers in a byte.
    """
    state = getattr(parameter, "quant_state", None)
    shape = getattr(parameter, "ds_shape", parameter.shape) if state is None else state.shape
    return tuple(shape)


def size(parameter: Tensor) -> int:
    """How many numbers that weight has."""
    return prod(whole_shape(parameter))
