"""AdamW on fp32 weights, whatever type the model computes in.

A DPO step moves a weight by about a hundredth of a bf16 ulp, so bf16 weights alone would never move. The weights that
are trained live here in fp32; the model holds copies in its computing type, written anew after every step. Gradients
of the packs of one step are summed in fp32.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from engine.config.schema import Optimizer
from engine.rounding import to_dtype

MOMENTS = ("step", "exp_avg", "exp_avg_sq")


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


def split_precision(
    model: nn.Module, trained: Mapping[str, nn.Parameter], dtype: torch.dtype, adapters: bool
) -> dict[str, Tensor]:
    """Cast the model to its computing type; returns the fp32 weights to train, by name.

    Adapters on a frozen base compute in fp32 and are their own master weights, as is a model that computes in fp32.
    Buffers stay as they are: rotary frequencies lose whole positions in bf16.
    """
    own = adapters or dtype == torch.float32
    # No copy: the cast below gives the model new storage, and the masters keep the old.
    masters = {name: p if own else p.detach() for name, p in trained.items()}
    assert all(weight.dtype == torch.float32 for weight in masters.values())
    for parameter in model.parameters():
        if not (adapters and parameter.requires_grad):
            parameter.data = to_dtype(parameter.data, dtype)
    return masters


class MasterWeights:
    """The fp32 weights of the trained parameters, their gradients and their AdamW moments, all by parameter name."""

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], masters: Mapping[str, Tensor], settings: Optimizer
    ) -> None:
        """`masters` are what `split_precision` returned for `parameters`."""
        self.weights = dict(masters)
        self.settings = settings
        self._copies = {name: p for name, p in parameters.items() if p is not self.weights[name]}
        self._adamw = torch.optim.AdamW(self._groups(), lr=0.0, betas=(0.9, 0.999), eps=1e-8, fused=True)

    def _groups(self) -> list[dict[str, object]]:
        """Weight decay for matrices, none for norms and biases."""
        matrices = [w for w in self.weights.values() if w.ndim >= 2]
        vectors = [w for w in self.weights.values() if w.ndim < 2]
        groups = ((matrices, self.settings.weight_decay), (vectors, 0.0))
        return [{"params": params, "weight_decay": decay} for params, decay in groups if params]

    def take_gradients(self) -> None:
        """Move the gradients of the pack just done out of the model, onto the fp32 sum of the step."""
        for name, copy in self._copies.items():
            if copy.grad is None:
                continue
            weight = self.weights[name]
            if weight.grad is None:
                weight.grad = copy.grad.float()
            else:
                weight.grad += copy.grad
            copy.grad = None

    def drop_gradients(self) -> None:
        """Forget the gradients of a step that will not be taken."""
        self._adamw.zero_grad(set_to_none=True)
        for copy in self._copies.values():
            copy.grad = None

    def clip(self) -> float:
        """Scale the gradients to `max_grad_norm`; returns their L2 norm before."""
        limit = self.settings.max_grad_norm or math.inf
        return float(nn.utils.clip_grad_norm_(self.weights.values(), limit))

    def step(self, rate: float) -> None:
        """One AdamW update at learning rate `rate`, then the model's copies are written."""
        for group in self._adamw.param_groups:
            group["lr"] = rate
        self._adamw.step()
        self.drop_gradients()
        self.write_model()

    @torch.no_grad()
    def write_model(self) -> None:
        """Round the fp32 weights into the model."""
        for name, copy in self._copies.items():
            copy.copy_(to_dtype(self.weights[name], copy.dtype))

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
