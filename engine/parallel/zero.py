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
from engine.parallel.exact_adamw import EXACT, ExactAdamW
from engine.parallel.fragments import Fragment, fragments, refresh
from engine.parallel.processes import Processes
from engine.policy import Policy
from engine.stored import OPTIMIZER, STEP, WEIGHTS, Piece, Stored, save_pieces


class Zero:
    """A policy under a DeepSpeed engine."""

    lockstep = True

    def __init__(
        self,
        policy: Policy,
        trained: Mapping[str, nn.Parameter],
        masters: Mapping[str, Tensor],
        settings: Optimizer,
        deepspeed: Mapping[str, Any],
        processes: Processes,
    ) -> None:
        """Cut `trained`, the policy's parameters by name, whose fp32 numbers are `masters`."""
        self.processes = processes
        self._trained = dict(trained)
        self._shapes = {name: tuple(p.shape) for name, p in trained.items()}
        plugin = DeepSpeedPlugin(hf_ds_config=dict(deepspeed))
        accelerator = Accelerator(deepspeed_plugin=plugin)
        rounds = any(masters[name] is not parameter for name, parameter in trained.items())
        optimizer = adamw(trained.values(), settings, ExactAdamW if rounds else torch.optim.AdamW)
        self._engine, wrapped = accelerator.prepare(policy, optimizer)
        self._zero: Any = wrapped.optimizer
        self._parts = list(fragments(self._zero, self._trained, self._shapes))
        self._exact = optimizer if isinstance(optimizer, ExactAdamW) else None
        if self._exact is not None:
            # DeepSpeed's fp32 numbers are made from the model's own, which are rounded.
            self._exact.layout = self._parts
            for part in self._parts:
                self._weight(part).copy_(part.of_whole(masters[part.name]))
            self._refresh()

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

    def drop_gradients(self) -> None:
        self._zero.zero_grad(set_to_none=True)

    # Checkpoints

    def save(self, folder: Path) -> None:
        weights, moments = dict[str, Piece](), dict[str, Piece]()
        for part in self._parts:
            weights[part.name] = Piece(part.start, self._weight(part).cpu(), part.shape)
            state = self._zero.optimizer.state.get(part.flat, {})
            for key, value in state.items():
                if key == EXACT:
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
            self._weight(part).copy_(stored.weight_part(part.name, part.start, part.count))
            kept = stored.moments_part(part.name, part.start, part.count)
            state = self._zero.optimizer.state.setdefault(part.flat, {})
            for key, value in kept.items():
                if key == STEP:
                    state[key] = value
                else:
                    part.of_flat(state.setdefault(key, torch.zeros_like(part.flat))).copy_(value)
        self._refresh()

    def _weight(self, part: Fragment) -> Tensor:
        """A fragment's numbers, unrounded and in place."""
        return part.of_flat(part.flat if self._exact is None else self._exact.exact_of(part.flat))

    def _refresh(self) -> None:
        """Write the fp32 numbers into what the model computes with."""
        if self._exact is not None:
            self._exact.round(part.flat for part in self._parts)
        refresh(self._zero)
