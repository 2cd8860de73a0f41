"""The best loop one writes by hand on top of transformers."""

import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from benchmarks.contest import Measured, dpo_loss, steps_of, timed
from engine.config.schema import Config
from engine.data.prepared.pairs import Pair
from engine.models.load import load_model
from engine.rundir.paths import RunDir


def train(run: RunDir, config: Config, steps: int) -> Measured:
    """Padded sequences, fp32 weights under bf16 autocast, scored rows only, a cached reference, fused AdamW."""
    start = time.perf_counter()
    model = load_model(config.model).model.train()
    adamw = torch.optim.AdamW(
        model.parameters(), lr=config.optimizer.learning_rate, weight_decay=0.0, fused=True
    )
    batches, bf16 = steps_of(run, config, steps), config.model.dtype == "bfloat16"
    with torch.no_grad():
        reference = {id(batch): plain_logps(model, batch, bf16) for batch in batches}

    def step(batch: list[Pair]) -> float:
        loss = dpo_loss(plain_logps(model, batch, bf16), reference[id(batch)])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.optimizer.max_grad_norm)
        adamw.step()
        adamw.zero_grad(set_to_none=True)
        return float(loss)

    size = sum(p.numel() for p in model.parameters())
    return timed(Measured(before=time.perf_counter() - start, weights=size), config, batches, step)


def plain_logps(model: Any, batch: list[Pair], bf16: bool) -> Tensor:
    """[2B] sequence log-probabilities of padded sequences."""
    sides = [(ids, start) for pair in batch for ids, start in _sides(pair)]
    longest = max(len(ids) for ids, _ in sides)
    ids = torch.zeros(len(sides), longest, dtype=torch.int64)
    mask, scored = torch.zeros_like(ids), torch.zeros(len(sides), longest - 1, dtype=torch.bool)
    for row, (tokens, first) in enumerate(sides):
        ids[row, : len(tokens)] = torch.from_numpy(tokens).long()
        mask[row, : len(tokens)] = 1
        scored[row, first - 1 : len(tokens) - 1] = True
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        hidden = model.get_decoder()(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        logits = model.get_output_embeddings()(hidden[:, :-1][scored])  # [N, V]
    logps = logits.float().log_softmax(-1).gather(1, ids[:, 1:][scored][:, None])[:, 0]
    rows = torch.arange(len(sides))[:, None].expand_as(scored)[scored]
    return torch.zeros(len(sides)).index_add(0, rows, logps)


def _sides(pair: Pair) -> Iterator[tuple[Any, int]]:
    yield pair.chosen, pair.chosen_start
    yield pair.rejected, pair.rejected_start
