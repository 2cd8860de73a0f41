"""The memory model against what torch keeps, and packs that are sized by it."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from engine import build, cgroup, memory_command, room, train
from engine.config.schema import Lora
from engine.exits import Exit
from engine.memory import Setup, Work, estimate, layer_bytes
from engine.models import nf4
from engine.models.adapters import add_lora
from engine.optimizer import cast_model
from engine.parallel.processes import Processes
from engine.parallel.team import Team
from engine.policy import Policy
from engine.rundir.events import read_events
from engine.trainer import Trainer
from tests.engine.runs import final_weights, make_run, of_type, train_here
from tests.tiny import FAMILIES, random_pairs

SIZES: dict[str, int] = {
    "hidden_size": 256,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 768,
    "vocab_size": 131,
}
PAIRS = random_pairs(4, prompt=(60, 80))


def policy_of(dtype: torch.dtype, rank: int, layers: int, *, packed: bool = False) -> Policy:
    model = LlamaForCausalLM(LlamaConfig(**SIZES, num_hidden_layers=layers))
    if packed:
        nf4.quantize(model)
    adapted = add_lora(model, Lora(rank=rank), 0) if rank else model
    cast_model(adapted, dtype, torch.device("cpu"), adapters=bool(rank))
    return Policy(adapted).train()


def kept_bytes(policy: Policy) -> int:
    """Bytes saved for the backward pass that are no weights."""
    weights = {p.untyped_storage().data_ptr() for p in policy.parameters()}
    found: dict[int, int] = {}

    def note(x: torch.Tensor) -> torch.Tensor:
        place = x.untyped_storage()
        if place.data_ptr() not in weights:
            found[place.data_ptr()] = place.nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
        policy(policy.lay_out(PAIRS))
    return sum(found.values())


@pytest.mark.parametrize(
    ("rank", "packed"), [(0, False), (2, False), (2, True)], ids=["full", "LoRA", "QLoRA"]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_a_layer_keeps_what_the_model_says(dtype: torch.dtype, rank: int, packed: bool) -> None:
    deep, flat = (policy_of(dtype, rank, layers, packed=packed) for layers in (4, 2))
    measured = (kept_bytes(deep) - kept_bytes(flat)) / 2 / deep.lay_out(PAIRS).tokens
    assert deep.shape is not None
    setup = Setup(
        shape=deep.shape,
        trained=1,
        itemsize=dtype.itemsize,
        adapters=bool(rank),
        device="cpu",
        native=deep.native,
    )
    assert layer_bytes(setup) == pytest.approx(measured, rel=0.05)


class Exchanged:
    """In place of DeepSpeed's exchange: as many bytes of the wrong tokens, from this process alone."""

    def __init__(self, local: Callable[..., Tensor], *_: Any, **__: Any) -> None:
        self.local = local

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, _: int) -> Tensor:
        heads = (x.reshape(1, 2 * x.shape[1], -1, x.shape[3]) for x in (query, key, value))
        out = self.local(*heads)
        return out.reshape(1, out.shape[1] // 2, -1, out.shape[3])


@pytest.mark.parametrize("key_heads", [2, 1])
def test_a_layer_of_a_shared_pack_keeps_what_the_model_says(
    key_heads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two processes that share a pack: with key heads that they can divide, and with one, which they repeat."""
    monkeypatch.setattr("deepspeed.sequence.layer.DistributedAttention", Exchanged)
    monkeypatch.setattr(Team, "sum", lambda _, part: part)
    monkeypatch.setitem(SIZES, "num_key_value_heads", key_heads)
    team = Team(cast(Processes, SimpleNamespace(rank=0, world=2)))
    team.size = 2  # as in a team of two, without a group to meet in
    deep, flat = (policy_of(torch.float32, 0, layers) for layers in (4, 2))
    deep.team = flat.team = team
    own = team.padded(deep.lay_out(PAIRS).tokens) / 2
    assert deep.shape is not None
    setup = Setup(shape=deep.shape, trained=1, itemsize=4, sequence_parallel=2, device="cpu")
    measured = (kept_bytes(deep) - kept_bytes(flat)) / 2 / own
    assert layer_bytes(setup) == pytest.approx(measured, rel=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_a_base_in_4_bits_takes_what_the_model_says(dtype: torch.dtype) -> None:
    policy = policy_of(dtype, 2, 4, packed=True)
    assert policy.shape is not None
    packed = nf4.packed_weights(policy.base)
    assert packed == policy.shape.linears
    setup = Setup(
        shape=policy.shape, trained=0, itemsize=dtype.itemsize, adapters=True, quantized=packed, device="cpu"
    )
    taken = sum(p.nbytes for name, p in policy.base.named_parameters() if ".lora_" not in name)
    taken += sum(state.nbytes for _, state in nf4.states(policy.base))
    assert estimate(setup, Work(tokens=1, rows=1)).parts["weights"] == pytest.approx(taken, rel=1e-3)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_a_model_s_own_config_tells_its_sizes(family: str) -> None:
    model = FAMILIES[family]()
    shape = Policy(model).shape
    assert shape is not None
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    assert (shape.layers, shape.hidden, shape.vocabulary) == (3, 48, 131)


# Packs sized by it


AUTO = ("train.tokens_per_pack=auto",)


def test_a_run_tells_what_it_expects_and_records_the_size_of_its_packs(
    tmp_path: Path, model: Path, pairs: Path
) -> None:
    run = make_run(tmp_path, "auto", model, pairs, *AUTO)
    (told,) = of_type(train_here(run), "memory")
    assert told["tokens_per_pack"] == 4096 == json.loads(run.choices_json.read_text())["tokens_per_pack"]
    assert told["total"] == sum(
        told[part] for part in ("program", "weights", "optimizer", "gradients", "activations", "head")
    )
    assert told["total"] < told["room"]


def test_a_device_that_is_not_here_is_told_of(
    tmp_path: Path, model: Path, pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A GPU of a cluster, whose dtype is not this processor's."""
    config = make_run(tmp_path, "far", model, pairs, *AUTO, "model.dtype=auto").config
    assert (
        memory_command.main([str(config), "--json", "--device", "cuda", "--room", str(40 << 30)]) is Exit.DONE
    )
    told = json.loads(capsys.readouterr().out)
    assert (told["room"], told["tokens_per_pack"], told["dtype"]) == (40 << 30, 16384, "bfloat16")


def test_a_small_memory_makes_small_packs_and_a_resume_keeps_them(
    tmp_path: Path, model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_run(tmp_path, "whole", model, pairs, *AUTO)
    train_here(whole)
    small = make_run(tmp_path, "small", model, pairs, *AUTO)
    monkeypatch.setattr(room, "room", lambda *_: 1 << 20)
    monkeypatch.setattr(build, "room", lambda *_: 1 << 20)
    events = train_here(small)
    (told,), (warned,) = of_type(events, "memory"), of_type(events, "warning")
    assert told["tokens_per_pack"] < 4096
    assert warned["code"] == "memory.tight"
    assert warned["params"]["case"] == "none"
    for name, weight in final_weights(whole).items():
        torch.testing.assert_close(final_weights(small)[name], weight, rtol=0, atol=1e-4)
    monkeypatch.undo()
    (again,) = of_type(train_here(small), "memory")[1:]
    assert again["tokens_per_pack"] == told["tokens_per_pack"]


def test_a_container_s_limit_is_the_room_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, limit in ((tmp_path, "max"), (tmp_path / "job", "4194304"), (tmp_path / "job/step", "max")):
        folder.mkdir(exist_ok=True)
        (folder / "memory.max").write_text(f"{limit}\n")
    monkeypatch.setattr(cgroup, "ROOT", tmp_path)
    assert cgroup.limit_of("0::/job/step\n") == 4 << 20
    unlimited = [cgroup.limit_of(groups) for groups in ("0::/\n", "", "0::/other\n")]
    assert unlimited == [cgroup.NO_LIMIT] * 3


def test_a_model_that_does_not_tell_its_sizes_is_warned_of(
    tmp_path: Path, model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Policy, "shape", None)
    run = make_run(tmp_path, "unknown", model, pairs, *AUTO)
    events = train_here(run)
    (warned,) = of_type(events, "warning")
    assert warned["code"] == "memory.unknown"
    assert warned["params"]["tokens"] == 4096
    assert of_type(events, "memory") == []


def test_running_out_of_memory_names_what_the_most_of_it_is_for(
    tmp_path: Path, model: Path, pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise MemoryError("no more")

    monkeypatch.setattr(Trainer, "step", refuse)
    run = make_run(tmp_path, "full", model, pairs, *AUTO)
    assert train.main(run.root) is Exit.TRAINING_FAILED
    events = list(read_events(run.events))
    (told,), (end,) = of_type(events, "memory"), of_type(events, "end")
    assert end["code"] == "train.out_of_memory"
    assert end["params"]["largest"] == told["largest"]
    assert f"GiB, is for {told['largest']}" in end["text"]
