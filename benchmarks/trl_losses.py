"""Losses and gradients of TRL 1.16's own loss code, for pairs whose log-probabilities are given: no model, ten seconds.

    python -m benchmarks.trl_losses [--write]

Computes in fp64 what `DPOTrainer._compute_loss` makes of the pairs in tests/engine/trl_losses.json, and compares it
with what that file says it makes of them, and with this product's losses. Exits with 1 if a number differs by more than
1e-9 of it. The tests hold the product against the file, so that they need no TRL; `--write` writes the file again.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from trl import DPOTrainer

from engine.config.schema import Objective
from engine.objectives import PairLogps, pair_losses

FILE = Path(__file__).parents[1] / "tests" / "engine" / "trl_losses.json"
TOLERANCE = 1e-9
CASES: Sequence[Mapping[str, Any]] = (
    {"loss": "sigmoid", "beta": 0.1},
    {"loss": "sigmoid", "beta": 0.5},
    {"loss": "ipo", "beta": 0.1},
    {"loss": "ipo", "beta": 0.02},
    {"loss": "hinge", "beta": 0.1},
    {"loss": "hinge", "beta": 0.02},
    {"loss": "robust", "beta": 0.1, "label_smoothing": 0.1},
    {"loss": "robust", "beta": 0.3, "label_smoothing": 0.35},
    {"loss": "sppo_hard", "beta": 0.1},
    {"loss": "sppo_hard", "beta": 0.5},
    {"loss": "nca_pair", "beta": 0.1},
    {"loss": "nca_pair", "beta": 0.4},
)
"""Without sigmoid's label smoothing, which TRL 1.16 leaves out of account, and kto_pair, which it does not have."""


class Alone:
    """What the loss asks of accelerate, in one process on a CPU."""

    device = torch.device("cpu")

    def gather(self, values: Tensor) -> Tensor:
        return values

    gather_for_metrics = gather


def main() -> int:
    """Compare, or write; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="write the file again")
    write = parser.parse_args().write
    recorded = json.loads(FILE.read_text(encoding="utf-8"))
    logps = logps_of(recorded["pairs"])
    found = [{**case, **outcome(trl_loss, logps, Objective(**case))} for case in CASES]
    if write:
        text = json.dumps({"pairs": recorded["pairs"], "cases": found}, indent=1)
        FILE.write_text(text + "\n", encoding="utf-8")
    kept = found if write else recorded["cases"]
    mine = [outcome(lambda *of: pair_losses(*of).mean(), logps, Objective(**case)) for case in CASES]
    return report(found, kept, mine)


def logps_of(pairs: Mapping[str, Sequence[float]]) -> PairLogps:
    """The pairs of the file, in fp64."""
    return PairLogps(**{name: torch.tensor(values, dtype=torch.float64) for name, values in pairs.items()})


def outcome(loss: Any, logps: PairLogps, objective: Objective) -> dict[str, Any]:
    """The mean loss of the pairs, and its gradient in their log-probabilities."""
    sides = logps.policy_chosen.requires_grad_(), logps.policy_rejected.requires_grad_()
    value = loss(logps, objective)
    chosen, rejected = torch.autograd.grad(value, sides)
    return {"mean": value.item(), "chosen": chosen.tolist(), "rejected": rejected.tolist()}


def trl_loss(logps: PairLogps, objective: Objective) -> Tensor:
    """The mean loss, by TRL's own code: a trainer without a model, whose outputs are given."""
    trainer: Any = object.__new__(DPOTrainer)
    trainer.accelerator = Alone()
    trainer.model = SimpleNamespace(training=True)
    trainer.aux_loss_enabled, trainer.use_weighting, trainer.precompute_ref_logps = False, False, True
    trainer.ld_alpha, trainer.f_divergence_type = None, "reverse_kl"
    trainer.loss_types, trainer.loss_weights = [objective.loss], [1.0]
    trainer.beta, trainer.label_smoothing = objective.beta, objective.label_smoothing
    trainer._metrics, trainer._total_train_tokens, trainer._tp_size = {"train": defaultdict(list)}, 0, 1

    lengths = torch.cat([logps.chosen_length, logps.rejected_length]).long()
    completion = torch.arange(int(lengths.max()) + 1)[None] <= lengths[:, None]
    completion[:, 0] = False  # the prompt, of one token
    each = torch.cat([logps.policy_chosen, logps.policy_rejected]) / lengths
    scored = each[:, None] * completion[:, 1:]  # [2B, T - 1]: all tokens of a completion are as likely
    nothing = torch.zeros_like(scored)
    outputs = SimpleNamespace(
        log_probs=scored,
        entropy=nothing,
        mean_logits=nothing,
        is_top1=nothing.bool(),
        log_sum_sq_probs=nothing,
    )
    inputs = {
        "input_ids": torch.ones_like(completion, dtype=torch.long),
        "attention_mask": torch.ones_like(completion, dtype=torch.long),
        "completion_mask": completion.long(),
        "ref_chosen_logps": logps.reference_chosen,
        "ref_rejected_logps": logps.reference_rejected,
    }
    loss: Tensor = trainer._compute_loss(lambda **_: outputs, inputs, return_outputs=False)
    return loss


def report(found: Sequence[Any], kept: Sequence[Any], mine: Sequence[Any]) -> int:
    """A line for each case: the loss, and how far the file and the product are from TRL; returns the exit code."""
    print(f"{'loss':<10} {'beta':>5} {'e':>5} {'TRL 1.16':>16} {'file':>8} {'here':>8}")
    worst = 0.0
    for trl, file, here in zip(found, kept, mine, strict=True):
        gaps = [distance(trl, file), distance(trl, here)]
        worst = max(worst, *gaps)
        smoothing = trl.get("label_smoothing", 0.0)
        told = " ".join(f"{gap:>8.0e}" for gap in gaps)
        print(f"{trl['loss']:<10} {trl['beta']:>5} {smoothing:>5} {trl['mean']:>16.12f} {told}")
    print(f"largest difference of a loss or a gradient {worst:.0e} of it (allowed {TOLERANCE:.0e})")
    return 0 if worst <= TOLERANCE else 1


def distance(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Largest difference of a number of two outcomes, as a share of it, or of 1 if it is smaller."""
    return max(abs(a - b) / max(1.0, abs(a)) for a, b in zip(numbers(one), numbers(other), strict=True))


def numbers(case: Mapping[str, Any]) -> list[float]:
    """The loss of an outcome, and its gradients."""
    return [case["mean"], *case["chosen"], *case["rejected"]]


if __name__ == "__main__":
    sys.exit(main())
