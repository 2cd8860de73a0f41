"""A compiled run is the eager run but for rounding, starts at a margin of zero, and resumes bit for bit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from engine import compiled
from engine.compiled import compile_policy, wanted
from engine.config.schema import Config, Lora
from engine.exits import StopRequested
from engine.kernels import compiled as kernels
from engine.models.adapters import add_lora
from engine.policy import Policy
from tests.engine.runs import final_weights, make_run, of_type, stop_at, train_here
from tests.engine.tiny_folder import tiny_llama, write_folder
from tests.tiny import random_pairs, tiny_model

LORA = ("model.lora.rank=4",)
NF4 = (*LORA, "model.lora.quantization='nf4'")
BF16 = ("model.dtype='bfloat16'",)
WIDE: dict[str, Any] = {"head_dim": 32}
"""Heads as wide as the CPU's kernel takes them in bf16."""


@pytest.mark.parametrize("overrides", [(), NF4, BF16], ids=["fp32", "nf4", "bf16"])
def test_compiled_training_is_the_eager_one(
    tmp_path: Path, model: Path, pairs: Path, overrides: tuple[str, ...]
) -> None:
    if overrides == BF16:
        model = write_folder(tmp_path / "wide", **WIDE)
    runs = {}
    for asked in ("off", "on"):
        run = make_run(tmp_path / asked, "run", model, pairs, *overrides, f"train.compile='{asked}'")
        runs[asked] = train_here(run)
    assert [e["state"] for e in of_type(runs["on"], "phase") if e["phase"] == "compile"] == ["start", "end"]
    on, off = ([e["code"] for e in of_type(runs[asked], "warning")] for asked in ("on", "off"))
    assert on == off
    mine, theirs = ([e["loss"] for e in of_type(runs[asked], "step")] for asked in ("on", "off"))
    assert of_type(runs["on"], "step")[0]["rewards/margins"] == 0
    assert mine == pytest.approx(theirs, rel=0.05 if overrides == BF16 else 1e-5)


def test_a_compiled_run_resumes_bit_for_bit(
    tmp_path: Path, model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_run(tmp_path / "a", "run", model, pairs, "train.compile='on'")
    train_here(whole)
    halved = make_run(tmp_path / "b", "run", model, pairs, "train.compile='on'")
    control = stop_at(monkeypatch, halved, 3)
    with pytest.raises(StopRequested, match="after step 3"):
        train_here(halved)
    control.clear()
    train_here(halved)
    theirs = final_weights(whole)
    for name, weight in final_weights(halved).items():
        assert torch.equal(weight, theirs[name]), name


def test_packs_of_any_length_run_the_code_compiled_for_the_first() -> None:
    policy = Policy(tiny_llama())
    assert compile_policy(policy, random_pairs(1)[0]) is None
    pairs = random_pairs(12, seed=5)
    policy(policy.lay_out(pairs[:2])).sum().backward()
    counters.clear()
    for count in range(1, 12):
        policy(policy.lay_out(pairs[:count])).sum().backward()
    assert counters["frames"]["total"] == 0


def test_passes_with_and_without_gradients_and_adapters_agree_to_the_last_bit() -> None:
    policy = Policy(tiny_llama(**WIDE).bfloat16())
    assert compile_policy(policy, random_pairs(1)[0]) is None
    pack = policy.lay_out(random_pairs(4))
    with torch.no_grad():
        without = policy(pack)
    assert torch.equal(policy(pack).detach(), without)


def test_passes_with_and_without_gradients_draw_the_same_dropout() -> None:
    policy = Policy(add_lora(tiny_model(), Lora(rank=4, dropout=0.3), seed=0), "packed")
    assert compile_policy(policy, random_pairs(1)[0]) is None
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    pack = policy.train().lay_out(random_pairs(4))
    torch.manual_seed(1)
    with torch.no_grad():
        without, other = policy(pack), policy(pack)
    torch.manual_seed(1)
    assert torch.equal(policy(pack).detach(), without)
    assert not torch.equal(other, without)


def test_without_a_compiler_the_run_goes_on_and_says_so(
    tmp_path: Path, model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "compiler_problem", lambda: "InvalidCxxCompiler: none found")
    run = make_run(tmp_path, "run", model, pairs, "train.compile='on'")
    events = train_here(run)
    (warning,) = of_type(events, "warning")
    assert warning["code"] == "compile.fallback"
    assert "none found" in warning["params"]["reason"]
    assert len(of_type(events, "step")) == 6


def test_code_that_computes_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(kernels.CompiledFold):
        def fold(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
            folded = super().fold(*args, **kwargs)  # type: ignore[arg-type]
            return folded._replace(picked=folded.picked + 1)

    monkeypatch.setattr(compiled, "CompiledFold", Wrong)
    policy = Policy(tiny_model())
    reason = compile_policy(policy, random_pairs(1)[0])
    assert "differ" in (reason or "")
    assert not policy.compiled
    assert all("forward" not in layer.__dict__ for layer in policy.base.get_decoder().layers)


@pytest.mark.parametrize(
    ("asked", "tokens", "is_wanted"),
    [("on", 1, True), ("off", 1e12, False), ("auto", 1, False), ("auto", 1e9, True)],
)
def test_auto_compiles_where_training_is_long(asked: str, tokens: float, is_wanted: bool) -> None:
    config = Config.model_validate(
        {"model": {"id": "x"}, "data": {"sources": [{"path": "y"}]}, "train": {"compile": asked}}
    )
    assert wanted(config, 1_000_000, tokens, "cpu") is is_wanted
