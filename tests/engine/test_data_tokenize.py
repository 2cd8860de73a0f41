"""From texts to tokens: where a completion begins, how it ends, and what is left of one that is too long."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase

from engine.data.limits import Dropped, Encoded, Limits
from engine.data.messages import ChatPreference, Message, Preference, TextPreference
from engine.data.pairs import Pair
from engine.data.tokenize import Encoder, encode, generation_stops, tokenizer_fingerprint
from engine.exits import UnusableError

ROOM = Limits(4096, 2048)
TEXTS = st.text(st.sampled_from("The sky is blue.\n \u00e9?<|im_end|></s>"), min_size=1, max_size=40)


def user(text: str) -> Message:
    return {"role": "user", "content": text}


def assistant(text: str) -> Message:
    return {"role": "assistant", "content": text}


def chat(prompt: str, chosen: str, rejected: str) -> ChatPreference:
    return ChatPreference([user(prompt)], [assistant(chosen)], [assistant(rejected)])


def encoded(
    preference: Any, tokenizer: PreTrainedTokenizerBase, limits: Limits = ROOM, **more: Any
) -> Encoded:
    result = encode(preference, tokenizer, limits, **more)
    assert isinstance(result, Encoded), result
    return result


def reason(preference: Any, tokenizer: PreTrainedTokenizerBase, limits: Limits = ROOM) -> str:
    result = encode(preference, tokenizer, limits)
    assert isinstance(result, Dropped), result
    return result.reason


def parts(pair: Pair, tokenizer: PreTrainedTokenizerBase) -> tuple[str, str, str]:
    """Prompt, chosen and rejected completion as text."""
    return (
        str(tokenizer.decode(pair.chosen[: pair.chosen_start].tolist())),
        str(tokenizer.decode(pair.chosen[pair.chosen_start :].tolist())),
        str(tokenizer.decode(pair.rejected[pair.rejected_start :].tolist())),
    )


def test_a_chat_is_what_the_template_says_without_its_tail(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    pair = encoded(chat("What colour?", "Blue.", "Green."), tiny_tokenizer).pair
    assert parts(pair, tiny_tokenizer) == (
        "<|im_start|>user\nWhat colour?<|im_end|>\n<|im_start|>assistant\n",
        "Blue.<|im_end|>",
        "Green.<|im_end|>",
    )


def test_a_template_with_bos_gives_one_bos_and_one_eos(
    tiny_tokenizer_with_bos: PreTrainedTokenizerBase,
) -> None:
    tokenizer = tiny_tokenizer_with_bos
    pair = encoded(chat("What colour?", "Blue.", "Green."), tokenizer).pair
    assert parts(pair, tokenizer) == ("<s>[user] What colour?[assistant]", " Blue.</s>", " Green.</s>")
    assert pair.chosen.tolist().count(tokenizer.bos_token_id) == 1


def test_text_stands_as_it_is_with_one_bos_and_one_eos(
    tiny_tokenizer_with_bos: PreTrainedTokenizerBase,
) -> None:
    pair = encoded(TextPreference("The sky is", " blue.", " green."), tiny_tokenizer_with_bos).pair
    assert parts(pair, tiny_tokenizer_with_bos) == ("<s>The sky is", " blue.</s>", " green.</s>")


def test_a_text_that_brings_its_own_bos_and_eos_gets_no_second(
    tiny_tokenizer_with_bos: PreTrainedTokenizerBase,
) -> None:
    pair = encoded(
        TextPreference("<s>The sky is", " blue.</s>\n", " green.</s></s>"), tiny_tokenizer_with_bos
    ).pair
    assert parts(pair, tiny_tokenizer_with_bos) == ("<s>The sky is", " blue.</s>", " green.</s>")


def test_a_merge_over_the_boundary_belongs_to_the_completion(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    """`th` + `e` is one token: the prompt ends before it, on the side where it happens."""
    pair = encoded(TextPreference("is th", "e sky", "under"), tiny_tokenizer).pair
    together = tiny_tokenizer("is the sky", add_special_tokens=False).input_ids
    assert pair.chosen.tolist()[:-1] == together
    assert pair.chosen_start < pair.rejected_start
    assert str(tiny_tokenizer.decode(pair.chosen.tolist())) == "is the sky<|im_end|>"


def test_several_turns_of_a_completion_are_kept(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    preference = ChatPreference([user("a")], [assistant("b"), user("c"), assistant("d")], [assistant("x")])
    _, chosen, rejected = parts(encoded(preference, tiny_tokenizer).pair, tiny_tokenizer)
    assert chosen == "b<|im_end|>\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\nd<|im_end|>"
    assert rejected == "x<|im_end|>"


PLAIN = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def test_a_template_without_an_end_gets_the_eos_in_place_of_its_white_space(
    tiny_tokenizer: PreTrainedTokenizerBase,
) -> None:
    pair = encoded(chat("a", "blue", "green"), tiny_tokenizer, chat_template=PLAIN).pair
    assert parts(pair, tiny_tokenizer) == ("user: a\n\nassistant:", " blue<|im_end|>", " green<|im_end|>")


def test_an_end_of_turn_that_is_no_stop_is_kept_and_followed_by_the_eos(
    tiny_tokenizer: PreTrainedTokenizerBase,
) -> None:
    template = PLAIN.replace("\n\n", "<|im_start|>\n")
    result = encoded(chat("a", "blue", "green"), tiny_tokenizer, chat_template=template).pair
    assert parts(result, tiny_tokenizer)[1] == " blue<|im_start|><|im_end|>"
    stop = tiny_tokenizer.convert_tokens_to_ids("<|im_start|>")
    result = encoded(chat("a", "blue", "green"), tiny_tokenizer, chat_template=template, stop_ids=[stop]).pair
    assert parts(result, tiny_tokenizer)[1] == " blue<|im_start|>"


def test_an_eos_written_inside_a_completion_does_not_end_it(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    pair = encoded(chat("a", "blue<|im_end|>sea", "green"), tiny_tokenizer).pair
    assert parts(pair, tiny_tokenizer)[1] == "blue<|im_end|>sea<|im_end|>"


def test_a_model_without_a_template_says_how_to_give_one(
    tiny_tokenizer_with_bos: PreTrainedTokenizerBase,
) -> None:
    tokenizer = type(tiny_tokenizer_with_bos)(
        tokenizer_object=tiny_tokenizer_with_bos.backend_tokenizer, bos_token="<s>", eos_token="</s>"
    )
    with pytest.raises(UnusableError, match=r"chat_template in \[data\]"):
        encode(chat("a", "b", "c"), tokenizer, ROOM)
    assert isinstance(encode(TextPreference("a", " b", " c"), tokenizer, ROOM), Encoded)


def test_a_template_that_is_broken_or_breaks_out_is_an_error(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    for template in ("{% for", "{{ messages.__class__.__mro__ }}", "{{ range(10**9) | list }}"):
        with pytest.raises(UnusableError, match="chat template"):
            encode(chat("a", "b", "c"), tiny_tokenizer, ROOM, chat_template=template)


def test_a_conversation_the_template_refuses_is_dropped_with_its_words(
    tiny_tokenizer_with_bos: PreTrainedTokenizerBase,
) -> None:
    refused = ChatPreference(
        [{"role": "system", "content": "Be kind."}, user("a")], [assistant("b")], [assistant("c")]
    )
    result = encode(refused, tiny_tokenizer_with_bos, ROOM)
    assert result == Dropped("template_refused", "System role not supported")


def test_a_tokenizer_without_eos_is_refused(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    tokenizer = type(tiny_tokenizer)(tokenizer_object=tiny_tokenizer.backend_tokenizer)
    with pytest.raises(UnusableError, match="no EOS"):
        Encoder(tokenizer, ROOM)


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


def test_a_batch_gives_what_single_ones_give(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    preferences: list[Preference] = [
        chat("a", "b", "c"),
        TextPreference("a", " b", " b"),
        TextPreference("The sky", " b", " c"),
    ]
    together = Encoder(tiny_tokenizer, ROOM).encode(preferences)
    for preference, result in zip(preferences, together, strict=True):
        alone = encode(preference, tiny_tokenizer, ROOM)
        assert type(alone) is type(result)
        if isinstance(alone, Encoded) and isinstance(result, Encoded):
            assert alone.pair.chosen.tolist() == result.pair.chosen.tolist()


def test_the_fingerprint_is_the_same_after_use_and_differs_by_template(
    tiny_tokenizer: PreTrainedTokenizerBase, tiny_tokenizer_with_bos: PreTrainedTokenizerBase
) -> None:
    before = tokenizer_fingerprint(tiny_tokenizer)
    tiny_tokenizer(["a", "b c"], padding=True, truncation=True, max_length=4)
    assert tokenizer_fingerprint(tiny_tokenizer) == before
    assert tokenizer_fingerprint(tiny_tokenizer_with_bos) != before
    template = tiny_tokenizer.chat_template
    tiny_tokenizer.chat_template = "other"
    try:
        assert tokenizer_fingerprint(tiny_tokenizer) != before
    finally:
        tiny_tokenizer.chat_template = template


@pytest.mark.parametrize(
    ("config", "stops"),
    [('{"eos_token_id": [1, 106]}', [1, 106]), ('{"eos_token_id": 2}', [2]), ("{}", []), ("broken", [])],
)
def test_the_stops_of_a_model_come_from_its_generation_config(
    tmp_path: Any, tiny_tokenizer: PreTrainedTokenizerBase, config: str, stops: list[int]
) -> None:
    (tmp_path / "generation_config.json").write_text(config)
    name = tiny_tokenizer.name_or_path
    tiny_tokenizer.name_or_path = str(tmp_path)
    try:
        assert generation_stops(tiny_tokenizer) == stops
    finally:
        tiny_tokenizer.name_or_path = name
