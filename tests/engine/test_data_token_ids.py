"""Texts are tokenised in parts only where that gives the ids of the whole text, whatever stands in it."""

from copy import deepcopy
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerBase

from engine.data.encoding.token_ids import Texts, TokenIds
from tests.engine.tiny_folder import tiny_tokenizer as bytes_tokenizer

TURN = "<|im_end|>\n<|im_start|>assistant\n"
PIECES = [
    "<|im_start|>",
    "<|im_end|>",
    "<|turn|>",
    "sea ",
    "<|im",
    "_start|>",
    "|>",
    "sky",
    " ",
    "\n",
    "a",
    "A",
    "\u00e9",
]
TEXT = st.lists(st.sampled_from(PIECES) | st.text(max_size=2), max_size=5).map("".join)


ENDS = [TURN, "<|im_start|>", "sea <|im_start|>", "a <|turn|> a", "<|end|>\n<|turn|>", ""]


@st.composite
def written(draw: st.DrawFn) -> Texts:
    """A rendered pair: sides that begin with the prompt, mostly, and share some of what follows."""
    prompt, shared = draw(TEXT) + draw(st.sampled_from(ENDS)), draw(TEXT)
    begins = st.sampled_from([prompt, prompt, prompt.rstrip(), prompt[:-3]])
    sides = [draw(begins) + shared + draw(TEXT) for _ in range(2)]
    return Texts(prompt, sides[0], sides[1], draw(st.booleans()))


def with_token(tokenizer: PreTrainedTokenizerBase, content: str, **options: bool) -> PreTrainedTokenizerBase:
    """The tokenizer with one more special token."""
    changed = deepcopy(tokenizer)
    changed.add_tokens([AddedToken(content, special=True, **options)], special_tokens=True)
    return changed


def of_sentences(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Lower case without white space around it, and what is at the beginning of a text is marked."""
    changed: Any = deepcopy(tokenizer)
    changed.backend_tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Strip()]
    )
    changed.backend_tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    return cast(PreTrainedTokenizerBase, changed)


@pytest.fixture(scope="module")
def tokenizers(
    tiny_tokenizer: PreTrainedTokenizerBase, tiny_tokenizer_with_bos: PreTrainedTokenizerBase
) -> list[PreTrainedTokenizerBase]:
    """Those of the tests, and some whose added tokens look at what stands beside them, or take it along."""
    sentences = of_sentences(tiny_tokenizer)
    return [
        tiny_tokenizer,
        tiny_tokenizer_with_bos,
        bytes_tokenizer(),
        sentences,
        with_token(sentences, "<|turn|>", normalized=True),
        with_token(tiny_tokenizer, "<|turn|>", lstrip=True),
        with_token(tiny_tokenizer, "<|turn|>", rstrip=True),
        with_token(tiny_tokenizer, "<|turn|>", single_word=True),
        with_token(tiny_tokenizer, "sea <|im"),
        with_token(with_token(tiny_tokenizer, "\n<|turn|>"), "<|end|>", rstrip=True),
        with_token(tiny_tokenizer, "<|im_end|>\n"),
    ]


@settings(max_examples=300)
@given(pairs=st.lists(written(), min_size=1, max_size=4))
def test_the_quick_way_gives_the_ids_of_the_plain_way(
    tokenizers: list[PreTrainedTokenizerBase], pairs: list[Texts]
) -> None:
    for tokenizer in tokenizers:
        ids = TokenIds(tokenizer, "<|im_start|>user\nx" + TURN + "x\n<|turn|>")
        plain = [found.whole() for found in ids.plainly(pairs)]
        assert [found.whole() for found in ids.quickly(pairs)] == plain


def test_texts_are_cut_where_a_turn_begins(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    """Else the quick way would be the plain one, and the test above could not fail."""
    prompt = "<|im_start|>user\nThe sky?<|im_end|>\n<|im_start|>assistant\n"
    pair = Texts(prompt, prompt + "blue", prompt + "green", chat=True)
    (found,) = TokenIds(tiny_tokenizer, prompt).quickly([pair])
    written_head = tiny_tokenizer.decode(found.head)
    assert written_head == "<|im_start|>user\nThe sky?<|im_end|>\n"
    assert tiny_tokenizer.decode(found.prompt) == "<|im_start|>assistant\n"


def test_a_tokenizer_that_gives_other_ids_the_quick_way_is_asked_the_plain_way_from_then_on(
    tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = TokenIds(tiny_tokenizer)
    quick = ids.quickly
    monkeypatch.setattr(ids, "quickly", lambda pairs: quick([Texts("", "", "", True) for _ in pairs]))
    pairs = [Texts("The sky", "The sky is", "The sky was", chat=False)]
    assert ids.of(pairs) == ids.plainly(pairs)
    assert ids.backend is None
    assert ids.of(pairs) == ids.plainly(pairs)


def test_what_a_call_left_behind_does_not_cut_or_pad(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer = deepcopy(tiny_tokenizer)
    ids = TokenIds(tokenizer)
    pairs = [Texts("The sky", "The sky is blue by day", "The sky", chat=True)]
    tokenizer(["a", "b"], truncation=True, max_length=3, padding="max_length")
    assert [found.whole() for found in ids.quickly(pairs)] == [found.whole() for found in ids.plainly(pairs)]
