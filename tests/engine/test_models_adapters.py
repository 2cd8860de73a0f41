"""Adapters: nothing changes at step 0, the seed decides the rest, wrong targets are named."""

from pathlib import Path

import pytest
import torch

from engine.config.schema import Lora
from engine.exits import CannotWriteError, UnusableError
from engine.models.adapters import adapter_disabled, add_lora
from engine.models.weights import save_trained, trained_tensors
from engine.stored import load_trained
from tests.engine.tiny_folder import tiny_llama
from tests.tiny import FAMILIES, tiny_model

IDS = torch.arange(3, 40)[None]


@pytest.mark.parametrize("family", FAMILIES)
def test_fresh_adapter_computes_exactly_what_the_base_does(family: str) -> None:
    model = tiny_model(family)
    expected = model(IDS).logits
    adapted = add_lora(model, Lora(rank=4), seed=1)
    assert torch.equal(adapted(IDS).logits, expected)
    assert all("lora_" in name for name in trained_tensors(adapted))
    assert not any("lm_head" in name or "embed" in name or "wte" in name for name in trained_tensors(adapted))
    assert {parameter.dtype for parameter in trained_tensors(adapted).values()} == {torch.float32}


def test_seed_alone_decides_the_start_and_the_global_generator_stays() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = trained_tensors(add_lora(tiny_llama(), Lora(), seed=7))
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(99)
    again = trained_tensors(add_lora(tiny_llama(), Lora(), seed=7))
    other = trained_tensors(add_lora(tiny_llama(), Lora(), seed=8))
    assert all(torch.equal(tensor, again[name]) for name, tensor in first.items())
    assert any(not torch.equal(tensor, other[name]) for name, tensor in first.items())


def test_switched_off_is_the_base_and_switched_on_again_trains() -> None:
    model = tiny_llama()
    expected = model(IDS).logits
    adapted = add_lora(model, Lora(rank=2), seed=0)
    with torch.no_grad():
        for parameter in trained_tensors(adapted).values():
            parameter.add_(0.1)
    names = set(trained_tensors(adapted))
    moved = adapted(IDS).logits
    with adapter_disabled(adapted):
        assert torch.equal(adapted(IDS).logits, expected)
    assert torch.equal(adapted(IDS).logits, moved)
    assert not torch.equal(moved, expected)
    assert set(trained_tensors(adapted)) == names


def test_model_without_adapters_needs_no_switch() -> None:
    model = tiny_llama()
    with adapter_disabled(model):
        assert model(IDS).logits.isfinite().all()


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("nope", "names no module"),
        ("lm_head", "head"),
        ("embed_tokens", "embedding"),
        ("mlp", "not a linear layer"),
        ("input_layernorm", "not a linear layer"),
    ],
)
def test_wrong_target_is_named_with_those_there_are(target: str, why: str) -> None:
    with pytest.raises(UnusableError, match=why) as caught:
        add_lora(tiny_llama(), Lora(targets=["q_proj", target]), seed=0)
    assert "down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj" in caught.value.text


def test_only_named_targets_are_adapted() -> None:
    names = trained_tensors(add_lora(tiny_llama(), Lora(targets=["q_proj", "mlp.up_proj"]), seed=0))
    assert {name.split(".lora_")[0].rsplit(".", 1)[1] for name in names} == {"q_proj", "up_proj"}


@pytest.mark.parametrize("lora", [None, Lora(rank=2)])
def test_trained_weights_go_to_disk_and_come_back_bit_for_bit(tmp_path: Path, lora: Lora | None) -> None:
    def fresh() -> torch.nn.Module:
        model: torch.nn.Module = tiny_llama(tie_word_embeddings=True)
        return model if lora is None else add_lora(model, lora, seed=3)

    trained = fresh()
    with torch.no_grad():
        for parameter in trained_tensors(trained).values():
            parameter.add_(torch.randn_like(parameter))
    save_trained(trained, tmp_path / "weights.safetensors")
    again = fresh()
    load_trained(again, tmp_path)
    expected = trained_tensors(trained)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in trained_tensors(again).items())
    assert torch.equal(again(IDS).logits, trained(IDS).logits)


@pytest.mark.parametrize("other", ["fewer layers", "more layers", "other width", "adapter"])
def test_weights_of_another_model_are_refused(tmp_path: Path, other: str) -> None:
    models: dict[str, torch.nn.Module] = {
        "fewer layers": tiny_llama(num_hidden_layers=1),
        "more layers": tiny_llama(num_hidden_layers=3),
        "other width": tiny_llama(intermediate_size=64),
        "adapter": add_lora(tiny_llama(), Lora(rank=2), seed=0),
    }
    path = tmp_path / "weights.safetensors"
    save_trained(models[other], path)
    with pytest.raises(UnusableError, match="does not fit the model") as caught:
        load_trained(tiny_llama(), tmp_path)
    assert caught.value.code == "checkpoint.misfit"


def test_torn_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_trained(tiny_llama(), path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UnusableError, match="cannot be read"):
        load_trained(tiny_llama(), tmp_path)


def test_weights_that_cannot_be_written_say_so(tmp_path: Path) -> None:
    with pytest.raises(CannotWriteError):
        save_trained(tiny_llama(), tmp_path / "missing" / "weights.safetensors")
