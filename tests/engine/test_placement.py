"""Models as they are stored, on the devices: the same numbers, and nothing whole where it is divided."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from engine.config.schema import Lora, Model
from engine.models.adapters import add_lora
from engine.models.load import load_model
from tests.engine.runs import final_weights, make_run, of_type, train_here
from tests.engine.tiny_folder import tiny_llama, tiny_tokenizer, write_folder

LORA, BF16 = "model.lora.rank=4", 'model.dtype="bfloat16"'
TWO: dict[str, Any] = {"num_hidden_layers": 2, "vocab_size": 264, "hidden_size": 32}


def local(folder: Path) -> Model:
    return Model(source="local", id=str(folder))


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of bf16 weights."""
    return write_folder(tmp_path_factory.mktemp("bf16"), dtype=torch.bfloat16, **TWO)


@pytest.fixture(scope="module")
def widened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same numbers in fp32."""
    folder = tmp_path_factory.mktemp("fp32")
    tiny_llama(**TWO).bfloat16().float().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    "overrides", [(), (BF16,), (LORA,), (LORA, BF16)], ids=["fp32", "bf16", "lora", "both"]
)
def test_weights_stored_in_bf16_train_as_their_fp32_numbers(
    stored: Path, widened: Path, pairs: Path, tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    runs = {
        model: make_run(tmp_path / model.name, "run", model, pairs, *overrides) for model in (stored, widened)
    }
    one, two = ([step["loss"] for step in of_type(train_here(run), "step")] for run in runs.values())
    assert one == two
    weights, theirs = (final_weights(run) for run in runs.values())
    assert weights.keys() == theirs.keys()
    assert all(torch.equal(weight, theirs[name]) for name, weight in weights.items())


def test_a_model_is_the_same_however_its_numbers_are_stored(stored: Path, widened: Path) -> None:
    as_stored = load_model(local(stored), as_stored=True)
    assert as_stored.model.dtype == torch.bfloat16
    assert load_model(local(widened), as_stored=True).model.dtype == torch.float32
    assert (
        as_stored.fingerprint
        == load_model(local(stored)).fingerprint
        == load_model(local(widened)).fingerprint
    )


def test_weights_as_stored_are_the_pages_of_their_file(stored: Path) -> None:
    model = load_model(local(stored), as_stored=True).model
    mapped = [
        range(*(int(end, 16) for end in line.split()[0].split("-")))
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith(str(stored / "model.safetensors"))
    ]
    assert all(any(p.data_ptr() in place for place in mapped) for p in model.parameters())


def test_a_model_that_would_round_its_own_numbers_is_loaded_in_fp32(tmp_path: Path) -> None:
    sizes = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "intermediate_size": 48}
    made = Gemma3ForCausalLM(Gemma3TextConfig(**TWO, **sizes, sliding_window=32))
    made.bfloat16().save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    loaded = load_model(local(tmp_path), as_stored=True).model
    scale = loaded.get_input_embeddings().embed_scale
    assert loaded.dtype == torch.float32
    assert scale.dtype == torch.float32


def test_adapters_are_drawn_in_fp32_whatever_their_base_is_stored_in() -> None:
    one, two = (
        add_lora(tiny_llama().to(dtype), Lora(rank=4), seed=3) for dtype in (torch.float32, torch.bfloat16)
    )
    for (name, weight), other in zip(one.named_parameters(), two.parameters(), strict=True):
        if ".lora_A." in name:
            assert torch.equal(weight, other), name
            assert not torch.equal(weight, weight.bfloat16().float())
