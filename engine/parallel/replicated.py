"""Every process holds all weights, gradients and moments: one device alone, or data parallelism.

Gradients are summed over the processes once a step, in fp32, after each has summed those of its own packs.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from engine.layout import PackLayout
from engine.models.weights import save_tensors, save_weights
from engine.optimizer import MasterWeights
from engine.parallel.processes import Processes
from engine.policy import Policy
from engine.stored import OPTIMIZER_FILE, WEIGHTS_FILE, Stored

BUCKET = 32 << 20
"""Numbers in one exchange: enough to fill a network, few enough to be a small part of the memory."""


class Replicated:
    """A policy and its master weights, alike in every process."""

    lockstep = False

    def __init__(self, policy: Policy, weights: MasterWeights, processes: Processes) -> None:
        self.policy = policy
        self.weights = weights
        self.processes = processes
        self.weights.compiled = policy.compiled and policy.base.device.type == "cpu"

    @property
    def size(self) -> int:
        return self.weights.size

    @property
    def forward(self) -> Callable[[PackLayout], Tensor]:
        return self.policy

    def backward(self, loss: Tensor) -> None:
        loss.backward()
        self.weights.take_gradients()

    def update(self, rate: float) -> float:
        sum_gradients(self.weights, self.processes)
        norm = self.weights.clip()
        if norm < float("inf"):
            self.weights.step(rate)
        else:
            self.weights.drop_gradients()
        return norm

    def rehearse(self, *, several_packs: bool) -> None:
        alone = self.processes.world == 1
        self.weights.rehearse(as_they_come=alone, summed=several_packs or not alone)

    def recover(self) -> None:
        """Nothing of a pass is left behind here."""

    def drop_gradients(self) -> None:
        self.weights.drop_gradients()

    def save(self, folder: Path) -> None:
        if self.processes.leads:
            shapes = {name: tuple(p.shape) for name, p in self.weights.parameters.items()}
            save_weights(shapes, self.weights.weight, folder / WEIGHTS_FILE)
            save_tensors(self.weights.state(), folder / OPTIMIZER_FILE)

    def load(self, stored: Stored) -> None:
        self.weights.load(stored.weight, stored.moments)


def sum_gradients(weights: MasterWeights, processes: Processes) -> None:
    """Sum the gradients of all processes, in fp32, bucket by bucket.

    A weight that no process has a gradient for stays without one.
    """
    if processes.world == 1:
        return
    names = list(weights.parameters)
    reached = torch.tensor([weights.has_gradient(name) for name in names], dtype=torch.int32)
    reached = processes.largest(reached.to(processes.device))
    wanted = [name for name, flag in zip(names, reached.tolist(), strict=True) if flag]
    for bucket in _buckets(weights, wanted):
        grads = [weights.wide_gradient(name) for name in bucket]
        flat = torch.cat([grad.flatten() for grad in grads])
        processes.sum_in_place(flat)
        for grad, summed in zip(grads, flat.split([grad.numel() for grad in grads]), strict=True):
            grad.copy_(summed.view_as(grad))


def _buckets(weights: MasterWeights, names: Sequence[str]) -> Iterator[list[str]]:
    bucket: list[str] = []
    size = 0
    for name in names:
        bucket.append(name)
        size += weights.parameters[name].numel()
        if size >= BUCKET:
            yield bucket
            bucket, size = [], 0
    if bucket:
        yield bucket
