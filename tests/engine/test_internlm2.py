"""InternLM2 without its own code: the same logits, the same tensors back, and a word for what it is not."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaForCausalLM

from engine.config.schema import Model
from engine.exits import UnusableError
from engine.models.families.internlm2 import make_llama
from engine.models.load import load_model
from tests.engine.internlm2_folder import write_internlm2

DYNAMIC = {"type": "dynamic", "factor": 2.0}
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "bias": {"bias": True},
    "dynamic rope": {"rope_scaling": DYNAMIC, "max_position_embeddings": 24},
    "one key head": {"num_key_value_heads": 1},
    "all key heads": {"num_key_value_heads": 8},
}


@pytest.fixture(scope="module", params=SHAPES, ids=list(SHAPES))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_internlm2(tmp_path_factory.mktemp("internlm2"), **SHAPES[request.param])


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_internlm2(tmp_path_factory.mktemp("plain"))


def weights_of(folder: Path) -> dict[str, Tensor]:
    return {name: t for file in folder.glob("*.safetensors") for name, t in load_file(file).items()}


def original_logits(folder: Path, ids: Tensor) -> Tensor:
    """[T, V] fp64: the original's computation, head by head, on the tensors as they are in the files."""
    config = json.loads((folder / "config.json").read_text())
    w = {name: tensor.double() for name, tensor in weights_of(folder).items()}
    x = w["model.tok_embeddings.weight"][ids]
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        normed = norm(x, w[f"{at}.attention_norm.weight"], config)
        x = x + attention(w, f"{at}.attention", normed, config)
        normed = norm(x, w[f"{at}.ffn_norm.weight"], config)
        gate = normed @ w[f"{at}.feed_forward.w1.weight"].T
        up = normed @ w[f"{at}.feed_forward.w3.weight"].T
        x = x + (gate / (1 + torch.exp(-gate)) * up) @ w[f"{at}.feed_forward.w2.weight"].T
    return norm(x, w["model.norm.weight"], config) @ w["output.weight"].T


def norm(x: Tensor, weight: Tensor, config: dict[str, Any]) -> Tensor:
    narrow = x.float()  # as the original does, whatever the model's type
    scaled = narrow * torch.rsqrt(narrow.pow(2).mean(-1, keepdim=True) + config["rms_norm_eps"])
    return weight * scaled.to(x.dtype)


def attention(w: dict[str, Tensor], at: str, x: Tensor, config: dict[str, Any]) -> Tensor:
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    each, size = heads // groups, config["hidden_size"] // heads
    mixed = x @ w[f"{at}.wqkv.weight"].T + w.get(f"{at}.wqkv.bias", torch.zeros(()))
    out = []
    for head in range(heads):
        first = head // each * (each + 2)
        q, k, v = (
            mixed[:, (first + part) * size : (first + part + 1) * size]
            for part in (head % each, each, each + 1)
        )
        scores = rotated(q, config) @ rotated(k, config).T / size**0.5
        scores = scores.masked_fill(torch.ones_like(scores).triu(1).bool(), -torch.inf)
        out.append(scores.softmax(-1) @ v)
    return torch.cat(out, -1) @ w[f"{at}.wo.weight"].T + w.get(f"{at}.wo.bias", torch.zeros(()))


def rotated(x: Tensor, config: dict[str, Any]) -> Tensor:
    length, size = x.shape
    base, most = float(config["rope_theta"]), config["max_position_embeddings"]
    if config["rope_scaling"] and length > most:
        factor = config["rope_scaling"]["factor"]
        base *= (factor * length / most - (factor - 1)) ** (size / (size - 2))
    out = torch.empty_like(x)
    places = torch.arange(length, dtype=torch.float32)  # angles are fp32 in the original
    for i in range(size // 2):
        angle = places * (1.0 / base ** torch.tensor(2 * i / size))
        a, b = x[:, i], x[:, i + size // 2]
        out[:, i] = a * angle.cos() - b * angle.sin()
        out[:, i + size // 2] = b * angle.cos() + a * angle.sin()
    return out


@pytest.mark.parametrize("length", [7, 24, 61])
def test_logits_are_the_originals(folder: Path, length: int) -> None:
    ids = torch.randint(0, 400, (length,), generator=torch.Generator().manual_seed(length))
    model = load_model(Model(source="local", id=str(folder))).model
    expected = original_logits(folder, ids)
    with torch.no_grad():
        exact = model.double()(input_ids=ids[None]).logits[0]
        rounded = model.float()(input_ids=ids[None]).logits[0]
    assert expected.abs().max() > 1
    torch.testing.assert_close(exact, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(rounded.double(), expected, atol=2e-5, rtol=1e-5)


def test_saving_gives_the_original_tensors_back_bit_for_bit(folder: Path, tmp_path: Path) -> None:
    model = load_model(Model(source="local", id=str(folder))).model
    model.save_pretrained(tmp_path / "again", max_shard_size="100KB")
    assert len(list((tmp_path / "again").glob("*.safetensors"))) > 1
    before, after = weights_of(folder), weights_of(tmp_path / "again")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    shutil.copy(folder / "tokenizer.model", tmp_path / "again")
    again = load_model(Model(source="local", id=str(tmp_path / "again"))).model
    theirs = model.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in again.state_dict().items())


def test_as_a_llama_it_is_plain(folder: Path, tmp_path: Path) -> None:
    model = load_model(Model(source="local", id=str(folder))).model
    ids = torch.arange(40)[None] * 7
    with torch.no_grad():
        expected = model(input_ids=ids).logits
    make_llama(model)
    model.save_pretrained(tmp_path)
    llama = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(llama) is LlamaForCausalLM
    assert "model.layers.0.self_attn.q_proj.weight" in weights_of(tmp_path)
    with torch.no_grad():
        assert torch.equal(llama(input_ids=ids).logits, expected)


def test_a_config_that_says_nothing_of_biases_has_them(tmp_path: Path) -> None:
    folder = write_internlm2(tmp_path / "base", bias=True)
    config = json.loads((folder / "config.json").read_text())
    del config["bias"]
    (folder / "config.json").write_text(json.dumps(config))
    model = load_model(Model(source="local", id=str(folder))).model
    ids = torch.arange(20)
    with torch.no_grad():
        logits = model.double()(input_ids=ids[None]).logits[0]
    torch.testing.assert_close(logits, original_logits(folder, ids), atol=1e-6, rtol=0)
    model.save_pretrained(tmp_path / "again")
    assert weights_of(tmp_path / "again").keys() == weights_of(folder).keys()
    shutil.copy(folder / "tokenizer.model", tmp_path / "again")
    again = load_model(Model(source="local", id=str(tmp_path / "again"))).model
    assert again.config.attention_bias


def test_code_of_the_repo_is_never_run(plain: Path) -> None:
    load_model(Model(source="local", id=str(plain), trust_remote_code=True))


def test_pickled_weights_are_refused_with_the_way_out(tmp_path: Path) -> None:
    folder = write_internlm2(tmp_path, shards=1)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnusableError, match=r"pickled.*safetensors"):
        load_model(Model(source="local", id=str(folder)))


def test_weights_it_does_not_know_are_not_left_out(tmp_path: Path) -> None:
    folder = write_internlm2(tmp_path, shards=1)
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.attention.wqkv.bias"] = torch.zeros(128)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UnusableError, match="3 weights that a model of its type does not"):
        load_model(Model(source="local", id=str(folder)))
