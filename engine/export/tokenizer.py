"""The tokenizer of an export: the one that the pairs were written with, noted when they were."""

import hashlib
import json
from typing import Any

from transformers import PreTrainedTokenizerBase

from engine.config.schema import Config
from engine.data.prepare import read_chat_template
from engine.exits import UnusableError
from engine.export.reading import tokenised
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.files import read_json, write_json
from engine.rundir.paths import RunDir

SAMPLES = ("The sky is blue, isn't it?\n\n\t1 + 1 = 2", "Zwölf 猫 🐈 naïve", "<|x|> [INST] </s>")
"""Texts whose ids say by what rules a tokenizer splits."""


def note_tokenizer(run: RunDir, config: Config, tokenizer: PreTrainedTokenizerBase) -> None:
    """Writes down what the run's pairs are written with, as long as no checkpoint was trained on others.

    Raises CannotWriteError, and UnusableError for a template that cannot be read.
    """
    if not CheckpointIndex(run.checkpoints_dir).steps():
        write_json(run.encoding_json, _marks(with_template(config, tokenizer)))


def with_template(config: Config, tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The tokenizer with the config's chat template, if it names one. Raises UnusableError if that is unreadable."""
    template = read_chat_template(config.data.chat_template)
    if template is not None:
        tokenizer.chat_template = template
    return tokenizer


def require_trained(run: RunDir, tokenizer: PreTrainedTokenizerBase) -> None:
    """Raises UnusableError for a tokenizer that is not the one noted. A run without a note has nothing to say."""
    noted = read_json(run.encoding_json) or {}
    changed = [name for name, mark in _marks(tokenizer).items() if name in noted and noted[name] != mark]
    if changed:
        raise UnusableError(
            "export.tokenizer_changed",
            f"The {changed[0]} is no longer the one that {run.name} was trained with: the model or the template file "
            f"has changed since. Put the old files back, or delete {run.encoding_json} to export with these.",
            run=run.name,
            changed=changed,
            note=str(run.encoding_json),
        )


def _marks(tokenizer: PreTrainedTokenizerBase) -> dict[str, str]:
    """Hashes, by the names that a person is told; none depends on the release of a library."""
    facts = {
        "chat template": tokenizer.chat_template,
        "tokenizer's EOS": tokenizer.eos_token_id,
        "tokenizer's vocabulary": sorted(tokenizer.get_vocab().items()),
        "tokenizer's way to split": tokenised(tokenizer, SAMPLES),
    }
    return {name: _digest(fact) for name, fact in facts.items()}


def _digest(fact: Any) -> str:
    return hashlib.sha256(json.dumps(fact, sort_keys=True, default=str).encode()).hexdigest()
