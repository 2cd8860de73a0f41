"""From texts to tokens within limits: what is left of a text that is too long, and what is dropped."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from engine.data.encoding.encoder import encode
from engine.data.encoding.limits import Dropped, Encoded, Limits
from engine.data.rows.messages import TextPreference
from tests.engine.encodings import ROOM, chat, encoded

TEXTS = st.text(st.sampled_from("The sky is blue.\n \u00e9?<|im_end|></s>"), min_size=1, max_size=40)


def reason(preference: Any, tokenizer: PreTrainedTokenizerBase, limits: Limits = ROOM) -> str:
    result = encode(preference, tokenizer, limits)
    assert isinstance(result, Dropped), result
    return result.reason


def test_a_long_prompt_keeps_its_end_and_its_bos(tiny_tokenizer_with_bos: PreTrainedTokenizerBase) -> None:
    tokenizer = tiny_tokenizer_with_bos
    preference = TextPreference("one two three four five six seven", " blue.", " green.")
    whole = encoded(preference, tokenizer)
    short = encoded(preference, tokenizer, Limits(64, 6))
    start = whole.pair.chosen_start
    assert short.cut == ("prompt",)
    assert short.pair.chosen.tolist() == [tokenizer.bos_token_id, *whole.pair.chosen[start - 5 :].tolist()]
    assert short.pair.chosen_start == short.pair.rejected_start == 6
    assert short.lengths == whole.lengths


def test_a_long_completion_keeps_its_start_and_loses_its_eos(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    preference = TextPreference("The sky is", " blue by day and black by night, I think", " red")
    whole = encoded(preference, tiny_tokenizer)
    short = encoded(preference, tiny_tokenizer, Limits(len(whole.pair.rejected), 2048))
    assert short.cut == ("chosen",)
    assert short.pair.chosen.tolist() == whole.pair.chosen[: len(whole.pair.rejected)].tolist()
    assert short.pair.rejected.tolist() == whole.pair.rejected.tolist()


def test_drop_counts_what_truncate_would_cut(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    preference = TextPreference("The sky is", " blue by day", " red")
    assert reason(preference, tiny_tokenizer, Limits(4, 2, "drop")) == "too_long"
    assert isinstance(encode(preference, tiny_tokenizer, Limits(64, 32, "drop")), Encoded)


def test_what_is_the_same_once_cut_is_dropped(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    preference = TextPreference("The sky is", " blue by day and black", " blue by day and green")
    assert reason(preference, tiny_tokenizer, Limits(6, 5)) == "equal_after_cut"


def test_a_prompt_that_fills_the_length_leaves_no_room(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    assert reason(TextPreference("one two three four", " a", " b"), tiny_tokenizer, Limits(5, 9)) == "no_room"


def test_a_completion_of_nothing_but_the_eos_is_empty(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    assert reason(TextPreference("The sky", "<|im_end|>", " b"), tiny_tokenizer) == "empty_chosen"


@pytest.mark.parametrize("kind", ["text", "chat"])
@pytest.mark.parametrize("fixture", ["tiny_tokenizer", "tiny_tokenizer_with_bos"])
@given(
    st.tuples(TEXTS, TEXTS, TEXTS),
    st.integers(8, 40),
    st.integers(1, 40),
    st.sampled_from(["truncate", "drop"]),
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_the_text_and_the_limits_a_pair_is_sound(
    request: pytest.FixtureRequest,
    fixture: str,
    kind: str,
    texts: tuple[str, str, str],
    max_length: int,
    max_prompt_length: int,
    too_long: Any,
) -> None:
    tokenizer: PreTrainedTokenizerBase = request.getfixturevalue(fixture)
    preference = TextPreference(*texts) if kind == "text" else chat(*texts)
    whole = encode(preference, tokenizer, ROOM)
    result = encode(preference, tokenizer, Limits(max_length, max_prompt_length, too_long))
    if isinstance(result, Dropped):
        return
    assert isinstance(whole, Encoded)
    assert result.pair.chosen.tolist() != result.pair.rejected.tolist()
    sides = (
        ("chosen", result.pair.chosen, result.pair.chosen_start, whole.pair.chosen, whole.pair.chosen_start),
        (
            "rejected",
            result.pair.rejected,
            result.pair.rejected_start,
            whole.pair.rejected,
            whole.pair.rejected_start,
        ),
    )
    for name, ids, start, all_ids, all_start in sides:
        assert 1 <= start < len(ids) <= max_length
        assert start <= max_prompt_length
        completion, full = ids[start:].tolist(), all_ids[all_start:].tolist()
        assert completion == full[: len(completion)]  # keeps its start
        leading = int(start > 0 and ids[0] == all_ids[0])
        assert (
            ids[leading:start].tolist() == all_ids[all_start - (start - leading) : all_start].tolist()
        )  # its end
        assert full[-1] == tokenizer.eos_token_id
        assert full[-2:] != [tokenizer.eos_token_id] * 2
        assert (completion == full) == (name not in result.cut)
