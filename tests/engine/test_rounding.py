"""bf16 copies of fp32 weights: exact where they can be, and on average wherever the weights are."""

import pytest
import torch

from engine.memory import UPDATED
from engine.rounding import PERIOD, lower_half, restore, to_bfloat16, to_dtype

G = torch.Generator().manual_seed(0)


def test_bf16_numbers_stay_as_they_are() -> None:
    exact = torch.randn(3, 70_001, generator=G).bfloat16()
    special = torch.tensor([0.0, -0.0, float("inf"), -float("inf"), 1e-40]).bfloat16()
    for values in (exact, special):
        assert torch.equal(to_bfloat16(values.float()), values)
    assert to_bfloat16(torch.tensor([float("nan")])).isnan().all()


def test_every_weight_goes_to_a_neighbour() -> None:
    weight = torch.randn(200_000, generator=G)
    step = 2.0 ** (weight.abs().log2().floor() - 7)
    assert ((to_bfloat16(weight).float() - weight).abs() < step).all()


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, -0.1])
def test_a_small_move_shows_in_that_share_of_the_weights(share: float) -> None:
    start = torch.full((1 << 18,), 1.5)
    step = 2.0**-7
    moved = to_bfloat16(start + share * step).float() - 1.5
    assert float(moved.mean() / step) == pytest.approx(share, rel=0.01)
    assert set(moved.unique().tolist()) <= {-step, 0.0, step}


@pytest.mark.parametrize("size", [1, 576, PERIOD, PERIOD + 1, UPDATED["cpu"] + 17])
def test_nothing_is_lost_with_the_lower_half_beside(size: int) -> None:
    weight = torch.randn(size, generator=G)
    assert torch.equal(restore(to_bfloat16(weight), lower_half(weight)), weight)


def test_no_bits_are_lost_whatever_they_stand_for() -> None:
    """Infinities, what is not a number, and numbers below the least: all 2^16 upper halves with some lower ones."""
    upper = torch.arange(1 << 16, dtype=torch.int32) << 16
    for lower in (0, 1, 0x7FFF, 0x8000, 0xFFFF):
        weight = (upper | lower).view(256, 256).view(torch.float32)
        restored = restore(to_bfloat16(weight), lower_half(weight))
        assert torch.equal(restored.view(torch.int32), weight.view(torch.int32))


def test_parts_of_a_tensor_are_restored_where_they_begin() -> None:
    weight = torch.randn(3 * PERIOD, generator=G)
    start = PERIOD + 1234
    part, rounded = weight[start:], to_bfloat16(weight)[start:]
    assert torch.equal(to_bfloat16(part, start), rounded)
    assert torch.equal(restore(rounded, lower_half(part), start), part)


def test_bf16_numbers_have_no_lower_half() -> None:
    exact = torch.randn(100, generator=G).bfloat16()
    assert not lower_half(exact).any()
    assert torch.equal(restore(exact, lower_half(exact)), exact.float())


def test_other_types_are_torchs_own() -> None:
    weight = torch.randn(10, generator=G)
    assert torch.equal(to_dtype(weight, torch.float16), weight.half())
    assert to_dtype(weight, torch.float32) is weight
    assert torch.equal(to_dtype(weight.bfloat16(), torch.bfloat16), weight.bfloat16())
