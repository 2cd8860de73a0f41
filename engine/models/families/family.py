"""What a family of models brings along."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A kind of model beside the one in transformers that computes the same."""

    kind: str
    """Its `model_type`."""
    load_tokenizer: Callable[[Path], PreTrainedTokenizerBase]
    """The tokenizer of a folder. Raises UnusableError."""
    tokenizer_class: str
    """Its name: what it saves, transformers reads from tokenizer.json by a class of its own."""
    make_native: Callable[[PreTrainedModel], None]
    """Turns a loaded model into its twin in transformers: the same weights under that one's names and config."""
    native_name: str
    """What the twin is called."""
