"""A loss that couples the pairs of a step has the gradient of the whole step, whatever its packs and processes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from engine.config.schema import Objective
from engine.coupled import pull_of
from engine.data.prepared.pairs import Pair
from engine.objectives import PairLogps, pair_losses
from engine.pair_set import PairSet
from engine.parallel.replicated import Replicated
from engine.plan import Pack, StepPlan
from engine.trainer import Trainer
from tests.engine.runs import final_weights, make_run, of_type, train_here
from tests.engine.test_exactness import alone

KTO = ("objective.loss='kto_pair'", "export.enabled=false", "data.eval_fraction=0.4")
BETA = 0.1


def random_logps(pairs: int) -> PairLogps:
    generator = torch.Generator().manual_seed(0)
    return PairLogps.of(torch.randn(pairs, 6, generator=generator, dtype=torch.float64).cumsum(1))


def test_pulls_on_the_packs_of_a_step_have_the_gradient_of_its_loss() -> None:
    objective, table = Objective(loss="kto_pair"), random_logps(7).table()
    whole = table.clone().requires_grad_()
    losses = pair_losses(PairLogps.of(whole), objective)
    losses.sum().backward()

    packed = table.clone().requires_grad_()
    pulls = pull_of(PairLogps.of(table), objective).split([3, 0, 4])
    for pull, pack in zip(pulls, packed.split([3, 0, 4]), strict=True):
        pull.on(PairLogps.of(pack)).sum().backward()
    assert whole.grad is not None
    assert packed.grad is not None
    torch.testing.assert_close(packed.grad[:, :2], whole.grad[:, :2], rtol=1e-12, atol=0)
    assert torch.equal(torch.cat([pull.losses for pull in pulls]), losses.detach())


def test_a_step_of_several_packs_has_the_gradient_of_a_plain_pass_over_all_its_pairs(
    tmp_path: Path, model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}
    step, update = Trainer.step, Replicated.update

    def watched_step(self: Trainer, plan: StepPlan) -> dict[str, float]:
        if plan.step == 3:
            seen["packs"] = plan.packs[0]
            seen["pairs"] = [self.train.store[i] for pack in plan.packs[0] for i in pack]
        return step(self, plan)

    def watched_update(self: Replicated, rate: float) -> float:
        if "packs" in seen and "gradients" not in seen:
            names = self.weights.parameters
            seen["weights"] = {name: self.weights.weight(name).clone() for name in names}
            seen["gradients"] = {name: self.weights.wide_gradient(name).clone() for name in names}
        return update(self, rate)

    monkeypatch.setattr(Trainer, "step", watched_step)
    monkeypatch.setattr(Replicated, "update", watched_update)
    size = ("train.pairs_per_step=9", "train.tokens_per_pack=192", "train.max_steps=3")
    run = make_run(tmp_path, "run", model, pairs, *KTO, *size, "train.save_every=3")
    told = of_type(train_here(run), "step")[2]

    assert len(seen["packs"]) > 2
    loss, expected = plain_step(model, seen["pairs"], seen["weights"])
    assert told["loss"] == pytest.approx(loss, rel=1e-6)
    for name, gradient in seen["gradients"].items():
        gap = (gradient - expected[name]).norm() / expected[name].norm()
        assert gap < 1e-4, f"{name}: relative gradient error {gap:.2g}"


def plain_step(
    folder: Path, pairs: list[Pair], weights: dict[str, Tensor]
) -> tuple[float, dict[str, Tensor]]:
    """The loss over all 2B answers at once, and its gradients: each sequence through the model alone."""
    reference = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    policy = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    policy.load_state_dict(weights, strict=False)
    with torch.no_grad():
        before = [alone(reference, pair) for pair in pairs]
    after = [alone(policy, pair) for pair in pairs]
    a, b = (torch.stack([x[side] - y[side] for x, y in zip(after, before, strict=True)]) for side in (0, 1))
    none = torch.zeros(())
    chosen = 1 - torch.sigmoid(BETA * (a - torch.maximum(b.mean(), none)))
    rejected = 1 - torch.sigmoid(BETA * (torch.maximum(a.mean(), none) - b))
    loss = torch.cat([chosen, rejected]).mean()
    loss.backward()
    return float(loss.detach()), {name: p.grad for name, p in policy.named_parameters() if p.grad is not None}


def test_packs_of_any_size_give_the_same_training_and_the_same_evaluation(
    tmp_path: Path, model: Path, pairs: Path
) -> None:
    runs = [
        make_run(tmp_path, f"tokens{tokens}", model, pairs, f"train.tokens_per_pack={tokens}", *KTO)
        for tokens in (192, 4096)
    ]
    small, large = (train_here(run) for run in runs)
    for kind, metric in (
        ("step", "loss"),
        ("step", "grad_norm"),
        ("eval", "loss"),
        ("eval", "rewards/margins"),
    ):
        mine, theirs = ([event[metric] for event in of_type(events, kind)] for events in (small, large))
        assert mine == pytest.approx(theirs, rel=1e-5), (kind, metric)
    assert of_type(small, "packs")[0]["packs_per_step"] > of_type(large, "packs")[0]["packs_per_step"]
    ours, expected = (final_weights(run) for run in runs)
    for name, weight in expected.items():
        torch.testing.assert_close(ours[name], weight, rtol=0, atol=1e-5)


def test_an_evaluation_is_over_all_held_out_pairs_at_once(
    tmp_path: Path, model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[int] = []

    def counted(logps: PairLogps, objective: Objective) -> Tensor:
        judged.append(len(logps.policy_chosen))
        return pair_losses(logps, objective)

    monkeypatch.setattr("engine.trainer.pair_losses", counted)
    train_here(make_run(tmp_path, "run", model, pairs, *KTO, "train.tokens_per_pack=192"))
    assert judged == [12, 12, 12]


@pytest.mark.parametrize("checkpointing", ["false", "true"])
def test_both_passes_of_a_step_draw_the_same_dropout(
    tmp_path: Path, model: Path, pairs: Path, checkpointing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[Tensor] = []
    step, pair_logps = Trainer.step, Trainer.pair_logps

    def watched(self: Trainer, pairs: PairSet, pack: Pack) -> PairLogps:
        logps = pair_logps(self, pairs, pack)
        if pairs is self.train:
            passes.append(logps.chosen_ratio.detach())
        return logps

    def watched_step(self: Trainer, plan: StepPlan) -> dict[str, float]:
        passes.clear()
        return step(self, plan)

    monkeypatch.setattr(Trainer, "pair_logps", watched)
    monkeypatch.setattr(Trainer, "step", watched_step)
    lora = ("model.lora.rank=4", "model.lora.dropout=0.3", "optimizer.learning_rate=0.02")
    rest = (
        "train.pairs_per_step=9",
        "train.tokens_per_pack=192",
        f"train.gradient_checkpointing={checkpointing}",
    )
    train_here(make_run(tmp_path, "run", model, pairs, *KTO, *lora, *rest))
    half = len(passes) // 2
    assert half > 2
    for first, second in zip(passes[:half], passes[half:], strict=True):
        assert torch.equal(first, second)
        assert first.abs().max() > 0
