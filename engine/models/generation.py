"""Where an answer ends: a chat model that never says its end token talks on forever."""

import json
from typing import Any

from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

ANSWER = "\ufdd0answer\ufdd0"
"""A noncharacter on both sides: no template writes it by itself."""


def end_of_turn(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """Id of the special token that the chat template puts after an answer; None where there is none."""
    if not tokenizer.chat_template:
        return None
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": ANSWER}]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False)
    except Exception:  # templates are programs of their authors: one that fails here ends no export
        return None
    _, found, tail = str(text).rpartition(ANSWER)
    if not found:
        return None
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    ids = tokenizer(tail, add_special_tokens=False).input_ids
    return next((int(token) for token in ids[:3] if token in special), None)


def stop_tokens(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Where a trained answer ends: the end of a chat's turn, and EOS, which ends a completion of plain text."""
    ends = [end_of_turn(tokenizer), tokenizer.eos_token_id]
    return list(dict.fromkeys(int(token) for token in ends if token is not None))


def complete_generation_config(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Adds those to what stops generation; mends a config that transformers would refuse to save."""
    config = model.generation_config or GenerationConfig.from_model_config(model.config)
    known = config.eos_token_id
    ends = [] if known is None else [known] if isinstance(known, int) else list(known)
    ends += [token for token in stop_tokens(tokenizer) if token not in ends]
    config.eos_token_id = ends[0] if len(ends) == 1 else ends or None
    try:
        config.validate(strict=True)
    except ValueError:
        config.do_sample = True  # sampling settings with sampling off are what published configs get wrong
    model.generation_config = config


def generation_values(config: GenerationConfig | None) -> dict[str, Any]:
    """All that a generation config sets, in JSON's types; not where it came from, nor which release wrote it."""
    values: dict[str, Any] = json.loads(config.to_json_string(ignore_metadata=True)) if config else {}
    return values
