"""AdamW on fp32 weights, whatever type the model computes in.

A DPO step moves a weight by about a hundredth of a bf16 ulp, so bf16 weights alone would never move. The weights that
are trained live here in fp32; the model holds copies in its computing type, written anew after every step. Gradients
of the packs of one step are summed in fp32.
"""

import math
from collections.abc import Iterable, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from engine.config.schema import Optimizer
from engine.kernels.update import BETAS, EPSILON, Trained, update
from engine.rounding import to_dtype
from engine.stored import MOMENTS

AdamW = TypeVar("AdamW", bound=torch.optim.AdamW)


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
    matrices, vectors = [w for w in parameters if w.ndim >= 2], [w for w in parameters if w.ndim < 2]
    parts = ((matrices, settings.weight_decay), (vectors, 0.0))
    groups = [{"params": params, "weight_decay": decay} for params, decay in parts if params]
    return kind(groups, lr=0.0, betas=BETAS, eps=EPSILON, fused=True)


def split_precision(
    model: nn.Module,
    trained: Mapping[str, nn.Parameter],
    dtype: torch.dtype,
    device: torch.device,
    *,
    adapters: bool,
) -> dict[str, Tensor]:
    """Cast the model to its computing type on `device`, weight by weight; returns the fp32 weights to train, by name.

    Adapters on a frozen base compute in fp32 and are their own master weights, as is a model that computes in fp32.
    Buffers stay as they are: rotary frequencies lose whole positions in bf16.
    """
    own = adapters or dtype == torch.float32
    # No copy: the cast below gives the model new storage, and the masters keep the old.
    masters = {name: p if own else p.detach().to(device) for name, p in trained.items()}
    assert all(weight.dtype == torch.float32 for weight in masters.values())
    for parameter in model.parameters():
        own_type = adapters and parameter.requires_grad
        moved = parameter.data.to(device)
        parameter.data = moved if own_type else to_dtype(moved, dtype)
    model.to(device)  # its buffers
    return masters


class MasterWeights:
    """The fp32 weights of the trained parameters, their gradients and their AdamW moments, all by parameter name."""

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], masters: Mapping[str, Tensor], settings: Optimizer
    ) -> None:
        """`masters` are what `split_precision` returned for `parameters`."""
        self.weights = dict(masters)
        self.settings = settings
        self.compiled = False
        self._copies = {name: p for name, p in parameters.items() if p is not self.weights[name]}
        self._first: dict[str, Tensor] = {}
        self._scale = 1.0
        self._adamw = adamw(self.weights.values(), settings, torch.optim.AdamW)

    @property
    def size(self) -> int:
        """How many weights are trained."""
        return sum(weight.numel() for weight in self.weights.values())

    # Gradients

    def take_gradients(self) -> None:
        """Move the gradients of the pack just done out of the model, onto the fp32 sum of the step.

        Those of the first pack wait in the model's type: in a step of one pack they are never copied.
        """
        for name, copy in self._copies.items():
            if copy.grad is None:
                continue
            weight = self.weights[name]
            if weight.grad is None and name not in self._first:
                self._first[name] = copy.grad
            else:
                self._widen(name)
                assert weight.grad is not None
                weight.grad += copy.grad
            copy.grad = None

    def _widen(self, name: str) -> None:
        """Make the sum of a parameter fp32."""
        if name in self._first:
            self.weights[name].grad = self._first.pop(name).float()

    def has_gradient(self, name: str) -> bool:
        """Whether a pack of this step has reached the parameter."""
        return self._grad(name) is not None

    def wide_gradient(self, name: str) -> Tensor:
        """The fp32 sum of a parameter's gradients, to be changed in place; zeros where none has come."""
        self._widen(name)
        weight = self.weights[name]
        if weight.grad is None:
            weight.grad = torch.zeros_like(weight)
        return weight.grad

    def drop_gradients(self) -> None:
        """Forget the gradients of a step that will not be taken."""
        self._adamw.zero_grad(set_to_none=True)
        self._first.clear()
        for copy in self._copies.values():
            copy.grad = None

    def clip(self) -> float:
        """Bound the gradients to `max_grad_norm` in the coming update; returns their L2 norm before."""
        grads = [self._grad(name) for name in self.weights]
        norms = [torch.linalg.vector_norm(g, dtype=torch.float32) for g in grads if g is not None]
        norm = float(torch.linalg.vector_norm(torch.stack(norms))) if norms else 0.0
        limit = self.settings.max_grad_norm or math.inf
        self._scale = min(1.0, limit / (norm + 1e-6))
        return norm

    def _grad(self, name: str) -> Tensor | None:
        return self._first.get(name, self.weights[name].grad)

    # The update

    def step(self, rate: float) -> None:
        """One AdamW update at learning rate `rate`, then the model's copies are written."""
        if self.compiled:
            self._step_compiled(rate)
        else:
            self._step_by_torch(rate)
        self.drop_gradients()

    def _step_by_torch(self, rate: float) -> None:
        for name, weight in self.weights.items():
            self._widen(name)
            if weight.grad is not None and self._scale < 1:
                weight.grad *= self._scale
        for group in self._adamw.param_groups:
            group["lr"] = rate
        self._adamw.step()
        self.write_model()

    @torch.no_grad()
    def _step_compiled(self, rate: float) -> None:
        """All of it in one pass a parameter, model copy included."""
        decays = {id(w): g["weight_decay"] for g in self._adamw.param_groups for w in g["params"]}
        for name, weight in self.weights.items():
            grad = self._grad(name)
            if grad is None:
                continue
            state = self._state(weight)
            state["step"] += 1
            trained = Trained(
                weight=weight.detach(),
                average=state["exp_avg"],
                square=state["exp_avg_sq"],
                grad=grad.contiguous(),
                copy=self._copies[name].detach() if name in self._copies else None,
            )
            update(trained, step=int(state["step"]), rate=rate, decay=decays[id(weight)], scale=self._scale)

    def _state(self, weight: Tensor) -> dict[str, Tensor]:
        """AdamW's own state of a parameter, made where there is none yet."""
        state: dict[str, Tensor] = self._adamw.state[weight]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        return state

    @torch.no_grad()
    def write_model(self) -> None:
        """Round the fp32 weights into the model."""
        for name, copy in self._copies.items():
            copy.copy_(to_dtype(self.weights[name], copy.dtype))

    # Checkpoints

    def state(self) -> dict[str, Tensor]:
        """The AdamW moments as flat tensors: `<parameter>.exp_avg`, `.exp_avg_sq` and `.step`."""
        return {
            f"{name}.{key}": value
            for name, weight in self.weights.items()
            for key, value in self._adamw.state.get(weight, {}).items()
        }

    @torch.no_grad()
    def load(self, weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
        """Put back what `weights` and `state()` held at a checkpoint."""
        for name, weight in self.weights.items():
            weight.copy_(weights[name])
            self._adamw.state[weight] = {  # empty for a weight that no gradient has reached
                key: state[f"{name}.{key}"].to(weight.device) for key in MOMENTS if f"{name}.{key}" in state
            }
        self.write_model()
