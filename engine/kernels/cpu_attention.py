"""Attention within the segments of a pack on a CPU with AVX-512 BF16, as an operation that torch differentiates.

The arithmetic is in `native/attention.cpp`. Against torch's own CPU attention it spends nothing on masks, shares the
work of query heads on one key head, and keeps the cores fed by short heads: `benchmarks/attention.py` has the ratio.
"""

import ctypes
from functools import cache
from typing import Any

import torch
from torch import Tensor

from engine.kernels.native.build import BuildError, library

SOURCE = "attention.cpp"
DIMS = (32, 64, 96, 128, 192, 256)
"""Sizes of a head the packing is written for."""


@cache
def problem() -> str | None:
    """Why this machine cannot run it, in a line; None if it can. Builds it, the first time within seconds."""
    if not torch.cpu._is_avx512_bf16_supported():
        return "the processor has no AVX-512 BF16"
    try:
        library(SOURCE)
    except BuildError as error:
        return str(error)
    return None


@torch.library.custom_op("dpo_tui::segment_attention", mutates_args=())
def segment_attention(
    query: Tensor, key: Tensor, value: Tensor, bounds: Tensor, scale: float, window: int
) -> tuple[Tensor, Tensor]:
    """Attention of bf16 query [1, Hq, T, D] over key and value [1, Hk, T, D].

    `bounds` [S, 4] int64 on the CPU: start, stop, prefix, shared of each segment; every token lies in one. A `window`
    of 0 is none. Returns [1, T, Hq, D] bf16 and the log-sum-exp [Hq, T] fp32 of each row's scores.
    """
    _, heads, tokens, dim = query.shape
    # Plain pointers read whatever lies there: a value of another width must never get this far.
    assert dim in DIMS, f"heads of {dim}"
    assert key.shape == value.shape == (1, key.shape[1], tokens, dim), f"{key.shape} and {value.shape}"
    assert heads % key.shape[1] == 0, f"{heads} heads on {key.shape[1]}"
    assert {x.dtype for x in (query, key, value)} == {torch.bfloat16}, f"{query.dtype}"
    query, key, value = (_rows(x) for x in (query, key, value))
    out = query.new_empty(1, tokens, heads, dim)
    lse = query.new_empty(heads, tokens, dtype=torch.float32)
    sizes = _sizes(query, key, bounds, scale, window)
    _call("attention_forward", *_heads(query), *_heads(key), *_heads(value), _at(out), _at(lse), *sizes)
    return out, lse


@segment_attention.register_fake
def _(query: Tensor, *_rest: Any) -> tuple[Tensor, Tensor]:
    """Shapes and types for the compiler."""
    _, heads, tokens, dim = query.shape
    return query.new_empty(1, tokens, heads, dim), query.new_empty(heads, tokens, dtype=torch.float32)


@torch.library.custom_op("dpo_tui::segment_attention_backward", mutates_args=())
def segment_attention_backward(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    out: Tensor,
    lse: Tensor,
    bounds: Tensor,
    scale: float,
    window: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of query [1, T, Hq, D], key and value [1, T, Hk, D] for the gradient [1, T, Hq, D] of `out`."""
    rows = grad.transpose(1, 2)
    rows, query, key, value = (_rows(x) for x in (rows, query, key, value))
    dq = query.new_empty(grad.shape)
    dk, dv = (query.new_empty(1, key.shape[2], key.shape[1], key.shape[3]) for _ in range(2))
    places = (_at(out), _at(lse), _at(dq), _at(dk), _at(dv))
    sizes = _sizes(query, key, bounds, scale, window)
    _call("attention_backward", *_heads(rows), *_heads(query), *_heads(key), *_heads(value), *places, *sizes)
    return dq, dk, dv


@segment_attention_backward.register_fake
def _(grad: Tensor, query: Tensor, key: Tensor, *_rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Shapes and types for the compiler."""
    _, heads, tokens, dim = key.shape
    rows = (1, tokens, heads, dim)
    return query.new_empty(grad.shape), query.new_empty(rows), query.new_empty(rows)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    query, key, value, bounds, ctx.scale, ctx.window = inputs
    ctx.save_for_backward(query, key, value, *output, bounds)
    ctx.mark_non_differentiable(output[1])


def _backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    query, key, value, out, lse, bounds = ctx.saved_tensors
    grads = torch.ops.dpo_tui.segment_attention_backward(
        grad, query, key, value, out, lse, bounds, ctx.scale, ctx.window
    )
    return (*(x.transpose(1, 2) for x in grads), None, None, None)


segment_attention.register_autograd(_backward, setup_context=_remember)


def _rows(x: Tensor) -> Tensor:
    """`x` [1, H, T, D] with its last dimension contiguous."""
    return x if x.stride(-1) == 1 else x.contiguous()


def _at(x: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(x.data_ptr())


def _heads(x: Tensor) -> tuple[Any, ...]:
    return _at(x), ctypes.c_int64(x.stride(1)), ctypes.c_int64(x.stride(2))


def _sizes(query: Tensor, key: Tensor, bounds: Tensor, scale: float, window: int) -> tuple[Any, ...]:
    _, heads, tokens, dim = query.shape
    numbers = (len(bounds), tokens, heads, key.shape[1], dim)
    return (
        _at(bounds),
        *(ctypes.c_int64(n) for n in numbers),
        ctypes.c_float(scale),
        ctypes.c_int64(window),
        ctypes.c_int(torch.get_num_threads()),
    )


def _call(name: str, *arguments: Any) -> None:
    if getattr(library(SOURCE), name)(*arguments):
        raise MemoryError(f"can't allocate memory for {name}")
