"""Weights, gradients and moments cut among the processes by DeepSpeed's ZeRO: stages 1 to 3, offloaded or not.

Each process holds a *fragment* of every trained tensor, a range of it laid out flat. A checkpoint is these fragments:
no pickle, and no number of processes that it would be bound to.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DeepSpeedPlugin
from torch import Tensor, nn

from engine.config.schema import Optimizer
from engine.layout import PackLayout
from engine.optimizer import adamw
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
        self._engine, wrapped = accelerator.prepare(policy, adamw(trained.values(), settings))
        self._zero: Any = wrapped.optimizer
        # DeepSpeed's fp32 numbers are made from the model's own, which bf16 has rounded.
        if any(masters[name] is not parameter for name, parameter in trained.items()):
            for part in self._fragments():
                part.weight.copy_(part.of_whole(masters[part.name]))
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
        norm = self._engine.get_global_grad_norm()
        return float(norm)

    def drop_gradients(self) -> None:
        self._zero.zero_grad(set_to_none=True)

    # Checkpoints

    def save(self, folder: Path) -> None:
        weights, moments = dict[str, Piece](), dict[str, Piece]()
        for part in self._fragments():
            weights[part.name] = Piece(part.start, part.weight.cpu(), part.shape)
            state = self._zero.optimizer.state.get(part.flat, {})
            for key, value in state.items():
                whole = key == STEP
                values = value.clone() if whole else part.of_flat(value)
                shape = () if whole else part.shape
                moments[f"{part.name}.{key}"] = Piece(0 if whole else part.start, values.cpu(), shape)
        for kind, pieces in ((WEIGHTS, weights), (OPTIMIZER, moments)):
            save_pieces(folder, kind, self.processes.rank, self.processes.world, pieces)

    @torch.no_grad()
    def load(self, stored: Stored) -> None:
        for part in self._fragments():
            count = part.weight.numel()
            part.weight.copy_(stored.weight_part(part.name, part.start, count))
            kept = stored.moments_part(part.name, part.start, count)
            state = self._zero.optimizer.state.setdefault(part.flat, {})
            for key, value in kept.items():
                if key == STEP:
                    state[key] = value
                else:
                    part.of_flat(state.setdefault(key, torch.zeros_like(part.flat))).copy_(value)
        refresh(self._zero)

    def _fragments(self) -> Iterator[Fragment]:
        return fragments(self._zero, self._trained, self._shapes)
