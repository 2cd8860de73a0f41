"""AdamW on fp32 weights, whatever type the model computes in.

A DPO step moves a weight by about a hundredth of a bf16 ulp, so bf16 weights alone would never move. What a model that
computes in bf16 holds are its fp32 weights, rounded; the halves that rounding drops live here, and both together are
the fp32 weight (`engine.rounding`). Gradients of the packs of one step are summed in fp32.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from engine.config.schema import Optimizer
from engine.kernels.update import BETAS, EPSILON, Trained, update, update_by_torch
from engine.models.nf4 import place
from engine.rounding import lower_half, restore, to_dtype
from engine.stored import STEP
from engine.whole import whole_shape

AdamW = TypeVar("AdamW", bound=torch.optim.AdamW)

NORM_PART = 1 << 20
"""Numbers of a gradient whose norm is taken at once."""


def learning_rate(settings: Optimizer, step: int, total_steps: int) -> float:
    """Learning rate of `step` (from 1): transformers' schedules, so the first step of a warm-up has rate 0."""
    done = step - 1
    warmup = min(math.ceil(settings.warmup_ratio * total_steps), total_steps - 1)
    if done < warmup:
        return settings.learning_rate * done / warmup
    if settings.schedule == "constant":
        return settings.learning_rate
    progress = (done - warmup) / max(1, total_steps - warmup)
    share = 1 - progress if settings.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
    return settings.learning_rate * share


def adamw(weights: Iterable[Tensor], settings: Optimizer, kind: type[AdamW]) -> AdamW:
    """AdamW of a kind, with weight decay for matrices and none for norms and biases. Each step sets its rate."""
    parameters = list(weights)
    matrices = [w for w in parameters if decays(w)]
    vectors = [w for w in parameters if not decays(w)]
    parts = ((matrices, settings.weight_decay), (vectors, 0.0))
    groups = [{"params": params, "weight_decay": decay} for params, decay in parts if params]
    return kind(groups, lr=0.0, betas=BETAS, eps=EPSILON, fused=True)


def decays(weight: Tensor) -> bool:
    """Whether weight decay is for it: for matrices, not for norms and biases."""
    return len(whole_shape(weight)) >= 2


def lower_halves(trained: Mapping[str, nn.Parameter], device: torch.device) -> dict[str, Tensor]:
    """What bf16 will drop of the weights to train, on `device`, by name: to be taken before `cast_model`."""
    return {name: lower_half(parameter.detach().to(device)) for name, parameter in trained.items()}


def cast_model(model: nn.Module, dtype: torch.dtype, device: torch.device, *, adapters: bool) -> None:
    """Have a model compute in `dtype` on `device`, weight by weight.

    Adapters on a frozen base compute in fp32. Buffers stay: rotary frequencies lose whole positions in bf16.
    """
    place(model, dtype, device)
    for parameter in model.parameters():
        if not parameter.is_floating_point():
            continue
        own_type = adapters and parameter.requires_grad
        moved = parameter.data.to(device).contiguous()
        parameter.data = moved if own_type else to_dtype(moved, dtype)
    model.to(device)  # its buffers


class MasterWeights:
    """The trained parameters as fp32 weights, their gradients and their AdamW moments, all by parameter name."""

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], lower: Mapping[str, Tensor], settings: Optimizer
    ) -> None:
        """`lower` are the `lower_halves` of the parameters that the model computes with in bf16."""
        self.parameters = dict(parameters)
        self.settings = settings
        self.compiled = False
        self._lower = dict(lower)
        self._first: dict[str, Tensor] = {}
        self._sums: dict[str, Tensor] = {}
        self._moments: dict[str, dict[str, Tensor]] = {}
        self._scale = 1.0

    @property
    def size(self) -> int:
        """How many weights are trained."""
        return sum(parameter.numel() for parameter in self.parameters.values())

    def weight(self, name: str) -> Tensor:
        """A weight in fp32: the parameter's own, or put together anew."""
        parameter = self.parameters[name].detach()
        return restore(parameter, self._lower[name]) if name in self._lower else parameter

    # Gradients

    def take_gradients(self) -> None:
        """Move the gradients of the pack just done onto the fp32 sum of the step, where the model's are bf16.

        Those of the first pack wait in the model's type: in a step of one pack they are never copied.
        """
        for name in self._lower:
            parameter = self.parameters[name]
            if parameter.grad is None:
                continue
            if self.has_gradient(name):
                self.wide_gradient(name).add_(parameter.grad)
            else:
                self._first[name] = parameter.grad
            parameter.grad = None

    def has_gradient(self, name: str) -> bool:
        """Whether a pack of this step has reached the parameter."""
        return self._grad(name) is not None

    def wide_gradient(self, name: str) -> Tensor:
        """The fp32 sum of a parameter's gradients, to be changed in place; zeros where none has come."""
        grad = self._grad(name)
        wide = torch.zeros_like(self.parameters[name], dtype=torch.float32) if grad is None else grad.float()
        if name in self._lower:
            self._first.pop(name, None)
            self._sums[name] = wide
        else:
            self.parameters[name].grad = wide
        return wide

    def drop_gradients(self) -> None:
        """Forget the gradients of a step that will not be taken."""
        self._first.clear()
        self._sums.clear()
        for parameter in self.parameters.values():
            parameter.grad = None

    def clip(self) -> float:
        """Bound the gradients to `max_grad_norm` in the coming update; returns their L2 norm before."""
        grads = [self._grad(name) for name in self.parameters]
        norms = [_norms(grad) for grad in grads if grad is not None]
        norm = float(torch.linalg.vector_norm(torch.cat(norms))) if norms else 0.0
        limit = self.settings.max_grad_norm or math.inf
        self._scale = min(1.0, limit / (norm + 1e-6))
        return norm

    def _grad(self, name: str) -> Tensor | None:
        if name in self._lower:
            return self._first.get(name, self._sums.get(name))
        return self.parameters[name].grad

    # The update

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One AdamW update at learning rate `rate`, of the weights that a gradient has reached."""
        for decaying in (True, False):
            names = self._reached(decaying)
            trained, steps = [self._trained(name) for name in names], [self._count(name) for name in names]
            settings = {"rate": rate, "decay": self.settings.weight_decay * decaying, "scale": self._scale}
            if self.compiled:
                for one, step in zip(trained, steps, strict=True):
                    update(one, step=step, **settings)
            else:
                update_by_torch(trained, steps, **settings)
        self.drop_gradients()

    @torch.no_grad()
    def rehearse(self, *, as_they_come: bool, summed: bool) -> None:
        """An update by gradients and a rate of zero, which changes no bit: where it is compiled, it is so from here on.

        For gradients `as_they_come` from a pack, in the model's type, and for `summed` ones, in fp32.
        """
        if not self.compiled:
            return
        kinds = {(p.shape, p.dtype): (name, p.detach()) for name, p in self.parameters.items()}
        for name, weight in kinds.values():
            for dtype in {*[weight.dtype] * as_they_come, *[torch.float32] * summed}:
                still = [torch.zeros_like(weight, dtype=torch.float32) for _ in range(2)]
                grad = torch.zeros_like(weight, dtype=dtype)
                trained = Trained(
                    weight=weight, lower=self._lower.get(name), average=still[0], square=still[1], grad=grad
                )
                update(trained, step=1, rate=0.0, decay=0.0, scale=1.0)

    def _reached(self, decaying: bool) -> list[str]:
        """The weights that have gradients, with weight decay or without."""
        reached = [name for name in self.parameters if self.has_gradient(name)]
        return [name for name in reached if decays(self.parameters[name]) == decaying]

    def _trained(self, name: str) -> Trained:
        grad, state = self._grad(name), self._state(name)
        assert grad is not None
        return Trained(
            weight=self.parameters[name].detach(),
            lower=self._lower.get(name),
            average=state["exp_avg"],
            square=state["exp_avg_sq"],
            grad=grad.contiguous(),
        )

    def _count(self, name: str) -> int:
        """Count the update that a weight is about to have."""
        self._moments[name][STEP] += 1
        return int(self._moments[name][STEP])

    def _state(self, name: str) -> dict[str, Tensor]:
        """AdamW's state of a parameter, made where there is none yet."""
        if name not in self._moments:
            zeros = [torch.zeros_like(self.parameters[name], dtype=torch.float32) for _ in range(2)]
            self._moments[name] = {STEP: torch.zeros(()), "exp_avg": zeros[0], "exp_avg_sq": zeros[1]}
        return self._moments[name]

    # Checkpoints

    def state(self) -> dict[str, Tensor]:
        """The AdamW moments as flat tensors: `<parameter>.exp_avg`, `.exp_avg_sq` and `.step`."""
        return {
            f"{name}.{key}": value for name, state in self._moments.items() for key, value in state.items()
        }

    @torch.no_grad()
    def load(self, weight: Callable[[str], Tensor], moments: Callable[[str], Mapping[str, Tensor]]) -> None:
        """Put back what a checkpoint has of each parameter: its fp32 weight, and AdamW's state, which may be empty."""
        for name, parameter in self.parameters.items():
            exact = weight(name)
            parameter.copy_(to_dtype(exact, parameter.dtype))
            if name in self._lower:
                self._lower[name].copy_(lower_half(exact))
            if state := moments(name):
                self._moments[name] = {
                    key: value if key == STEP else value.to(parameter.device) for key, value in state.items()
                }


def _norms(grad: Tensor) -> Tensor:
    """[n] fp32: L2 norms of a gradient's parts.

    Of a whole one torch makes an fp32 copy first, and adds up 150 million numbers with an error of 2 % (torch 2.13).
    The results have their place before the parts' copies do: each copy then takes the memory of the one before.
    """
    rows = torch.atleast_1d(grad)
    parts = rows.split(max(1, NORM_PART // max(1, rows[0].numel())))
    norms = torch.empty(len(parts), device=grad.device)
    for part, norm in zip(parts, norms, strict=True):
        torch.linalg.vector_norm(part, dtype=torch.float32, out=norm)
    return norms
