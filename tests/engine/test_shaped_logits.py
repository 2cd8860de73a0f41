"""Models whose logits are more than a linear layer of the hidden state are packed like others, and exactly."""

from collections.abc import Callable

import pytest
import torch
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
    PreTrainedModel,
)

from engine.layout import lay_out
from engine.policy import ModeChoice, Policy, choose_mode
from tests.engine.test_exactness import alone
from tests.tiny import VOCABULARY, random_pairs

SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 48,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def _capped() -> PreTrainedModel:
    config = Gemma2Config(**SIZES, head_dim=16, final_logit_softcapping=2.0, attn_logit_softcapping=None)
    return Gemma2ForCausalLM(config)


def _scaled() -> PreTrainedModel:
    return GraniteForCausalLM(GraniteConfig(**SIZES, logits_scaling=8.0))


def _multiplied() -> PreTrainedModel:
    return CohereForCausalLM(CohereConfig(**SIZES, logit_scale=0.25))


@pytest.mark.parametrize("build", [_capped, _scaled, _multiplied], ids=["capped", "divided", "multiplied"])
def test_logits_that_are_capped_or_scaled_stay_so(build: Callable[[], PreTrainedModel]) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build().eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(5.0)
    pairs = random_pairs(4)
    expected = torch.stack([side for pair in pairs for side in alone(model, pair)])

    policy = Policy(model)
    choice = choose_mode(policy, pairs[0], share_prompt=True, dropout=False)
    assert choice == ModeChoice("shared")
    policy.use_mode(choice.mode)
    torch.testing.assert_close(policy(lay_out(pairs, policy.shares_prefix)), expected)
