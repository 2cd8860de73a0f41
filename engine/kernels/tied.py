"""A weight that is both input embedding and head: one gradient of its size instead of two and their sum.

The head's backward pass comes first and leaves its gradient here; that of the embedding, the last of all, adds the few
rows it has and hands on the whole.
"""

from typing import Any

import torch
from torch import Tensor, nn


class TiedGradient:
    """The head's gradient of the weight, from the head's backward pass to the embedding's."""

    def __init__(self) -> None:
        self._left: Tensor | None = None

    def leave(self, gradient: Tensor) -> None:
        """Add the gradient [V, H] of a head to what the others have left."""
        self._left = gradient if self._left is None else self._left.add_(gradient)

    def take(self) -> Tensor | None:
        """What the heads have left; it is then gone."""
        left, self._left = self._left, None
        return left


class TiedEmbedding(nn.Embedding):
    """The `nn.Embedding` it was before, whose backward pass takes in the head's gradient of the same weight.

    A subclass, for the sake of hooks, as `LogprobHead` is.
    """

    tied: TiedGradient

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        """[..., H] rows of the weight for token ids [...]."""
        if not (torch.is_grad_enabled() and self.weight.requires_grad):
            return super().forward(input)
        self.tied.take()  # of a backward pass that was never finished
        rows: Tensor = _Rows.apply(self.weight, input, self.padding_idx, self.tied)  # type: ignore[no-untyped-call]
        return rows


def tie(embedding: nn.Module, head: nn.Module | None) -> TiedGradient | None:
    """Have an embedding take in the gradient of a head that has the same weight; None where it is not so simple."""
    if isinstance(embedding, TiedEmbedding):
        return embedding.tied
    plain = type(embedding) is nn.Embedding and not (embedding.sparse or embedding.scale_grad_by_freq)
    if not plain or embedding.max_norm is not None or embedding.weight is not getattr(head, "weight", None):
        return None
    embedding.__class__ = TiedEmbedding
    tied = embedding.tied = TiedGradient()
    return tied


class _Rows(torch.autograd.Function):
    """Rows of a weight by their numbers."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, padding: int | None, tied: TiedGradient) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.size, ctx.padding, ctx.tied = weight.shape[0], padding, tied
        return torch.nn.functional.embedding(ids, weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None, None]:
        (ids,) = ctx.saved_tensors
        (rows,) = gradients
        if ctx.padding is not None:
            rows = rows * (ids != ctx.padding).unsqueeze(-1)
        numbers, places = ids.unique(return_inverse=True)
        sums = torch.ops.aten.embedding_dense_backward(rows.float(), places, len(numbers), -1, False)
        whole = ctx.tied.take()
        if whole is None:
            whole = rows.new_zeros(ctx.size, rows.shape[-1])
        whole[numbers] += sums.to(whole.dtype)  # each number once: the same in any order
        return whole, None, None, None
