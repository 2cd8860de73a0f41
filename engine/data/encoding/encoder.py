"""From a preference to token ids: the boundary of prompt and completion, the end of a completion, the limits.

A chat is rendered with the model's own template, the prompt with its generation prompt and each side as a whole; the
completion begins where their tokens part. Text is tokenised as it stands. A template's tail after the end of the
turn is not trained; each uncut completion ends with exactly one EOS.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from transformers import PreTrainedTokenizerBase

from engine.data.encoding.limits import Dropped, Encoded, Lengths, Limits, fit
from engine.data.encoding.render import TEMPLATE_ERRORS, BadRow, Renderer
from engine.data.encoding.token_ids import Ids, TextIds, Texts, TokenIds
from engine.data.prepared.pairs import IntArray, Pair, common_prefix
from engine.data.rows.messages import ChatPreference, Preference, TextPreference, flaw
from engine.exits import UnusableError
from engine.rundir.files import read_json

Candidate: TypeAlias = Preference | Dropped
"""A preference, or why a row is none: that is passed through."""

LARGEST_TEXT = 1 << 20
CHARACTERS_PER_TOKEN = 16
"""A side of a pair longer than both of these allow is dropped unread: tokenising takes 150 bytes a character."""


@dataclass(frozen=True, slots=True)
class _Whole:
    """The texts of a pair before tokenising."""

    texts: Texts
    tools_lost: bool = False


def encode(
    preference: Preference,
    tokenizer: PreTrainedTokenizerBase,
    limits: Limits,
    chat_template: str | None = None,
    stop_ids: Iterable[int] = (),
) -> Encoded | Dropped:
    """Encode one preference; see `Encoder`, which is faster for many."""
    return Encoder(tokenizer, limits, chat_template, stop_ids).encode([preference])[0]


class Encoder:
    """Encodes preferences for one tokenizer.

    chat_template: replaces the tokenizer's own. stop_ids: tokens the model stops at besides EOS, as its generation
    config says. Raises `UnusableError` when the tokenizer has no EOS, or a chat comes and there is no usable template;
    `BadRow` for a preference on which the template does not come to an end.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        limits: Limits,
        chat_template: str | None = None,
        stop_ids: Iterable[int] = (),
    ) -> None:
        if tokenizer.eos_token_id is None:
            text = (
                "The model's tokenizer has no EOS token, so a completion could not end. Choose another model."
            )
            raise UnusableError("data.no_eos", text)
        self.tokenizer = tokenizer
        self.limits = limits
        self.eos = int(tokenizer.eos_token_id)
        self.stops = frozenset({self.eos, *stop_ids})
        special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        self._ends = self._written(self.stops)
        self.renderer = Renderer(tokenizer, chat_template, self._ends, self._written(special))
        self._largest = max(LARGEST_TEXT, CHARACTERS_PER_TOKEN * limits.max_length)

    def encode(self, candidates: Sequence[Candidate]) -> list[Encoded | Dropped]:
        """Encode a batch, in order: the tokenizer works on all of its texts at once."""
        whole = self._render(candidates)
        return self._finish(whole, self._tokenise(self._ids, whole))

    def encode_all(self, batches: Iterable[Sequence[Candidate]]) -> Iterator[list[Encoded | Dropped]]:
        """Encode batch after batch; while one is tokenised, which needs no interpreter, the next one is rendered."""
        ids = self._ids  # made in this thread, which can be interrupted by a signal
        with ThreadPoolExecutor(1, "tokenizer") as thread:
            waiting: tuple[list[_Whole | Dropped], Future[list[TextIds]]] | None = None
            for batch in batches:
                whole = self._render(batch)
                following = (whole, thread.submit(self._tokenise, ids, whole))
                if waiting:
                    yield self._finish(waiting[0], waiting[1].result())
                waiting = following
            if waiting:
                yield self._finish(waiting[0], waiting[1].result())

    def _render(self, candidates: Sequence[Candidate]) -> list[_Whole | Dropped]:
        whole = []
        for index, candidate in enumerate(candidates):
            try:
                whole.append(self._whole(candidate))
            except BadRow as error:
                raise BadRow(error.problem, index) from error
        return whole

    def _whole(self, candidate: Candidate) -> _Whole | Dropped:
        if isinstance(candidate, Dropped):
            return candidate
        reason = flaw(candidate)
        if reason:
            return Dropped(reason)
        size = characters(candidate)
        if size > self._largest:
            return Dropped("oversized", f"{size:,} characters")
        if isinstance(candidate, TextPreference):
            prompt = candidate.prompt
            chosen, rejected = (self._to_eos(text) for text in (candidate.chosen, candidate.rejected))
            return _Whole(Texts(prompt, prompt + chosen, prompt + rejected, chat=False))
        try:
            rendered = self.renderer.pair(candidate)
        except TEMPLATE_ERRORS as error:
            return Dropped("template_refused", str(error))
        size = max(len(rendered.chosen), len(rendered.rejected))
        if size > self._largest:
            return Dropped("oversized", f"{size:,} characters")
        texts = Texts(rendered.prompt, rendered.chosen, rendered.rejected, chat=True)
        return _Whole(texts, rendered.tools_lost)

    def _to_eos(self, completion: str) -> str:
        """Drop white space after an EOS that is written out in the text."""
        trimmed = completion.rstrip()
        return trimmed if trimmed.endswith(self._ends) else completion

    def _written(self, ids: Iterable[int]) -> tuple[str, ...]:
        tokens = (self.tokenizer.convert_ids_to_tokens(number) for number in sorted(ids))
        return tuple(str(token) for token in tokens if token)

    @cached_property
    def _ids(self) -> TokenIds:
        return TokenIds(self.tokenizer, self.renderer.question if self.renderer.exists else "")

    @cached_property
    def _before_text(self) -> Ids:
        """Special tokens the tokenizer puts before a text: BOS, if any."""
        plain = list(self.tokenizer("x", add_special_tokens=False).input_ids)
        full = list(self.tokenizer("x").input_ids)
        starts = [at for at in range(len(full)) if full[at : at + len(plain)] == plain]
        return full[: starts[0]] if starts else []

    def _tokenise(self, ids: TokenIds, whole: Sequence[_Whole | Dropped]) -> list[TextIds]:
        """Prompt, prompt + chosen, prompt + rejected of each pair that is left, the last two with their EOS."""
        texts = [item.texts for item in whole if isinstance(item, _Whole)]
        return [self._ended(found, pair.chat) for found, pair in zip(ids.of(texts), texts, strict=True)]

    def _ended(self, ids: TextIds, chat: bool) -> TextIds:
        if not chat:
            ids = TextIds([], *map(self._with_bos, ids.whole()))
        chosen, rejected = self._with_eos(ids.chosen), self._with_eos(ids.rejected)
        if ids.head and min(len(chosen), len(rejected)) < 2:  # what ends it may begin in the head
            return self._ended(TextIds([], *ids.whole()), chat)
        return TextIds(ids.head, ids.prompt, chosen, rejected)

    def _with_bos(self, ids: Ids) -> Ids:
        """What the tokenizer puts before a text, once: a text may already begin with it."""
        before = self._before_text
        return ids if ids[: len(before)] == before else before + ids

    def _with_eos(self, ids: Ids) -> Ids:
        """Exactly one end: a second one that the text brought along goes, a missing one is added."""
        while len(ids) > 1 and ids[-1] in self.stops and ids[-2] in self.stops:
            ids = ids[:-1]
        return ids if ids and ids[-1] in self.stops else [*ids, self.eos]

    def _finish(self, whole: Sequence[_Whole | Dropped], found: Iterable[TextIds]) -> list[Encoded | Dropped]:
        ids = iter(found)
        return [
            item if isinstance(item, Dropped) else self._fit(next(ids), item.tools_lost) for item in whole
        ]

    def _fit(self, ids: TextIds, tools_lost: bool) -> Encoded | Dropped:
        head, prompt = _array(ids.head), _array(ids.prompt)
        ends = [_array(side) for side in (ids.chosen, ids.rejected)]
        starts = [len(head) + common_prefix(prompt, end) for end in ends]
        chosen, rejected = (np.concatenate([head, end]) for end in ends)
        lengths = Lengths(max(starts), len(chosen) - starts[0], len(rejected) - starts[1])
        if min(starts) < 1:
            return Dropped("no_prompt")
        if min(lengths.chosen, lengths.rejected) < 2:  # nothing but the EOS
            return Dropped("empty_chosen" if lengths.chosen < 2 else "empty_rejected")
        if np.array_equal(chosen, rejected):
            return Dropped("equal", lengths=lengths)
        bos = self.tokenizer.bos_token_id
        leading = 1 if bos is not None and chosen[0] == bos else 0
        return fit(Pair(chosen, rejected, *starts), lengths, self.limits, leading, tools_lost)


def characters(preference: Preference) -> int:
    """Length of a preference's longer side, with tool calls and what else the template gets left out."""
    if isinstance(preference, ChatPreference):
        prompt, chosen, rejected = (
            sum(len(turn["content"]) for turn in part)
            for part in (preference.prompt, preference.chosen, preference.rejected)
        )
    else:
        prompt, chosen, rejected = map(len, (preference.prompt, preference.chosen, preference.rejected))
    return prompt + max(chosen, rejected)


def _array(ids: Ids) -> IntArray:
    return np.array(ids, dtype=np.int32)


def generation_stops(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokens the model stops at by the generation config in the tokenizer's folder; empty where there is none."""
    config = read_json(Path(tokenizer.name_or_path) / "generation_config.json") or {}
    stops = config.get("eos_token_id")
    listed = stops if isinstance(stops, list) else [stops]
    return [number for number in listed if type(number) is int]


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Sha256 hex of everything about a tokenizer that decides the ids of a text or of a chat."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        rules: Any = sorted(tokenizer.get_vocab().items())
    else:  # less truncation and padding, which come first: a call may change these, and none of ours uses them
        written = str(backend.to_str())
        rules = written[max(0, written.find('"added_tokens":')) :]
    parts = [type(tokenizer).__name__, rules, tokenizer.special_tokens_map, tokenizer.chat_template]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
