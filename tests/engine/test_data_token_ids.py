"""Texts are tokenised in parts only where that gives the ids of the whole text, whatever stands in it."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken
from transformers import PreTrainedTokenizerBase

from engine.data.token_ids import Texts, TokenIds
from tests.engine.tiny_folder import tiny_tokenizer as bytes_tokenizer

TURN = "<|im_end|>\n<|im_start|>assistant\n"
PIECES = [
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<s>",
    "</s>",
    "<|im_",
    "start|>",
    "<",
    "|>",
    " ",
    "\n",
    "\u00a0",
    "The sky",
    " is blue",
    "sea ",
    "\u00e9\u0301",
    "\U0001f600",
    "\x00",
]
TEXT = st.lists(st.sampled_from(PIECES) | st.text(max_size=4), max_size=8).map("".join)


@st.composite
def written(draw: st.DrawFn) -> Texts:
    """A rendered pair: sides that begin with the prompt, mostly, and share some of what follows."""
    prompt, shared = draw(TEXT) + draw(st.sampled_from(["", TURN, "<|im_start|>"])), draw(TEXT)
    begins = draw(st.sampled_from([prompt, prompt.rstrip(), prompt[:-3], ""]))
    return Texts(prompt, begins + shared + draw(TEXT), begins + shared + draw(TEXT), draw(st.booleans()))


def tokenizers(one: PreTrainedTokenizerBase, other: PreTrainedTokenizerBase) -> list[PreTrainedTokenizerBase]:
    """Those of the tests, and some whose added tokens look at what stands beside them."""
    made: list[PreTrainedTokenizerBase] = [one, other, bytes_tokenizer()]
    odd = {"lstrip": True}, {"rstrip": True}, {"single_word": True}, {"normalized": True}
    for options in odd:
        changed = deepcopy(one)
        changed.add_tokens([AddedToken("sea <|im", **options), AddedToken("|>sky", **options)])
        made.append(changed)
        spaced = deepcopy(one)
        spaced.add_special_tokens({"additional_special_tokens": [AddedToken("<|turn|>", **options)]})
        made.append(spaced)
    return made


@given(st.lists(written(), min_size=1, max_size=4))
def test_the_quick_way_gives_the_ids_of_the_plain_way(
    tiny_tokenizer: PreTrainedTokenizerBase,
    tiny_tokenizer_with_bos: PreTrainedTokenizerBase,
    pairs: list[Texts],
) -> None:
    for tokenizer in tokenizers(tiny_tokenizer, tiny_tokenizer_with_bos):
        ids = TokenIds(tokenizer, "<|im_start|>user\nx" + TURN + "<|turn|>")
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
