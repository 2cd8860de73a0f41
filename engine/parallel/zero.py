"""Weights, gradients and moments cut among the processes by DeepSpeed's ZeRO: stages 1 to 3, offloaded or not.

Each process holds a *fragment* of every trained tensor, a range of it laid out flat. A checkpoint is these fragments:
no pickle, and no number of processes that it would be bound to.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DeepSpeedPlugin
from torch import Tensor, nn

from engine.config.schema import Optimizer
from engine.layout import PackLayout
from engine.optimizer import adamw
from engine.parallel.exact_adamw import LOWER, ExactAdamW
from engine.parallel.fragments import Fragment, fragments, refresh
from engine.parallel.processes import Processes
from engine.policy import Policy
from engine.stored import OPTIMIZER, STEP, WEIGHTS, Piece, Stored, save_pieces
from engine.whole import whole_shape


def divide(model: nn.Module, deepspeed: Mapping[str, Any], device: torch.device) -> None:
    """Cut a model's parameters among the processes for ZeRO 3, one after the other: never is it whole on a device.

    Called by all processes alike, each with the whole model in its host's memory. The buffers go to the device.
    """
    import deepspeed as library

    library.init_distributed(verbose=False)  # gives DeepSpeed the process group there is
    library.zero.Init(module=model, config_dict_or_path=dict(deepspeed))
    for buffer in model.buffers():
        buffer.data = buffer.data.to(device)


class Zero:
    """A policy under a DeepSpeed engine."""

    lockstep = True

    def __init__(
        self,
        policy: Policy,
        trained: Mapping[str, nn.Parameter],
        exact: Mapping[str, Tensor],
        settings: Optimizer,
        deepspeed: Mapping[str, Any],
        processes: Processes,
    ) -> None:
        """Cut `trained`, the policy's parameters by name. Those that are rounded are in truth what `exact` says.

        For ZeRO 3 they have been cut already, by `divide`.
        """
        self.processes = processes
        self._trained = dict(trained)
        self._shapes = {name: whole_shape(p) for name, p in trained.items()}
        plugin = DeepSpeedPlugin(hf_ds_config=dict(deepspeed))
        accelerator = Accelerator(deepspeed_plugin=plugin)
        optimizer = adamw(trained.values(), settings, ExactAdamW if exact else torch.optim.AdamW)
        self._engine, wrapped = accelerator.prepare(policy, optimizer)
        self._zero: Any = wrapped.optimizer
        self._parts = list(fragments(self._zero, self._trained, self._shapes))
        self._exact = optimizer if isinstance(optimizer, ExactAdamW) else None
        if self._exact is not None:
            # DeepSpeed's fp32 numbers are made from the model's own, which are rounded.
            self._exact.layout = self._parts
            for part in self._parts:
                self._exact.put(part, part.of_whole(exact[part.name]).to(part.flat))
            refresh(self._zero)

    @property
    def size(self) -> int:
        return sum(torch.Size(shape).numel() for shape in self._shapes.values())

    @property
    def forward(self) -> Callable[[PackLayout], Tensor]:
        forward: Callable[[PackLayout], Tensor] = self._engine
        return forward

    def backward(self, loss: Tensor) -> None:
        """DeepSpeed takes the mean over processes, so the sum needs their number as a factor."""
        self._engine.backward(loss * self.processes.world)

    def update(self, rate: float) -> float:
        for group in self._zero.param_groups:
            group["lr"] = rate
        self._engine.step()
        if not self._engine.was_step_applied():  # the norm it tells is then of another step
            return math.inf
        return float(self._engine.get_global_grad_norm())

    def rehearse(self, *, several_packs: bool) -> None:
        """DeepSpeed's update compiles nothing."""

    def recover(self) -> None:
        self._engine.empty_partition_cache()

    def drop_gradients(self) -> None:
        self._zero.zero_grad(set_to_none=True)

    # Checkpoints

    def save(self, folder: Path) -> None:
        weights, moments = dict[str, Piece](), dict[str, Piece]()
        for part in self._parts:
            weights[part.name] = Piece(part.start, self._weight(part).cpu(), part.shape)
            state = self._zero.optimizer.state.get(part.flat, {})
            for key, value in state.items():
                if key == LOWER:
                    continue
                whole = key == STEP
                values = value.clone() if whole else part.of_flat(value)
                shape = () if whole else part.shape
                moments[f"{part.name}.{key}"] = Piece(0 if whole else part.start, values.cpu(), shape)
        for kind, pieces in ((WEIGHTS, weights), (OPTIMIZER, moments)):
            save_pieces(folder, kind, self.processes.rank, self.processes.world, pieces)

    @torch.no_grad()
    def load(self, stored: Stored) -> None:
        for part in self._parts:
            self._put(part, stored.weight_part(part.name, part.start, part.count).to(part.flat.device))
            kept = stored.moments_part(part.name, part.start, part.count)
            state = self._zero.optimizer.state.setdefault(part.flat, {})
            for key, value in kept.items():
                if key == STEP:
                    state[key] = value
                else:
                    part.of_flat(state.setdefault(key, torch.zeros_like(part.flat))).copy_(value)
        refresh(self._zero)

    def _weight(self, part: Fragment) -> Tensor:
        """A fragment's numbers, unrounded."""
        return part.of_flat(part.flat) if self._exact is None else self._exact.get(part)

    def _put(self, part: Fragment, values: Tensor) -> None:
        """Have a fragment be these numbers."""
        if self._exact is None:
            part.of_flat(part.flat).copy_(values)
        else:
            self._exact.put(part, values)
