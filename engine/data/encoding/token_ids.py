"""Texts to token ids, quickly: the ids are those the tokenizer gives for each whole text, and no others.

Three texts of a pair begin with the same prompt. Where a special token starts, the tokenizer itself takes a text
apart before it does anything else; cut there, the part in common is tokenised once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

Ids: TypeAlias = list[int]

CACHED_WORDS = 1 << 17
"""Words a BPE tokenizer remembers the ids of: its own 10,000 are full after a few hundred pairs, for good."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A prompt, and it with either completion; chat: rendered by a template, so no special tokens are added."""

    prompt: str
    chosen: str
    rejected: str
    chat: bool


@dataclass(frozen=True, slots=True)
class TextIds:
    """The ids of `Texts`: of what all three begin with, and of the rest of each."""

    head: Ids
    prompt: Ids
    chosen: Ids
    rejected: Ids

    def whole(self) -> tuple[Ids, Ids, Ids]:
        """The ids of prompt, chosen and rejected, each as a whole."""
        return self.head + self.prompt, self.head + self.chosen, self.head + self.rejected


class TokenIds:
    """Tokenises pairs of texts for one tokenizer.

    template_text: what the chat template writes before a completion: its special tokens are where texts are cut.
    The first pairs, of text and of chats, are tokenised in the plain way as well; if any differs, so are all others.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, template_text: str = "") -> None:
        self.tokenizer = tokenizer
        self.backend = _backend(tokenizer)
        self.borders = _borders(self.backend, template_text) if self.backend is not None else ()
        self._checked: set[bool] = set()

    def of(self, pairs: Sequence[Texts]) -> list[TextIds]:
        """The ids of each pair."""
        if self.backend is None:
            return self.plainly(pairs)
        kinds = {pair.chat for pair in pairs}
        if kinds <= self._checked:
            return self.quickly(pairs)
        self._checked |= kinds
        plain = self.plainly(pairs)
        if [ids.whole() for ids in plain] != [ids.whole() for ids in self.quickly(pairs)]:
            self.backend = None
        return plain

    def quickly(self, pairs: Sequence[Texts]) -> list[TextIds]:
        """The ids by way of the backend, what the texts of a pair have in common once."""
        parts = [part for pair in pairs for part in self._parts(pair)]
        backend = self.backend
        if backend.truncation is not None:
            backend.no_truncation()
        if backend.padding is not None:
            backend.no_padding()
        if backend.encode_special_tokens:
            backend.encode_special_tokens = False
        ids = iter([encoding.ids for encoding in backend.encode_batch_fast(parts, add_special_tokens=False)])
        return [TextIds(*four) for four in zip(ids, ids, ids, ids, strict=True)]

    def plainly(self, pairs: Sequence[Texts]) -> list[TextIds]:
        """The ids by the definition: each text is handed to the tokenizer as it is."""
        texts = [text for pair in pairs for text in (pair.prompt, pair.chosen, pair.rejected)]
        if not texts:
            return []
        ids = iter(self.tokenizer(texts, add_special_tokens=False, verbose=False).input_ids)
        return [TextIds([], *three) for three in zip(ids, ids, ids, strict=True)]

    def _parts(self, pair: Texts) -> tuple[str, str, str, str]:
        """What the three texts have in common up to the last border, and the rest of each."""
        at = self._border(pair) if pair.chat and self.borders else 0
        return pair.prompt[:at], pair.prompt[at:], pair.chosen[at:], pair.rejected[at:]

    def _border(self, pair: Texts) -> int:
        prompt = pair.prompt
        if pair.chosen.startswith(prompt) and pair.rejected.startswith(prompt):
            shared = len(prompt)
        else:
            shared = min(_common_beginning(prompt, side) for side in (pair.chosen, pair.rejected))
        return max(0, *(prompt.rfind(border, 0, shared) for border in self.borders))


def _common_beginning(one: str, other: str) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if other.startswith(one[low:middle], low):
            low = middle
        else:
            high = middle - 1
    return low


def _backend(tokenizer: PreTrainedTokenizerBase) -> Any:
    """The Rust tokenizer, where calling `tokenizer` comes down to calling it; else None."""
    kind = type(tokenizer)
    plain = isinstance(tokenizer, PreTrainedTokenizerFast) and all(
        getattr(kind, name, None) is getattr(PreTrainedTokenizerFast, name, None)
        for name in ("__call__", "_encode_plus", "_convert_encoding")
    )
    if not plain or tokenizer.split_special_tokens:
        return None
    backend = tokenizer.backend_tokenizer
    if not hasattr(backend, "encode_batch_fast"):
        return None
    if hasattr(backend.model, "_resize_cache"):
        backend.model._resize_cache(CACHED_WORDS)
    return backend


def _borders(backend: Any, template_text: str) -> tuple[str, ...]:
    """Tokens in the template's text before which a text can be cut without a change of ids.

    That is so when the tokenizer always sees the token there, whatever stands before it: it is looked for in the text
    as it is, takes no white space along, and no other added token can reach across its beginning.
    """
    added = list(backend.get_added_tokens_decoder().values())
    if any(token.single_word for token in added):  # whether these are seen depends on what stands beside them
        return ()
    return tuple(
        token.content
        for token in added
        if token.content in template_text
        and not (token.normalized or token.content[0].isspace())
        and not any(_reaches_across(other, token.content) for other in added)
    )


def _reaches_across(other: Any, token: str) -> bool:
    """Whether `other` can take in what stands before an occurrence of `token`, together with some of it."""
    content = other.content
    if other.lstrip and content.startswith(token):
        return True
    ends: Iterable[str] = (content[start:] for start in range(1, len(content)))
    return any(end.startswith(token) or token.startswith(end) for end in ends)
