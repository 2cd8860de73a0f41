"""Conversations as the text a model reads: its chat template, held to limits of time and size."""

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from engine.data.encoding.time_limit import TimeUp, time_limit
from engine.data.rows.messages import ChatPreference, Message
from engine.exits import UnusableError
from engine.sanitize import one_line

TEMPLATE_ERRORS = (TemplateError, ArithmeticError, LookupError, TypeError, ValueError)
"""What a template raises that cannot render a conversation: its own refusals, and slips of its author."""

RENDER_SECONDS = 5.0
"""Longest a template may take for one pair: the largest conversations take milliseconds."""

RENDER_CHARACTERS = 64 << 20
"""Longest text a template may make of one conversation."""

ANSWERED: tuple[list[Message], ...] = tuple(
    [{"role": "user", "content": "x"}, {"role": "assistant", "content": answer}] for answer in ("0x", "1y")
)
"""A question with two answers that begin and end differently."""


class BadRow(Exception):
    """A row of a batch that stops the run: its place in the batch, and the problem."""

    def __init__(self, problem: str, index: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.index = index


@dataclass(frozen=True, slots=True)
class Rendered:
    """The prompt with the generation prompt, and both conversations without the template's tail.

    tools_lost: the preference brings tools, and the prompt is the same without them.
    """

    prompt: str
    chosen: str
    rejected: str
    tools_lost: bool = False


class Renderer:
    """Renders with the tokenizer's chat template, or with `template` in its place. Code in it is sandboxed.

    stops: the written forms of the tokens the model stops at. specials: those of all special tokens.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        template: str | None,
        stops: Sequence[str],
        specials: Sequence[str],
    ) -> None:
        self.tokenizer = tokenizer
        self.template = template
        self.ends = (stops, specials)

    @property
    def exists(self) -> bool:
        """Whether there is a template at all."""
        return bool(self.template or self.tokenizer.chat_template)

    @property
    def source(self) -> str:
        """The template's text; of several, all."""
        template = self.template or self.tokenizer.chat_template
        return template if isinstance(template, str) else json.dumps(template, sort_keys=True)

    def pair(self, preference: ChatPreference) -> Rendered:
        """Render a preference. Raises one of `TEMPLATE_ERRORS` when the template refuses it.

        Raises `BadRow` when it takes too long or makes too much of it.
        """
        tail, kept = self.tail
        more: dict[str, Any] = dict(preference.template_kwargs)
        self._require_free(more)
        if preference.tools:
            more["tools"] = [dict(tool) for tool in preference.tools]
        with _limits():
            prompt = self._prompt(preference.prompt, more)
            sides = [[*preference.prompt, *side] for side in (preference.chosen, preference.rejected)]
            chosen, rejected = (_ending_in(kept, _sized(text), tail) for text in self._texts(sides, more))
            lost = "tools" in more and prompt == self._without_tools(preference)
        return Rendered(prompt, chosen, rejected, lost)

    def _without_tools(self, preference: ChatPreference) -> str | None:
        try:
            return self._prompt(preference.prompt, preference.template_kwargs)
        except TEMPLATE_ERRORS:
            return None

    def _prompt(self, messages: Sequence[Message], more: Mapping[str, Any]) -> str:
        return _sized(self._texts([messages], {**more, "add_generation_prompt": True})[0])

    def _texts(self, conversations: Sequence[Sequence[Message]], more: Mapping[str, Any]) -> list[str]:
        return self.tokenizer.apply_chat_template(  # type: ignore[no-any-return, unused-ignore]
            [list(messages) for messages in conversations],
            chat_template=self.template,
            tokenize=False,
            **more,
        )

    def _require_free(self, more: Mapping[str, Any]) -> None:
        taken = sorted(self._own_arguments & more.keys())
        if taken:
            raise BadRow(f'a row may not set "{taken[0]}" for the chat template: training sets it')

    @cached_property
    def _own_arguments(self) -> frozenset[str]:
        """What rendering is called with, and what a template gets from it by the same names."""
        own = inspect.signature(self.tokenizer.apply_chat_template).parameters
        return frozenset((*own, "messages", "conversations", *self.tokenizer.special_tokens_map))

    @cached_property
    def tail(self) -> tuple[str, str]:
        """What the template writes after the last assistant turn, and the part of it that is trained.

        That part ends with the first token the model stops at; else with the first special token, which marks
        the end of a turn; else it is what is not white space. Found by rendering two turns that end differently.
        Raises `UnusableError` when there is no template, or none that works.
        """
        if not self.exists:
            text = (
                "The rows are chats, and the model's tokenizer has no chat template. "
                "Name a file with one: chat_template in [data], or choose a chat model."
            )
            raise UnusableError("data.no_chat_template", text)
        try:
            with _limits():
                tail = _common_ending(*map(_sized, self._texts(ANSWERED, {})))
        except (*TEMPLATE_ERRORS, BadRow) as error:
            text = f"The chat template cannot render a question and an answer: {error}. Name another."
            raise UnusableError("data.bad_chat_template", one_line(text), cause=str(error)) from error
        return tail, self._trained_part(tail)

    @cached_property
    def question(self) -> str:
        """A question with the generation prompt; empty when the template renders none without an answer."""
        try:
            with _limits():
                return self._prompt(ANSWERED[0][:1], {})
        except (*TEMPLATE_ERRORS, BadRow):
            return ""

    def _trained_part(self, tail: str) -> str:
        for tokens in self.ends:
            ends = [tail.index(token) + len(token) for token in tokens if token in tail]
            if ends:
                return tail[: min(ends)]
        return tail.rstrip()


@contextmanager
def _limits() -> Iterator[None]:
    """Raise `BadRow` for a template that does not come to an end."""
    try:
        with time_limit(RENDER_SECONDS):
            yield
    except TimeUp as error:
        raise BadRow(f"the chat template takes longer than {RENDER_SECONDS:g} s for it") from error
    except (MemoryError, RecursionError) as error:
        raise BadRow("the chat template takes more memory for it than there is") from error


def _sized(text: str) -> str:
    if len(text) > RENDER_CHARACTERS:
        raise BadRow(f"the chat template makes more than {RENDER_CHARACTERS >> 20} MiB of text of it")
    return text


def _common_ending(one: str, other: str) -> str:
    size = 0
    while size < min(len(one), len(other)) and one[-size - 1] == other[-size - 1]:
        size += 1
    return one[len(one) - size :]


def _ending_in(kept: str, text: str, tail: str) -> str:
    """The text with its tail replaced by the part of it that is kept; as it is when it has another tail."""
    return text.removesuffix(tail) + kept if text.endswith(tail) else text
