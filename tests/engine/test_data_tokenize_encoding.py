"""From texts to tokens: where a completion begins, and how it ends."""

from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from engine.data.encoding.encoder import Encoder, encode, generation_stops, tokenizer_fingerprint
from engine.data.encoding.limits import Dropped, Encoded
from engine.data.rows.messages import ChatPreference, Preference, TextPreference
from engine.exits import UnusableError
from tests.engine.encodings import ROOM, assistant, chat, encoded, parts, user


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
