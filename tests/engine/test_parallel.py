"""Two processes train what one trains, by every strategy, and each goes on from what another has saved."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from engine.exits import Exit, UnusableError
from engine.export.export import export
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import effective_steps, read_events
from engine.rundir.paths import RunDir
from engine.stored import Stored
from tests.engine.ranks import BROKEN, POISONED, POISONED_STEP, train_together, tried_together
from tests.engine.runs import make_run, of_type, train_here
from tests.engine.tiny_folder import write_folder

STEPS, HALF = 30, 15
COMMON = (
    f"train.max_steps={STEPS}",
    f"train.save_every={HALF}",
    "export.enabled=false",
    "train.pairs_per_step=5",
)
LORA = "model.lora.rank=4"
FEW = ("train.max_steps=10", "train.save_every=5")
KTO = ('objective.loss="kto_pair"', "train.pairs_per_step=13", *FEW)
"""Coupled pairs, and two devices of which one has none in the last step of an epoch."""
WAYS = {
    "ddp": (),
    "zero1": (),
    "zero2": (),
    "zero3": (),
    "zero2-offload": ('launch.offload="optimizer"',),
    "zero3-offload": ('launch.offload="all"',),
    "ddp-sequence": ("launch.sequence_parallel=2",),
    "zero2-sequence": ("launch.sequence_parallel=2",),
}
BF16 = 'model.dtype="bfloat16"'
IN_BF16 = ("ddp", "zero1", "zero2", "zero3")
SOME_KTO = ("ddp", "zero2", "zero3", "ddp-sequence")
SOME_LORA = ("ddp", "zero2", "zero3", "ddp-sequence")
NF4 = ("model.lora.rank=4", 'model.lora.quantization="nf4"', *FEW)
POISONED_WAYS = ("zero2", "zero3")
SOME_NF4 = ("ddp", "zero1", "zero2", "zero2-offload", "ddp-sequence")


def overrides(way: str) -> tuple[str, ...]:
    return ("launch.devices=2", f'launch.strategy="{way.partition("-")[0]}"', *WAYS[way])


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with three key heads, which two processes cannot divide evenly, and one weight for both ends."""
    folder = tmp_path_factory.mktemp("uneven")
    sizes: dict[str, Any] = {"hidden_size": 48, "num_attention_heads": 6, "num_key_value_heads": 3}
    return write_folder(folder, tie_word_embeddings=True, **sizes)


@pytest.fixture(scope="module")
def in_bf16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose checkpoint is bf16, as most are."""
    return write_folder(tmp_path_factory.mktemp("in-bf16"), dtype=torch.bfloat16)


@pytest.fixture(scope="module")
def alone(
    tmp_path_factory: pytest.TempPathFactory, model: Path, uneven: Path, in_bf16: Path, pairs: Path
) -> dict[str, RunDir]:
    """A run by one process, of all weights and of adapters on whole and on packed weights."""
    folder = tmp_path_factory.mktemp("alone")
    runs = {"full": make_run(folder, "full", model, pairs, *COMMON)}
    runs["lora"] = make_run(folder, "lora", model, pairs, *COMMON, LORA)
    runs["kto"] = make_run(folder, "kto", model, pairs, *COMMON, *KTO)
    runs["nf4"] = make_run(folder, "nf4", model, pairs, *COMMON, *NF4)
    runs["uneven"] = make_run(folder, "uneven", uneven, pairs, *COMMON, *FEW)
    runs["stored"] = make_run(folder, "stored", in_bf16, pairs, *COMMON, *FEW, BF16)
    for run in runs.values():
        train_here(run)
    return runs


@pytest.fixture(scope="module")
def together(
    tmp_path_factory: pytest.TempPathFactory, model: Path, uneven: Path, in_bf16: Path, pairs: Path
) -> dict[str, RunDir]:
    """The same by two processes in every way."""
    folder = tmp_path_factory.mktemp("together")
    runs = {way: make_run(folder, way, model, pairs, *COMMON, *overrides(way)) for way in WAYS}
    for way in IN_BF16:
        runs[f"{way}-bf16"] = make_run(folder, f"{way}-bf16", model, pairs, *COMMON, BF16, *overrides(way))
        stored = (*COMMON, *FEW, BF16, *overrides(way))
        runs[f"{way}-stored"] = make_run(folder, f"{way}-stored", in_bf16, pairs, *stored)
    for way in SOME_LORA:
        runs[f"{way}-lora"] = make_run(folder, f"{way}-lora", model, pairs, *COMMON, LORA, *overrides(way))
    for way in SOME_KTO:
        runs[f"{way}-kto"] = make_run(folder, f"{way}-kto", model, pairs, *COMMON, *KTO, *overrides(way))
    for way in SOME_NF4:
        runs[f"{way}-nf4"] = make_run(folder, f"{way}-nf4", model, pairs, *COMMON, *NF4, *overrides(way))
    runs["uneven"] = make_run(folder, "uneven", uneven, pairs, *COMMON, *FEW, *overrides("ddp-sequence"))
    runs["zero3-uneven"] = make_run(folder, "tied", uneven, pairs, *COMMON, *FEW, *overrides("zero3"))
    for way in POISONED_WAYS:
        name = f"{POISONED}{way}"
        runs[name] = make_run(folder, name, model, pairs, *COMMON, *overrides(way))
    runs["broken"] = make_run(folder, f"{BROKEN}zero3", model, pairs, *COMMON, *overrides("zero3"))
    train_together(list(runs.values()))
    return runs


@pytest.mark.parametrize(
    "way",
    [
        *WAYS,
        *(f"{way}-lora" for way in SOME_LORA),
        *(f"{way}-kto" for way in SOME_KTO),
        *(f"{way}-nf4" for way in SOME_NF4),
        "uneven",
        "zero3-uneven",
    ],
)
def test_losses_and_weights_are_those_of_one_process(
    way: str, alone: dict[str, RunDir], together: dict[str, RunDir]
) -> None:
    kind = way.rpartition("-")[2]
    expected = alone[kind if kind in alone else "full"]
    for one, two in zip(evaluations_of(expected), evaluations_of(together[way]), strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
    for one, two in zip(steps_of(expected), steps_of(together[way]), strict=True):
        for metric in ("loss", "rewards/margins", "logps/chosen", "grad_norm"):
            assert two[metric] == pytest.approx(one[metric], rel=1e-5, abs=1e-5), (metric, one["step"])
    half, last = CheckpointIndex(expected.checkpoints_dir).steps()
    theirs, ours, start = (
        weights(run, step) for run, step in ((expected, last), (together[way], last), (expected, half))
    )
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=0, atol=1e-5)
        moved = (weight - start[name]).norm()
        assert (ours[name] - weight).norm() <= 1e-3 * moved, name


HANDED_ON = [
    ("ddp", "ddp"),
    ("zero1", "zero1"),
    ("zero3", "zero3"),
    ("zero3", "zero2"),
    ("zero2-offload", "ddp"),
    ("zero2-lora", "zero3-lora"),
]


@pytest.fixture(scope="module")
def handed_on(
    tmp_path_factory: pytest.TempPathFactory,
    model: Path,
    pairs: Path,
    alone: dict[str, RunDir],
    together: dict[str, RunDir],
) -> dict[str, RunDir]:
    """Runs that go on from the middle of another: by the same strategy, by another, from one process and to one."""
    folder = tmp_path_factory.mktemp("handed-on")

    def after(source: RunDir, name: str, *more: str) -> RunDir:
        run = make_run(folder, name, model, pairs, *COMMON, *more)
        shutil.copytree(
            CheckpointIndex(source.checkpoints_dir).path(HALF), run.checkpoints_dir / f"step-{HALF}"
        )
        return run

    runs = {
        f"{before}>{way}": after(
            together[before],
            f"{before}-{way}",
            *overrides(way.removesuffix("-lora")),
            *([LORA] if way.endswith("-lora") else []),
        )
        for before, way in HANDED_ON
    }
    runs["alone>zero3"] = after(alone["full"], "alone-zero3", *overrides("zero3"))
    train_together(list(runs.values()))
    runs["zero3>alone"] = after(together["zero3"], "zero3-alone")
    train_here(runs["zero3>alone"])
    return runs


@pytest.mark.parametrize("way", [*(f"{a}>{b}" for a, b in HANDED_ON), "alone>zero3", "zero3>alone"])
def test_a_run_goes_on_from_whatever_saved_it(
    way: str, alone: dict[str, RunDir], together: dict[str, RunDir], handed_on: dict[str, RunDir]
) -> None:
    before, _, after = way.partition(">")
    same = before == after
    expected = together[before] if same else alone["lora" if after.endswith("lora") else "full"]
    events = list(read_events(handed_on[way].events))
    assert of_type(events, "resume")[0]["from_step"] == HALF
    assert [step["step"] for step in effective_steps(events)] == [*range(HALF + 1, STEPS + 1)]
    theirs, ours = weights(expected, STEPS), weights(handed_on[way], STEPS)
    for name, weight in theirs.items():
        if same and after == "ddp":
            assert torch.equal(ours[name], weight), name
        else:
            torch.testing.assert_close(ours[name], weight, rtol=0, atol=1e-6 if same else 1e-5)


def test_going_on_with_another_number_of_processes_is_said(handed_on: dict[str, RunDir]) -> None:
    for way, params in (("zero3>alone", {"before": 2, "now": 1}), ("alone>zero3", {"before": 1, "now": 2})):
        (warned,) = of_type(list(read_events(handed_on[way].events)), "warning")
        assert (warned["code"], warned["params"]) == ("resume.devices", params)
    assert of_type(list(read_events(handed_on["zero3>zero2"].events)), "warning") == []


def test_pieces_of_a_checkpoint_are_exported_as_the_whole(
    alone: dict[str, RunDir], together: dict[str, RunDir], tmp_path: Path
) -> None:
    expected = exported(alone["full"], tmp_path / "whole")
    found = exported(together["zero3"], tmp_path / "pieces")
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=0, atol=1e-5)


def exported(run: RunDir, to: Path) -> dict[str, Tensor]:
    export(run, to=to, dtype="float32", verify=False)
    return load_file(to / "model.safetensors")


def test_what_stops_the_first_process_stops_the_other(tmp_path: Path, model: Path) -> None:
    """It alone reads the pairs; the other, which waits for them, must not wait for ever."""
    empty = tmp_path / "empty.jsonl"
    empty.write_text("\n")
    codes, said = tried_together([make_run(tmp_path, "empty", model, empty, *COMMON, *overrides("ddp"))])
    assert codes == [Exit.UNUSABLE, Exit.STOPPED], said
    assert "the first process did not get this far" in said


@pytest.mark.parametrize("way", POISONED_WAYS)
def test_gradients_that_are_not_finite_end_the_run_with_the_step_before(
    way: str, together: dict[str, RunDir]
) -> None:
    run = together[f"{POISONED}{way}"]
    assert [step["step"] for step in steps_of(run)] == [*range(1, POISONED_STEP)]
    assert CheckpointIndex(run.checkpoints_dir).latest() == HALF == POISONED_STEP - 1
    for name, weight in weights(together[way], HALF).items():
        assert torch.equal(weights(run, HALF)[name], weight), name


def test_a_model_that_runs_no_packs_is_divided_all_the_same(
    alone: dict[str, RunDir], together: dict[str, RunDir]
) -> None:
    """It is found out by passes that break off between two layers, one of which is there as a whole."""
    found = together["broken"]
    (warned,) = of_type(list(read_events(found.events)), "warning")
    assert (warned["code"], warned["params"]["mode"]) == ("policy.mode", "single")
    for one, two in zip(steps_of(alone["full"]), steps_of(found), strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)


@pytest.mark.parametrize("kind", ["weights", "optimizer"])
def test_a_missing_piece_is_named(kind: str, together: dict[str, RunDir], tmp_path: Path) -> None:
    folder = shutil.copytree(
        CheckpointIndex(together["zero2"].checkpoints_dir).path(STEPS), tmp_path / "step"
    )
    (folder / f"{kind}-00002-of-00002.safetensors").unlink()
    stored, name = Stored(folder), next(iter(weights(together["zero2"], STEPS)))
    read = stored.weight if kind == "weights" else stored.moments
    with pytest.raises(UnusableError, match=f"1 of its 2 files of {kind} are there"):
        read(name)


@pytest.mark.parametrize("way", IN_BF16)
def test_weights_in_bf16_are_rounded_as_in_one_process(way: str, together: dict[str, RunDir]) -> None:
    """In the first step, whose learning rate is 0, nothing moves; then all move as in fp32, but for rounding."""
    first, second, *_ = steps_of(together[f"{way}-bf16"])
    assert first["rewards/margins"] == second["rewards/margins"] == 0.0
    exact, ours, start = (
        weights(together[name], step) for name, step in ((way, STEPS), (f"{way}-bf16", STEPS), (way, HALF))
    )
    for name, weight in exact.items():
        assert (ours[name] - weight).norm() <= 0.1 * (weight - start[name]).norm(), name


@pytest.mark.parametrize("way", IN_BF16)
def test_a_checkpoint_in_bf16_trains_as_in_one_process(
    way: str, alone: dict[str, RunDir], together: dict[str, RunDir]
) -> None:
    found, expected = together[f"{way}-stored"], alone["stored"]
    assert steps_of(found)[0]["loss"] == pytest.approx(steps_of(expected)[0]["loss"], rel=1e-5)
    half, last = CheckpointIndex(expected.checkpoints_dir).steps()
    theirs, ours, start = (
        weights(run, step) for run, step in ((expected, last), (found, last), (expected, half))
    )
    for name, weight in theirs.items():
        assert (ours[name] - weight).norm() <= 0.1 * (weight - start[name]).norm(), name


def steps_of(run: RunDir) -> list[dict[str, float]]:
    return effective_steps(read_events(run.events))


def evaluations_of(run: RunDir) -> list[dict[str, Any]]:
    return of_type(list(read_events(run.events)), "eval")


def weights(run: RunDir, step: int) -> dict[str, Tensor]:
    stored = Stored(CheckpointIndex(run.checkpoints_dir).path(step))
    return {name: stored.weight(name) for name in stored.names()}
