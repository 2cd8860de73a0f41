"""Where in DeepSpeed's flat tensors this process's part of each trained weight lies: all that is known of its insides.

ZeRO 1 and 2 lay all weights of a group out flat and give each process one range of it, which may begin in the middle of
a weight. ZeRO 3 gives each process an equal part of every weight, the last of them padded.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Fragment:
    """This process's part of a trained weight: `count` numbers of the weight laid out flat, from `start`.

    `flat` is what the optimizer updates, fp32, many fragments one after the other; this one begins at `offset` of it.
    """

    name: str
    shape: tuple[int, ...]
    start: int
    flat: Tensor
    offset: int
    count: int

    def of_flat(self, tensor: Tensor) -> Tensor:
        """[count] of a tensor shaped as `flat`, such as a moment, in place."""
        return tensor.detach().narrow(0, self.offset, self.count)

    def of_whole(self, tensor: Tensor) -> Tensor:
        """[count] of a tensor shaped as the whole weight."""
        return tensor.flatten().narrow(0, self.start, self.count)


def fragments(
    optimizer: Any, trained: Mapping[str, nn.Parameter], shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[Fragment]:
    """The fragments this process holds of the `trained` parameters, whose whole `shapes` are these."""
    for name, parameter in trained.items():
        found = (
            _of_stage_3(optimizer, parameter)
            if hasattr(parameter, "ds_id")
            else _of_flat_groups(optimizer, parameter)
        )
        if found is not None:
            start, flat, offset, count = found
            count = min(count, prod(shapes[name]) - start)
            if count > 0:
                yield Fragment(name, shapes[name], start, flat, offset, count)


def _of_flat_groups(optimizer: Any, parameter: nn.Parameter) -> tuple[int, Tensor, int, int] | None:
    mapping = parameter._hp_mapping  # type: ignore[attr-defined]
    if mapping is None:
        return None
    groups = getattr(optimizer, "single_partition_of_fp32_groups", None)
    if groups is None:
        groups = optimizer.fp32_groups_flat_partition  # of its optimizer for bf16 at stage 1
    there, here = mapping.lp_fragment_address, mapping.hp_fragment_address
    return there.start, groups[mapping.param_group_index], here.start, here.numel


def _of_stage_3(optimizer: Any, parameter: nn.Parameter) -> tuple[int, Tensor, int, int]:
    group, offset, count = optimizer.grad_position[optimizer.get_param_id(parameter)]
    rank = torch.distributed.get_rank(optimizer.dp_process_group)
    return rank * count, optimizer.fp32_partitioned_groups_flat[group], offset, count


@torch.no_grad()
def refresh(optimizer: Any) -> None:
    """Write the fp32 numbers into what the model computes with, in all processes."""
    if hasattr(optimizer, "update_lp_params"):
        optimizer.update_lp_params()
        return
    for group in range(len(optimizer.fp32_partitioned_groups_flat)):
        optimizer._reassign_or_swap_out_partitioned_parameters(group)
