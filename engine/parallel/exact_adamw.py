"""AdamW for DeepSpeed whose fp32 weights round to bf16 as this program has them, instead of to the nearest.

DeepSpeed writes what its optimizer leaves into the model, rounded to the nearest bf16: a weight would stand still until
training has moved it by half a bf16 step (`engine.rounding`). So the optimizer leaves bf16 numbers already, rounded at
each weight's own threshold, and keeps the halves that it dropped beside them. The weights it sees are DeepSpeed's, many
of the model's one after the other: `layout` says where each begins.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from engine.parallel.fragments import Fragment
from engine.rounding import lower_half, restore, to_bfloat16

LOWER = "lower"
"""Key of the state of a weight: what rounding dropped of it, int16."""


class ExactAdamW(torch.optim.AdamW):
    """Between two steps the weights are bf16 numbers, held in fp32; `get` says what they are."""

    layout: Iterable[Fragment] = ()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update. A closure is not supported."""
        assert closure is None
        for part in self._reached():
            part.of_flat(part.flat).copy_(self.get(part))
        super().step()
        for part in self._reached():
            self.put(part, part.of_flat(part.flat))

    def get(self, part: Fragment) -> Tensor:
        """[count] fp32: the weights of a part, unrounded."""
        return restore(part.of_flat(part.flat).bfloat16(), part.of_flat(self._lower(part.flat)), part.start)

    @torch.no_grad()
    def put(self, part: Fragment, values: Tensor) -> None:
        """Have the weights of a part be `values` [count]: rounded, and what is dropped kept."""
        part.of_flat(self._lower(part.flat)).copy_(lower_half(values))
        part.of_flat(part.flat).copy_(to_bfloat16(values, part.start))

    def _lower(self, weight: Tensor) -> Tensor:
        """What rounding dropped of all the weights in one of DeepSpeed's, in place."""
        state = self.state[weight]
        if LOWER not in state:
            # AdamW makes its own state where there is none at all, so this one must not come alone.
            state["step"] = torch.zeros((), dtype=torch.float32)
            state |= {moment: torch.zeros_like(weight) for moment in ("exp_avg", "exp_avg_sq")}
            state[LOWER] = torch.zeros_like(weight, dtype=torch.int16)
        lower: Tensor = state[LOWER]
        return lower

    def _reached(self) -> Iterator[Fragment]:
        reached = {id(w) for group in self.param_groups for w in group["params"] if w.grad is not None}
        return (part for part in self.layout if id(part.flat) in reached)
