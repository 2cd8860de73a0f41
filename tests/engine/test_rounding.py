"""bf16 copies of fp32 weights: exact where they can be, and on average wherever the weights are."""

import pytest
import torch

from engine.rounding import to_bfloat16, to_dtype

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


def test_other_types_are_torchs_own() -> None:
    weight = torch.randn(10, generator=G)
    assert torch.equal(to_dtype(weight, torch.float16), weight.half())
    assert to_dtype(weight, torch.float32) is weight
    assert torch.equal(to_dtype(weight.bfloat16(), torch.bfloat16), weight.bfloat16())
