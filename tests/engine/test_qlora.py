"""QLoRA from config to export: it learns, goes on as if never stopped, and its exports are what was trained."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.exits import StopRequested
from engine.export.answers import compared
from engine.export.export import Exported, export
from engine.export.source import find_source
from engine.export.weights import trained_policy
from engine.models.load import load_model
from engine.models.nf4 import is_nf4
from engine.rundir.paths import RunDir
from tests.engine.runs import final_weights, make_run, of_type, stop_at, train_here
from tests.engine.test_models_nf4 import NF4, local, plain
from tests.engine.tiny_folder import write_folder

IDS = torch.arange(3, 40)[None]
FEW = ("train.max_steps=8", "optimizer.warmup_ratio=0.0")
KINDS = {
    "merged fp32": (False, "float32"),
    "adapter fp32": (True, "float32"),
    "merged bf16": (False, "bfloat16"),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model wide enough for layers of several blocks."""
    return write_folder(tmp_path_factory.mktemp("base"), hidden_size=64, intermediate_size=128)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, base: Path, pairs: Path) -> RunDir:
    run = make_run(tmp_path_factory.mktemp("runs"), "run", base, pairs, *NF4, *FEW, "export.enabled=false")
    train_here(run)
    return run


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory, finished: RunDir) -> Mapping[str, Exported]:
    """Each kind of export, proved."""
    folder = tmp_path_factory.mktemp("exports")
    return {
        kind: export(finished, to=folder / kind.replace(" ", "-"), adapter=adapter, dtype=dtype)
        for kind, (adapter, dtype) in KINDS.items()
    }


@pytest.mark.parametrize("more", [(), ("model.dtype='bfloat16'",), ("train.gradient_checkpointing=true",)])
def test_the_loss_falls_from_a_margin_of_zero(
    tmp_path: Path, base: Path, pairs: Path, more: tuple[str, ...]
) -> None:
    run = make_run(tmp_path, "run", base, pairs, *NF4, *FEW, *more, "export.enabled=false")
    events = train_here(run)
    steps = of_type(events, "step")
    assert (steps[0]["loss"], steps[0]["rewards/margins"]) == (pytest.approx(0.693147, abs=1e-6), 0)
    assert steps[-1]["loss"] < 0.65
    assert steps[-1]["rewards/margins"] > 0.05
    assert {event["code"] for event in of_type(events, "warning")} <= {"model.float32"}  # where bf16 is slow
    assert all("lora_" in name for name in final_weights(run))


def test_stopped_and_resumed_equals_never_stopped(
    tmp_path: Path, base: Path, pairs: Path, finished: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, "run", base, pairs, *NF4, *FEW, "export.enabled=false")
    control = stop_at(monkeypatch, run, 3)
    with pytest.raises(StopRequested, match="after step 3"):
        train_here(run)
    control.clear()
    train_here(run)
    theirs = final_weights(finished)
    for name, weight in final_weights(run).items():
        assert torch.equal(weight, theirs[name]), name


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_is_proved_and_says_what_it_stands_on(kind: str, exports: Mapping[str, Exported]) -> None:
    done, adapter = exports[kind], KINDS[kind][0]
    assert done.proof is not None
    assert done.proof.bitwise
    codes = [notice.code for notice in done.notices]
    card = (done.path / "README.md").read_text()
    assert "in 4 bits (NF4" in card
    if adapter:
        assert codes[0] == "export.nf4_base"
        assert 'bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True' in card
        assert "on the unquantised base it is another model" in card
    else:
        assert codes == ["export.nf4_merged"]
        assert "the numbers that the base's 4 bits stand for" in card
        assert "quantization" not in json.loads((done.path / "config.json").read_text())
    assert (done.proof.merge_difference is None) == adapter


def test_what_is_exported_is_loaded_by_plain_libraries(
    exports: Mapping[str, Exported], finished: RunDir, base: Path
) -> None:
    source = find_source(finished, "latest", "float32", True, finished.export_dir, None)
    policy = trained_policy(source, AutoTokenizer.from_pretrained(base), verify=False).model.eval()
    assert is_nf4(policy)
    with torch.no_grad():
        expected = policy(IDS).logits
        merged = AutoModelForCausalLM.from_pretrained(exports["merged fp32"].path, dtype="auto")(IDS).logits
        on_packed = PeftModel.from_pretrained(plain(base, torch.float32), exports["adapter fp32"].path)
        whole = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        on_whole = PeftModel.from_pretrained(whole, exports["adapter fp32"].path)
        torch.testing.assert_close(merged, expected, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(on_packed.eval()(IDS).logits, expected, atol=1e-5, rtol=1e-5)
        assert (on_whole.eval()(IDS).logits - expected).abs().max() > 1e-2


def test_the_adapter_s_card_has_code_that_runs(exports: Mapping[str, Exported]) -> None:
    """As a stranger would copy it, where the adapter lies."""
    done = exports["adapter fp32"]
    card = (done.path / "README.md").read_text()
    code = card.split("```python\n")[1].split("```")[0].replace("max_new_tokens=100", "max_new_tokens=2")
    code = code.replace("model.generate", "model.train().generate")  # not by a kernel for wide layers alone
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=done.path, env=dict(os.environ)
    )
    assert ran.returncode == 0, ran.stderr[-2000:]


def test_weights_of_a_merged_export_are_bits_unpacked_and_adapters(
    exports: Mapping[str, Exported], finished: RunDir, base: Path
) -> None:
    from bitsandbytes.functional import dequantize_4bit

    name = "model.layers.0.mlp.down_proj"
    layer = load_model(local(base)).model.get_submodule(name)
    adapter = {
        kind: final_weights(finished)[f"base_model.model.{name}.lora_{kind}.default.weight"] for kind in "AB"
    }
    expected = dequantize_4bit(layer.weight.data, layer.weight.quant_state) + 8 * adapter["B"] @ adapter["A"]
    found = load_file(exports["merged fp32"].path / "model.safetensors")[f"{name}.weight"]
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize("kind", ["merged bf16", "adapter fp32"])
def test_answers_come_from_what_was_exported(
    kind: str, exports: Mapping[str, Exported], finished: RunDir
) -> None:
    (answer,) = compared(finished, exports[kind].path, 1)
    assert answer.question.endswith("?")
    assert answer.before != answer.after


def test_experts_that_stay_as_they_are_are_spoken_of(
    tmp_path: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch, base: Path
) -> None:
    """As of a model most of whose weights are in no linear layers."""
    monkeypatch.setattr("engine.build.packed_weights", lambda _: 1000)
    run = make_run(tmp_path, "run", base, pairs, *NF4, "train.max_steps=1", "export.enabled=false")
    (warned,) = of_type(train_here(run), "warning")
    assert warned["code"] == "model.little_quantized"
    assert warned["params"]["percent"] < 50
