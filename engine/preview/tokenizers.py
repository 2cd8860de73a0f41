"""The tokenizer of the model last asked about: a wizard asks about one model many times over."""

from pathlib import Path
from typing import Any, TypeAlias

from transformers import PreTrainedTokenizerBase

from engine.config.schema import Model
from engine.models.load import load_tokenizer
from engine.models.resolve import ResolvedModel, glance

Key: TypeAlias = tuple[Any, ...]


class Tokenizers:
    """Keeps one tokenizer, and loads another where the model, or a file of it, is another."""

    def __init__(self) -> None:
        self._key: Key | None = None
        self._tokenizer: PreTrainedTokenizerBase | None = None
        self.loaded = 0
        """How often one was loaded."""

    def of(self, model: Model) -> tuple[ResolvedModel, PreTrainedTokenizerBase]:
        """Where the model's files are, and its tokenizer. Raises what `glance` and `load_tokenizer` raise."""
        resolved = glance(model)
        key = (resolved, *_files(resolved.path))
        if self._tokenizer is None or key != self._key:
            self._tokenizer = None  # two of them need not fit
            self._tokenizer, self._key = load_tokenizer(resolved), key
            self.loaded += 1
        return resolved, self._tokenizer


def _files(folder: Path) -> list[tuple[str, int, int]]:
    """What tells whether a file was replaced; weights have nothing to do with a tokenizer."""
    found = sorted(path for path in folder.iterdir() if path.suffix != ".safetensors" and path.is_file())
    return [(path.name, (stat := path.stat()).st_size, stat.st_mtime_ns) for path in found]
