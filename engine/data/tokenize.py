"""From a preference to token ids: the boundary of prompt and completion, the end of a completion, the limits.

A chat is rendered with the model's own template, the prompt with its generation prompt and each side as a whole; the
completion begins where their tokens part. Text is tokenised as it stands. A template's tail after the end of the
turn is not trained; each uncut completion ends with exactly one EOS.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from engine.data.limits import Dropped, Encoded, Lengths, Limits, fit
from engine.data.messages import ChatPreference, Message, Preference, TextPreference, flaw
from engine.data.pairs import IntArray, Pair, common_prefix
from engine.exits import UnusableError
from engine.rundir.files import read_json
from engine.sanitize import one_line

TEMPLATE_ERRORS = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError)
"""What a template raises that cannot render a conversation: its own refusals, and slips of its author."""


@dataclass(frozen=True, slots=True)
class _Whole:
    """A pair as texts or renderings, before tokenising."""

    prompt: str
    chosen: str
    rejected: str
    chat: bool


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
    config says. Raises `UnusableError` when the tokenizer has no EOS, or a chat comes and there is no usable template.
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
        self.chat_template = chat_template
        self.eos = int(tokenizer.eos_token_id)
        self.stops = frozenset({self.eos, *stop_ids})

    def encode(self, preferences: Sequence[Preference]) -> list[Encoded | Dropped]:
        """Encode a batch, in order: the tokenizer works on all of its texts at once."""
        whole = [self._whole(preference) for preference in preferences]
        ids = iter(self._tokenise([item for item in whole if isinstance(item, _Whole)]))
        return [item if isinstance(item, Dropped) else self._fit(*next(ids)) for item in whole]

    def _whole(self, preference: Preference) -> _Whole | Dropped:
        reason = flaw(preference)
        if reason:
            return Dropped(reason)
        if isinstance(preference, TextPreference):
            prompt = preference.prompt
            chosen, rejected = (self._to_eos(text) for text in (preference.chosen, preference.rejected))
            return _Whole(prompt, prompt + chosen, prompt + rejected, chat=False)
        try:
            return self._rendered(preference)
        except TEMPLATE_ERRORS as error:
            return Dropped("template_refused", str(error))

    def _to_eos(self, completion: str) -> str:
        """Drop white space after an EOS that is written out in the text."""
        trimmed = completion.rstrip()
        return trimmed if trimmed.endswith(self._written(self.stops)) else completion

    def _written(self, ids: Iterable[int]) -> tuple[str, ...]:
        tokens = (self.tokenizer.convert_ids_to_tokens(number) for number in sorted(ids))
        return tuple(str(token) for token in tokens if token)

    def _rendered(self, preference: ChatPreference) -> _Whole:
        tail, kept = self._template_tail
        prompt = self._render(preference.prompt, add_generation_prompt=True)
        chosen, rejected = (
            self._render([*preference.prompt, *completion])
            for completion in (preference.chosen, preference.rejected)
        )
        return _Whole(prompt, _ending_in(kept, chosen, tail), _ending_in(kept, rejected, tail), chat=True)

    def _render(self, messages: Sequence[Message], add_generation_prompt: bool = False) -> str:
        text = self.tokenizer.apply_chat_template(
            list(messages),
            chat_template=self.chat_template,
            add_generation_prompt=add_generation_prompt,
            tokenize=False,
        )
        return str(text)

    @cached_property
    def _template_tail(self) -> tuple[str, str]:
        """What the template writes after the last assistant turn, and the part of it that is trained.

        That part ends with the first token the model stops at; else with the first special token, which marks
        the end of a turn; else it is what is not white space. Found by rendering two turns that end differently.
        """
        if self.chat_template is None and not self.tokenizer.chat_template:
            text = (
                "The rows are chats, and the model's tokenizer has no chat template. "
                "Name a file with one: chat_template in [data], or choose a chat model."
            )
            raise UnusableError("data.no_chat_template", text)
        try:
            texts = [
                self._render([{"role": "user", "content": "x"}, {"role": "assistant", "content": answer}])
                for answer in ("0x", "1y")
            ]
        except TEMPLATE_ERRORS as error:
            text = f"The chat template cannot render a question and an answer: {error}. Name another."
            raise UnusableError("data.bad_chat_template", one_line(text), cause=str(error)) from error
        tail = _common_ending(*texts)
        return tail, self._trained_part(tail)

    def _trained_part(self, tail: str) -> str:
        tokenizer = self.tokenizer
        special = {number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
        for ids in (self.stops, special):
            ends = [tail.index(token) + len(token) for token in self._written(ids) if token in tail]
            if ends:
                return tail[: min(ends)]
        return tail.rstrip()

    @cached_property
    def _before_text(self) -> list[int]:
        """Special tokens the tokenizer puts before a text: BOS, if any."""
        plain = self._ids(["x"])[0]
        full = list(self.tokenizer("x").input_ids)
        starts = [at for at in range(len(full)) if full[at : at + len(plain)] == plain]
        return full[: starts[0]] if starts else []

    def _ids(self, texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = self.tokenizer(texts, add_special_tokens=False, verbose=False).input_ids
        return ids

    def _tokenise(self, whole: Sequence[_Whole]) -> Iterable[tuple[IntArray, IntArray, IntArray]]:
        """Prompt, prompt + chosen, prompt + rejected of each pair, the last two with their EOS."""
        if not whole:
            return
        ids = self._ids([text for item in whole for text in (item.prompt, item.chosen, item.rejected)])
        for number, item in enumerate(whole):
            prompt, chosen, rejected = ids[3 * number : 3 * number + 3]
            if not item.chat:
                prompt, chosen, rejected = map(self._with_bos, (prompt, chosen, rejected))
            yield _array(prompt), _array(self._ended(chosen)), _array(self._ended(rejected))

    def _with_bos(self, ids: list[int]) -> list[int]:
        """What the tokenizer puts before a text, once: a text may already begin with it."""
        before = self._before_text
        return ids if ids[: len(before)] == before else before + ids

    def _ended(self, ids: list[int]) -> list[int]:
        """Exactly one end: a second one that the text brought along goes, a missing one is added."""
        while len(ids) > 1 and ids[-1] in self.stops and ids[-2] in self.stops:
            ids = ids[:-1]
        return ids if ids and ids[-1] in self.stops else [*ids, self.eos]

    def _fit(self, prompt: IntArray, chosen: IntArray, rejected: IntArray) -> Encoded | Dropped:
        pair = Pair(chosen, rejected, common_prefix(prompt, chosen), common_prefix(prompt, rejected))
        starts = (pair.chosen_start, pair.rejected_start)
        lengths = Lengths(max(starts), len(chosen) - starts[0], len(rejected) - starts[1])
        if min(starts) < 1:
            return Dropped("no_prompt")
        if min(lengths.chosen, lengths.rejected) < 2:  # nothing but the EOS
            return Dropped("empty_chosen" if lengths.chosen < 2 else "empty_rejected")
        if np.array_equal(chosen, rejected):
            return Dropped("equal", lengths=lengths)
        bos = self.tokenizer.bos_token_id
        return fit(pair, lengths, self.limits, leading=1 if bos is not None and chosen[0] == bos else 0)


def _common_ending(one: str, other: str) -> str:
    size = 0
    while size < min(len(one), len(other)) and one[-size - 1] == other[-size - 1]:
        size += 1
    return one[len(one) - size :]


def _ending_in(kept: str, text: str, tail: str) -> str:
    """The text with its tail replaced by the part of it that is kept; as it is when it has another tail."""
    return text.removesuffix(tail) + kept if text.endswith(tail) else text


def _array(ids: Sequence[int]) -> IntArray:
    return np.asarray(ids, dtype=np.int32)


def generation_stops(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokens the model stops at by the generation config in the tokenizer's folder; empty where there is none."""
    config = read_json(Path(tokenizer.name_or_path) / "generation_config.json") or {}
    stops = config.get("eos_token_id")
    listed = stops if isinstance(stops, list) else [stops]
    return [number for number in listed if type(number) is int]


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """Sha256 hex of everything about a tokenizer that decides the ids of a text or of a chat."""
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    rules = json.loads(backend.to_str()) if backend is not None else sorted(tokenizer.get_vocab().items())
    if isinstance(rules, dict):  # a call may change these, and no call of ours depends on them
        rules.pop("padding", None)
        rules.pop("truncation", None)
    parts = [type(tokenizer).__name__, rules, tokenizer.special_tokens_map, tokenizer.chat_template]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
