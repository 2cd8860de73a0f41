"""InternLM2's tokenizer: the ids of the `sentencepiece` library, the originals' special tokens, and the way back."""

import json
import random
from pathlib import Path

import pytest
from sentencepiece import SentencePieceProcessor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import import_protobuf

from engine.config.schema import Model
from engine.data.encoding.encoder import encode, generation_stops
from engine.data.encoding.limits import Encoded, Limits
from engine.data.rows.messages import ChatPreference, Message
from engine.exits import UnusableError
from engine.models.families.internlm2_tokenizer import load_internlm2_tokenizer
from engine.models.load import load_tokenizer
from tests.engine.internlm2_folder import CORPUS, TEMPLATE, write_internlm2

MARKS = ("<|im_end|>", "</s>")
ALPHABETS = (
    "the sea is blue and deep, what colour is the sky? ABC",
    "\u5929\u7a7a\u662f\u84dd\u8272\u7684\uff0c\u4f60\u597d\u4e16\u754c\uff01\u516c\u56ed\u9f98",
    "def f(x):\n\treturn x[0] ** 2 # {'a': 1}\r\n",
    "\U0001f98b\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f \u2764",
    "  \t \n\u3000\u00a0\u2581x",
    "\u00e9\u0301\u0416\u05d0\u0e01\u2161\ufb01\x07\x7f\ud55c0123456789",
)


def strings(count: int) -> list[str]:
    """Pieces of real sentences, and letters of every alphabet, mixed."""
    draw = random.Random(0)
    text = "\n".join(CORPUS)
    out = []
    for number in range(count):
        if number % 5 == 0:
            start = draw.randrange(len(text))
            out.append(text[start : start + draw.randrange(1, 60)])
        else:
            letters = ALPHABETS[number % len(ALPHABETS)] if number % 2 else "".join(ALPHABETS)
            out.append("".join(draw.choice(letters) for _ in range(draw.randrange(1, 40))))
    return out


@pytest.fixture(scope="module", params=[True, False], ids=["dummy prefix", "none"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_internlm2(tmp_path_factory.mktemp("internlm2"), dummy_prefix=request.param)


@pytest.fixture(scope="module")
def original(folder: Path) -> SentencePieceProcessor:
    return SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(Model(source="local", id=str(folder)))


def change_settings(folder: Path, **changes: object) -> None:
    """Settings of tokenizer_config.json; None leaves one out."""
    path = folder / "tokenizer_config.json"
    settings = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({name: value for name, value in settings.items() if value is not None}))


def test_ids_of_5000_strings_are_those_of_sentencepiece(
    tokenizer: PreTrainedTokenizerBase, original: SentencePieceProcessor
) -> None:
    texts = strings(5000)
    mine = tokenizer(texts, add_special_tokens=False).input_ids
    wrong = [text for text, ids in zip(texts, mine, strict=True) if ids != original.encode(text)]
    assert not wrong, f"{len(wrong)}, such as {wrong[:3]}"


def test_pieces_are_merged_by_their_scores_and_not_by_their_ids(tmp_path: Path) -> None:
    path = write_internlm2(tmp_path) / "tokenizer.model"
    proto = import_protobuf().ModelProto()
    proto.ParseFromString(path.read_bytes())
    normal = [piece for piece in proto.pieces if piece.type == 1]
    swapped = [(piece.piece, piece.score) for piece in reversed(normal)]
    for piece, (text, score) in zip(normal, swapped, strict=True):
        piece.piece, piece.score = text, score
    path.write_bytes(proto.SerializeToString())
    original = SentencePieceProcessor(model_file=str(path))
    tokenizer, texts = load_internlm2_tokenizer(tmp_path), strings(500)
    mine = tokenizer(texts, add_special_tokens=False).input_ids
    assert mine == [original.encode(text) for text in texts]


def test_decoding_gives_the_text_back_where_sentencepiece_does(
    tokenizer: PreTrainedTokenizerBase, original: SentencePieceProcessor
) -> None:
    exact = [text for text in strings(5000) if original.decode(original.encode(text)) == text]
    assert len(exact) > 4000
    wrong = [text for text in exact if tokenizer.decode(original.encode(text)) != text]
    assert not wrong, f"{len(wrong)}, such as {wrong[:3]}"


def test_marks_of_a_chat_are_one_token_each_under_both_names(
    tokenizer: PreTrainedTokenizerBase, original: SentencePieceProcessor
) -> None:
    start, end = original.piece_to_id("[UNUSED_TOKEN_146]"), original.piece_to_id("[UNUSED_TOKEN_145]")
    chat = "<|im_start|>user\nHi<|im_end|>\n"
    old = chat.replace("<|im_start|>", "[UNUSED_TOKEN_146]").replace("<|im_end|>", "[UNUSED_TOKEN_145]")
    ids = tokenizer(chat, add_special_tokens=False).input_ids
    assert ids == tokenizer([old], add_special_tokens=False).input_ids[0]
    assert ids[0] == start
    assert ids.count(end) == 1
    assert ids == [start, *original.encode("user\nHi"), end, *original.encode("\n")]
    assert tokenizer.convert_ids_to_tokens([start, end]) == ["<|im_start|>", "<|im_end|>"]


def test_a_chat_is_written_by_the_template_of_the_folder(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokenizer.chat_template == TEMPLATE
    messages = [{"role": "user", "content": "Hi"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "<s><|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer("Hi").input_ids[0] == tokenizer.bos_token_id == 1


def test_an_answer_ends_with_the_mark_of_its_turn_and_nothing_more(
    folder: Path, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": 5}')
    stops = generation_stops(tokenizer)
    assert tokenizer.convert_ids_to_tokens(stops) == ["</s>", "<|im_end|>"]
    question: list[Message] = [{"role": "user", "content": "Hi"}]
    good: list[Message] = [{"role": "assistant", "content": "yes"}]
    bad: list[Message] = [{"role": "assistant", "content": "no"}]
    encoded = encode(ChatPreference(question, good, bad), tokenizer, Limits(256, 128), stop_ids=stops)
    assert isinstance(encoded, Encoded)
    for side in (encoded.pair.chosen, encoded.pair.rejected):
        ends = [token for token in tokenizer.convert_ids_to_tokens(side.tolist()) if token in MARKS]
        assert ends == ["<|im_end|>", "<|im_end|>"]


def test_a_folder_that_does_not_say_the_new_names_has_them_all_the_same(tmp_path: Path) -> None:
    folder = write_internlm2(tmp_path)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({"chat_template": TEMPLATE}))
    tokenizer = load_internlm2_tokenizer(folder)
    assert len(tokenizer("<|im_start|>", add_special_tokens=False).input_ids) == 1
    assert tokenizer.eos_token == "</s>"


@pytest.mark.parametrize(
    ("switches", "before", "after"),
    [
        ({}, [1], []),
        ({"add_bos_token": False}, [], []),
        ({"add_eos_token": True}, [1], [2]),
        ({"add_bos_token": False, "add_eos_token": True}, [], [2]),
    ],
)
def test_a_text_begins_and_ends_as_the_folder_says(
    tmp_path: Path, switches: dict[str, bool], before: list[int], after: list[int]
) -> None:
    change_settings(write_internlm2(tmp_path / "base"), **switches)
    tokenizer = load_internlm2_tokenizer(tmp_path / "base")
    sea, sky = (tokenizer(text, add_special_tokens=False).input_ids for text in ("the sea", "sky"))
    tokenizer.save_pretrained(tmp_path / "saved")
    for read in (tokenizer, PreTrainedTokenizerFast.from_pretrained(tmp_path / "saved")):
        assert read("the sea").input_ids == [*before, *sea, *after]
        assert read("the sea", "sky").input_ids == [*before, *sea, *sky, *after]


@pytest.mark.parametrize("numbered", [False, True], ids=["as it was saved of old", "with numbers of its own"])
def test_special_tokens_are_those_of_their_map_unless_the_settings_number_them(
    tmp_path: Path, numbered: bool
) -> None:
    path = write_internlm2(tmp_path) / "special_tokens_map.json"
    if not numbered:
        change_settings(tmp_path, added_tokens_decoder=None, additional_special_tokens=["<|im_start|>"])
    end = {"content": "<|im_end|>", "lstrip": False, "normalized": False, "rstrip": False}
    path.write_text(json.dumps({"eos_token": end, "additional_special_tokens": [end, "<|im_start|>"]}))
    tokenizer = load_internlm2_tokenizer(tmp_path)
    assert tokenizer.eos_token == ("</s>" if numbered else "<|im_end|>")
    assert tokenizer.pad_token == "</s>"
    assert len(tokenizer("<|im_end|>", add_special_tokens=False).input_ids) == 1
    if not numbered:
        assert tokenizer.extra_special_tokens == ["<|im_start|>", "<|im_end|>"]


def test_a_map_of_special_tokens_that_is_none_is_named(tmp_path: Path) -> None:
    path = write_internlm2(tmp_path) / "special_tokens_map.json"
    change_settings(tmp_path, added_tokens_decoder=None)
    path.write_text("[]")
    with pytest.raises(UnusableError, match=r"special_tokens_map\.json: it is not a table"):
        load_internlm2_tokenizer(tmp_path)


def test_tokens_behind_the_vocabulary_are_one_token_each(tmp_path: Path) -> None:
    path = write_internlm2(tmp_path) / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    settings["added_tokens_decoder"] |= {
        "420": {"content": "<|mine|>", "special": True},
        "421": {"content": "<x>"},
    }
    path.write_text(json.dumps(settings))
    assert load_internlm2_tokenizer(tmp_path)("<|mine|><x>", add_special_tokens=False).input_ids == [420, 421]
    del settings["added_tokens_decoder"]["420"]
    path.write_text(json.dumps(settings))
    with pytest.raises(UnusableError, match=r"tokenizer_config\.json: no token can have the number 421"):
        load_internlm2_tokenizer(tmp_path)


def test_tokens_are_numbered_by_their_own_file_as_they_were_of_old(tmp_path: Path) -> None:
    """Names for pieces that were left unused, and tokens behind the vocabulary."""
    path = write_internlm2(tmp_path) / "added_tokens.json"
    change_settings(tmp_path, added_tokens_decoder=None)
    (tmp_path / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": ["<|mine|>"]}))
    unused = load_internlm2_tokenizer(tmp_path).get_vocab()["[UNUSED_TOKEN_141]"]
    path.write_text(json.dumps({"<|plugin|>": unused, "<x>": 421, "<|mine|>": 420}))
    tokenizer = load_internlm2_tokenizer(tmp_path)
    ids = tokenizer("<|plugin|><|mine|><x>[UNUSED_TOKEN_141]", add_special_tokens=False).input_ids
    assert ids == [unused, 420, 421, unused]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<x>"
    path.write_text(json.dumps({"<x>": "421"}))
    with pytest.raises(UnusableError, match=r"added_tokens\.json: '<x>' has the number '421', which is none"):
        load_internlm2_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "BPE kind"), (b"\xff\xfe no model", "SentencePiece"), (None, "tokenizer.model")],
)
def test_a_bad_file_is_named(tmp_path: Path, content: bytes | None, why: str) -> None:
    folder = write_internlm2(tmp_path)
    path = folder / "tokenizer.model"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(UnusableError, match=why):
        load_internlm2_tokenizer(folder)
