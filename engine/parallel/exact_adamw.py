"""AdamW for DeepSpeed whose fp32 weights round to bf16 as this program has them, instead of to the nearest.

DeepSpeed writes what its optimizer leaves into the model, rounded to the nearest bf16: a weight would stand still until
training has moved it by half a bf16 step (`engine.rounding`). So the optimizer leaves bf16 numbers already, rounded at
each weight's own threshold, and keeps what it has really reached beside them. The weights it sees are DeepSpeed's, many
of the model's one after the other: `layout` says where each begins.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from engine.parallel.fragments import Fragment
from engine.rounding import to_bfloat16

EXACT = "exact"
"""Key of the state of a weight: what it is, unrounded."""


class ExactAdamW(torch.optim.AdamW):
    """Between two steps the weights are bf16 numbers, held in fp32; `exact_of` says what they are."""

    layout: Iterable[Fragment] = ()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update. A closure is not supported."""
        assert closure is None
        for weight in self._reached():
            weight.copy_(self.exact_of(weight))
        super().step()
        for weight in self._reached():
            self.exact_of(weight).copy_(weight)
        self.round(self._reached())

    def exact_of(self, weight: Tensor) -> Tensor:
        """What `weight` is, in place; at first what it looks like."""
        state = self.state[weight]
        if EXACT not in state:
            # AdamW makes its own state where there is none at all, so this one must not come alone.
            state |= {"step": torch.zeros((), dtype=torch.float32), EXACT: weight.detach().clone()}
            state |= {moment: torch.zeros_like(weight) for moment in ("exp_avg", "exp_avg_sq")}
        exact: Tensor = state[EXACT]
        return exact

    @torch.no_grad()
    def round(self, weights: Iterable[Tensor]) -> None:
        """Leave the bf16 numbers that these weights stand for."""
        wanted = {id(weight) for weight in weights}
        for part in self.layout:
            if id(part.flat) in wanted:
                exact = part.of_flat(self.exact_of(part.flat))
                part.of_flat(part.flat).copy_(to_bfloat16(exact, part.start))

    def _reached(self) -> Iterator[Tensor]:
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    yield weight
