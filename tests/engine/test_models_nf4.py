"""A base in 4 bits: bitsandbytes' own numbers, the same in every process, and nothing else of the model touched."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
from bitsandbytes.nn import Linear4bit
from gguf import GGMLQuantizationType as Kind
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from engine import memory_command, train
from engine.config.schema import Lora, Model
from engine.exits import EnvironmentUnfitError, Exit, UnusableError
from engine.extras import require_extras
from engine.kernels import nf4 as kernel
from engine.kernels.nf4 import quantized
from engine.models import load, nf4
from engine.models.adapters import add_lora
from engine.models.fingerprint import fingerprint
from engine.models.load import load_model
from engine.optimizer import cast_model
from engine.policy import Policy
from engine.rundir.events import read_events
from engine.whole import size
from tests.engine.runs import make_run
from tests.engine.test_models_gguf import write_llama
from tests.engine.tiny_folder import tiny_llama, write_folder
from tests.tiny import FAMILIES, random_pairs, tiny_model

IDS = torch.arange(3, 40)[None]
NF4 = ("model.lora.rank=4", 'model.lora.quantization="nf4"')
LARGE: dict[str, Any] = {"hidden_size": 256, "intermediate_size": 512}


def local(path: Path, quantization: str | None = "nf4") -> Model:
    lora = {"rank": 4, "quantization": quantization}
    return Model.model_validate({"source": "local", "id": str(path), "lora": lora})


def plain(path: Path, dtype: torch.dtype) -> Any:
    """What somebody who has never heard of us would load."""
    asked = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    model = AutoModelForCausalLM.from_pretrained(
        path, dtype=dtype, quantization_config=asked, device_map={"": "cpu"}
    )
    for _, layer in nf4.linears(model):
        layer.support_avx512bf16_for_cpu = False
    return model


# The numbers


@pytest.mark.parametrize("shape", [(64, 64), (300, 448), (3, 37)])
def test_weights_are_those_of_bitsandbytes(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "PORTION", 1 << 10)
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    weight[0, :2] = 0
    ours, state = quantized(weight)
    theirs, expected = quantize_4bit(weight, compress_statistics=True, quant_type="nf4")
    assert torch.equal(ours, theirs)
    assert (state.shape, state.dtype, state.blocksize) == (expected.shape, expected.dtype, expected.blocksize)
    torch.testing.assert_close(dequantize_4bit(ours, state), dequantize_4bit(theirs, expected))


def test_zeros_stay_zeros() -> None:
    ours, state = quantized(torch.zeros(8, 64))
    assert torch.equal(dequantize_4bit(ours, state), torch.zeros(8, 64))


def test_they_do_not_depend_on_the_number_of_threads() -> None:
    weight, before = (
        torch.randn(4096, 1024, generator=torch.Generator().manual_seed(1)),
        torch.get_num_threads(),
    )
    found = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            codes, state = quantized(weight)
            found.append((codes, state.absmax, state.state2.absmax, state.offset))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


# Loading


def test_linear_layers_are_in_4_bits_and_all_else_is_as_ever(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", **LARGE)
    model, whole = load_model(local(folder)).model, load_model(local(folder, None)).model
    layers = dict(nf4.linears(model))
    assert len(layers) == 2 * 7
    assert all(type(layer) is Linear4bit for layer in layers.values())
    for layer in layers.values():
        state = layer.weight.quant_state
        assert (state.quant_type, state.nested, state.blocksize) == ("nf4", True, 64)
        bytes_taken = layer.weight.nbytes + state.absmax.nbytes + state.state2.absmax.nbytes
        assert bytes_taken <= 0.6 * layer.in_features * layer.out_features
        assert not layer.weight.requires_grad
    others = {name: p for name, p in model.named_parameters() if p.is_floating_point()}
    assert {"model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"} <= others.keys()
    assert all(torch.equal(p, whole.get_parameter(name)) for name, p in others.items())
    assert nf4.packed_weights(model) == sum(
        layer.in_features * layer.out_features for layer in layers.values()
    )
    assert sum(map(size, model.parameters())) == whole.num_parameters()
    assert getattr(model.config, "quantization_config", None) is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_computes_what_plain_libraries_do(tmp_path: Path, dtype: torch.dtype) -> None:
    folder = write_folder(tmp_path / "m", **LARGE)
    ours = add_lora(load_model(local(folder)).model, Lora(rank=4), seed=1)
    lora = LoraConfig(r=4, lora_alpha=32.0, target_modules="all-linear", task_type="CAUSAL_LM")
    theirs = get_peft_model(plain(folder, dtype), lora)
    cast_model(ours, dtype, torch.device("cpu"), adapters=True)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "lora_" in name:
                own = ours.get_parameter(name)
                own.copy_(torch.randn(own.shape, generator=torch.Generator().manual_seed(len(name))))
                parameter.copy_(own)
        mine, expected = ours(IDS).logits, theirs.eval()(IDS).logits
        with ours.disable_adapter():
            base = ours(IDS).logits
    assert mine.dtype == expected.dtype == dtype
    assert (mine - base).abs().max() > 0.1
    bound = 1e-5 if dtype == torch.float32 else 0.05
    torch.testing.assert_close(mine, expected, atol=bound, rtol=bound)


def test_it_is_another_reference_than_its_base_and_the_same_in_every_process(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m", **LARGE)
    ours = load_model(local(folder)).fingerprint
    assert ours != load_model(local(folder, None)).fingerprint
    program = (
        "import sys, torch; torch.set_num_threads(2)\n"
        "from engine.config.schema import Model\nfrom engine.models.load import load_model\n"
        "lora = {'quantization': 'nf4'}\n"
        "model = Model.model_validate({'source': 'local', 'id': sys.argv[1], 'lora': lora})\n"
        "print(load_model(model).fingerprint)"
    )
    told = subprocess.run([sys.executable, "-c", program, folder], capture_output=True, text=True, check=True)
    assert told.stdout.split()[-1] == ours


def test_scales_alone_make_another_reference() -> None:
    """Twice the weights have the same 4 bits."""
    prints = []
    for factor in (1.0, 2.0):
        model = tiny_llama()
        with torch.no_grad():
            for layer in model.model.layers:
                layer.mlp.up_proj.weight.mul_(factor)
        nf4.quantize(model)
        prints.append((fingerprint(model), model.model.layers[0].mlp.up_proj.weight.data))
    assert torch.equal(prints[0][1], prints[1][1])
    assert prints[0][0] != prints[1][0]


def test_numerics_tell_4_bits_apart() -> None:
    model = tiny_llama()
    before = Policy(model).numerics
    nf4.quantize(model)
    assert "nf4 by bitsandbytes" in Policy(model).numerics != before


def test_a_gguf_file_is_unpacked_and_then_quantised_as_a_folder_would_be(tmp_path: Path) -> None:
    file = write_llama(tmp_path / "tiny.gguf", Kind.Q8_0, tied=True)
    loaded = load_model(local(file))
    assert nf4.packed_weights(loaded.model) > 0
    whole = load_model(local(file, None)).model
    whole.save_pretrained(tmp_path / "folder")
    again, _ = nf4.load_nf4(str(tmp_path / "folder"))
    for (name, layer), (other, expected) in zip(nf4.linears(loaded.model), nf4.linears(again), strict=True):
        assert name == other
        assert torch.equal(layer.weight.data, expected.weight.data), name
    assert torch.equal(loaded.model(IDS % 40).logits, again.eval()(IDS % 40).logits)


@pytest.mark.parametrize("family", FAMILIES)
def test_unpacked_it_is_an_ordinary_model_that_computes_the_same(family: str) -> None:
    model, kinds = tiny_model(family), {name: type(m) for name, m in tiny_model(family).named_modules()}
    original = model(IDS).logits
    nf4.quantize(model)
    packed = model(IDS).logits
    assert nf4.is_nf4(model)
    nf4.dequantize(model)
    assert not nf4.is_nf4(model)
    assert {name: type(module) for name, module in model.named_modules()} == kinds
    torch.testing.assert_close(model(IDS).logits, packed, atol=1e-5, rtol=1e-5)
    assert not torch.equal(packed, original)


def test_a_model_without_linear_layers_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "m")
    monkeypatch.setattr(load, "load_nf4", lambda *_, **__: (tiny_llama(), {}))
    with pytest.raises(UnusableError, match="no linear layers that could be stored in 4 bits") as caught:
        load_model(local(folder))
    assert caught.value.code == "model.nothing_quantized"


def test_passes_that_keep_no_gradients_change_nothing_for_those_that_do() -> None:
    """On some processors bitsandbytes would rearrange the weights for them, and drop gradients from then on."""
    model = tiny_llama(**LARGE)
    nf4.quantize(model)
    adapted = add_lora(model, Lora(rank=2, targets=["q_proj"]), seed=0)
    cast_model(adapted, torch.bfloat16, torch.device("cpu"), adapters=True)
    policy, pairs = Policy(adapted), random_pairs(2)
    bytes_before = [layer.weight.data.clone() for _, layer in nf4.linears(adapted)]
    policy.eval()
    with torch.no_grad():
        expected = policy(policy.lay_out(pairs))
    policy.train()
    found = policy(policy.lay_out(pairs))
    assert torch.equal(found.detach(), expected)
    found.sum().backward()
    first = adapted.get_parameter("base_model.model.model.layers.0.self_attn.q_proj.lora_B.default.weight")
    assert first.grad is not None
    assert first.grad.abs().max() > 0
    after = [layer.weight.data for _, layer in nf4.linears(adapted)]
    assert all(torch.equal(a, b) for a, b in zip(after, bytes_before, strict=True))


# The package


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where nobody has installed it."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "engine.extras.find_spec", lambda name: None if name == "bitsandbytes" else find(name)
    )


@pytest.mark.usefixtures("without")
def test_a_missing_package_is_said_before_anything_is_read(
    tmp_path: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, "run", tmp_path / "no model here", pairs, *NF4)
    assert train.main(run.root) == Exit.ENVIRONMENT
    *_, end = read_events(run.events)
    assert (end["code"], end["params"]["command"]) == ("model.no_quantizer", 'pip install "dpo-tui[qlora]"')
    with pytest.raises(EnvironmentUnfitError, match="is not installed"):
        memory_command.main([str(run.config)])


@pytest.mark.usefixtures("without")
def test_only_who_quantises_needs_it() -> None:
    for quantization in (None, "nf4"):
        config: Any = SimpleNamespace(model=local(Path("x"), quantization))
        if quantization is None:
            require_extras(config)
        else:
            with pytest.raises(EnvironmentUnfitError):
                require_extras(config)


def test_a_plain_lora_does_not_even_load_it(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "m")
    program = (
        "import sys\nfrom engine.config.schema import Model\nfrom engine.models.load import load_model\n"
        "load_model(Model(source='local', id=sys.argv[1]))\nassert 'bitsandbytes' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", program, folder], check=True, capture_output=True, env=dict(os.environ)
    )
