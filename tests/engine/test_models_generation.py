"""Generation ends where the chat's turns end, and its config can be saved."""

from pathlib import Path

import pytest
from transformers import GenerationConfig

from engine.models.generation import complete_generation_config, end_of_turn
from tests.engine.tiny_folder import tiny_llama, tiny_tokenizer

END, EOS = 2, 0


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}<|im_end|>\n{% endfor %}", END),
        ("{% for m in messages %}{{ m['content'] }}{{ eos_token }}{% endfor %}", EOS),
        ("{% for m in messages %}{{ m['content'] }}\n{% endfor %}", None),
        ("{{ raise_exception('no such roles') }}", None),
        ("{% for m in messages %}{{ m['role'] }}{% endfor %}", None),
        (None, None),
    ],
)
def test_end_of_a_turn_is_read_off_the_template(template: str | None, expected: int | None) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    assert end_of_turn(tokenizer) == expected


@pytest.mark.parametrize(
    ("before", "after"), [(None, [END, EOS]), (EOS, [EOS, END]), ([EOS, END], [EOS, END]), (END, [END, EOS])]
)
def test_end_of_turn_joins_what_stops_generation(before: object, after: object) -> None:
    model = tiny_llama()
    model.generation_config = GenerationConfig(eos_token_id=before)
    complete_generation_config(model, tiny_tokenizer())
    assert model.generation_config.eos_token_id == after


def test_published_sampling_settings_without_sampling_can_be_saved(tmp_path: Path) -> None:
    model = tiny_llama()
    model.generation_config = GenerationConfig(eos_token_id=EOS, do_sample=False, temperature=0.6, top_p=0.9)
    complete_generation_config(model, tiny_tokenizer())
    model.save_pretrained(tmp_path)
    assert GenerationConfig.from_pretrained(tmp_path).temperature == 0.6
