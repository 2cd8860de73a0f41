"""Entropy and token accuracy: of every scored row, only where they are told, and log-probabilities round as without."""

from pathlib import Path

import pytest
import torch

from engine.kernels.compiled import CompiledFold
from engine.kernels.fold import EAGER, Fold
from engine.policy import Policy, TokenStats
from tests.engine.runs import make_run, of_type, train_here
from tests.tiny import random_pairs, tiny_model

PAIRS = random_pairs(6)
CPU = torch.device("cpu")


@torch.no_grad()
@pytest.mark.parametrize("fold", [EAGER, CompiledFold()], ids=["eager", "compiled"])
def test_they_are_those_of_the_distributions(fold: Fold) -> None:
    policy, told = Policy(tiny_model(), fold=fold), TokenStats(CPU)
    pack = policy.lay_out(PAIRS)
    untold = policy(pack)
    with policy.telling(told):
        assert torch.equal(policy(pack), untold)
    assert torch.equal(policy(pack), untold)

    entropies, hits = [], []
    for pair in PAIRS:
        for ids, start, counts in (
            (pair.chosen, pair.chosen_start, 1),
            (pair.rejected, pair.rejected_start, 0),
        ):
            tokens = torch.from_numpy(ids).long()
            logits = policy.base(input_ids=tokens[None]).logits[0, start - 1 : -1]
            entropies.append(torch.distributions.Categorical(logits=logits).entropy())
            hits += [logits.argmax(-1) == tokens[start:]] * counts
    entropy, rows, right, chosen = told.sums.tolist()
    assert rows == sum(len(part) for part in entropies)
    assert entropy == pytest.approx(float(torch.cat(entropies).sum()), rel=1e-4)
    assert (right, chosen) == (float(torch.cat(hits).sum()), len(torch.cat(hits)))


def test_step_events_tell_them_where_a_step_is_logged(tmp_path: Path, model: Path, pairs: Path) -> None:
    run = make_run(tmp_path, "told", model, pairs, "train.log_every=2")
    steps = of_type(train_here(run), "step")
    assert [event["step"] for event in steps] == [2, 4, 6]
    for event in steps:
        assert 0 < event["entropy"] < 20
        assert 0 <= event["mean_token_accuracy"] <= 1
