"""A step that DeepSpeed skips, since its gradients are not finite, is never taken for one that it made."""

import math
from types import SimpleNamespace

import pytest

from engine.parallel.zero import Zero


@pytest.mark.parametrize(("applied", "expected"), [(True, 1.5), (False, math.inf)])
def test_the_norm_of_a_skipped_step_is_not_that_of_the_step_before(applied: bool, expected: float) -> None:
    zero = Zero.__new__(Zero)
    zero._zero = SimpleNamespace(param_groups=[{}])
    zero._engine = SimpleNamespace(
        step=lambda: None, was_step_applied=lambda: applied, get_global_grad_norm=lambda: 1.5
    )
    assert zero.update(1e-3) == expected
    assert zero._zero.param_groups == [{"lr": 1e-3}]
