"""Two processes train what one trains, by every strategy, and each goes on from what another has saved."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from engine.build import team_of
from engine.config.schema import Config
from engine.exits import Exit, UnusableError, UsageError
from engine.export.export import export
from engine.parallel.processes import Processes
from engine.parallel.team import Team
from engine.policy import Policy
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import effective_steps, read_events
from engine.rundir.paths import RunDir
from engine.stored import Stored
from tests.engine.ranks import train_together, tried_together
from tests.engine.runs import make_run, of_type, train_here
from tests.engine.tiny_folder import tiny_llama, write_folder

STEPS, HALF = 30, 15
COMMON = (
    f"train.max_steps={STEPS}",
    f"train.save_every={HALF}",
    "export.enabled=false",
    "train.pairs_per_step=5",
)
LORA = "model.lora.rank=4"
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
SOME_LORA = ("ddp", "zero2", "zero3", "ddp-sequence")


def overrides(way: str) -> tuple[str, ...]:
    return ("launch.devices=2", f'launch.strategy="{way.partition("-")[0]}"', *WAYS[way])


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with three key heads, which two processes cannot divide evenly."""
    folder = tmp_path_factory.mktemp("uneven")
    return write_folder(folder, hidden_size=48, num_attention_heads=6, num_key_value_heads=3)


@pytest.fixture(scope="module")
def alone(
    tmp_path_factory: pytest.TempPathFactory, model: Path, uneven: Path, pairs: Path
) -> dict[str, RunDir]:
    """A run by one process, of all weights and of adapters."""
    folder = tmp_path_factory.mktemp("alone")
    runs = {"full": make_run(folder, "full", model, pairs, *COMMON)}
    runs["lora"] = make_run(folder, "lora", model, pairs, *COMMON, LORA)
    runs["uneven"] = make_run(folder, "uneven", uneven, pairs, *COMMON)
    for run in runs.values():
        train_here(run)
    return runs


@pytest.fixture(scope="module")
def together(
    tmp_path_factory: pytest.TempPathFactory, model: Path, uneven: Path, pairs: Path
) -> dict[str, RunDir]:
    """The same by two processes in every way."""
    folder = tmp_path_factory.mktemp("together")
    runs = {way: make_run(folder, way, model, pairs, *COMMON, *overrides(way)) for way in WAYS}
    for way in IN_BF16:
        runs[f"{way}-bf16"] = make_run(folder, f"{way}-bf16", model, pairs, *COMMON, BF16, *overrides(way))
    for way in SOME_LORA:
        runs[f"{way}-lora"] = make_run(folder, f"{way}-lora", model, pairs, *COMMON, LORA, *overrides(way))
    runs["uneven"] = make_run(folder, "uneven", uneven, pairs, *COMMON, *overrides("ddp-sequence"))
    train_together(list(runs.values()))
    return runs


@pytest.mark.parametrize("way", [*WAYS, *(f"{way}-lora" for way in SOME_LORA), "uneven"])
def test_losses_and_weights_are_those_of_one_process(
    way: str, alone: dict[str, RunDir], together: dict[str, RunDir]
) -> None:
    expected = alone[{"lora": "lora", "uneven": "uneven"}.get(way.rpartition("-")[2], "full")]
    for one, two in zip(steps_of(expected), steps_of(together[way]), strict=True):
        for metric in ("loss", "rewards/margins", "logps/chosen", "grad_norm"):
            assert two[metric] == pytest.approx(one[metric], rel=1e-5, abs=1e-5), (metric, one["step"])
    theirs, ours, start = (
        weights(run, step) for run, step in ((expected, STEPS), (together[way], STEPS), (expected, HALF))
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


@pytest.mark.parametrize("way", ["zero2", "zero3"])
def test_gradients_that_are_not_finite_end_the_run_with_the_step_before(
    way: str, together: dict[str, RunDir], model: Path, pairs: Path, tmp_path: Path
) -> None:
    run = make_run(tmp_path, "poisoned", model, pairs, *COMMON, *overrides(way))
    codes, said = tried_together([run], poisoned=HALF + 1)
    assert codes == [Exit.NON_FINITE] * 2, said
    for name, weight in weights(together[way], HALF).items():
        assert torch.equal(weights(run, HALF)[name], weight), name


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


def test_a_pack_is_divided_token_by_token() -> None:
    """Each of a team computes its share of the tokens; what is left over is filled up."""
    parts = []
    for rank in range(3):
        team = Team(cast(Processes, SimpleNamespace(rank=rank, world=3)))
        team.size, team.index = 3, rank  # as in a team of three, without a group to meet in
        parts.append(team.part(torch.arange(1, 8)[None]))
    assert torch.cat(parts, 1).tolist() == [[1, 2, 3, 4, 5, 6, 7, 0, 0]]


def test_processes_that_cannot_divide_the_heads_cannot_share_a_pair() -> None:
    config = Config.model_validate(
        {
            "model": {"id": "x/y"},
            "data": {"sources": [{"path": "x/y"}]},
            "launch": {"devices": 3, "sequence_parallel": 3},
        }
    )
    alone = cast(Processes, SimpleNamespace(rank=0, world=3))
    with pytest.raises(UsageError, match="must divide the model's 4 attention heads"):
        team_of(config, Policy(tiny_llama()), alone)
    with pytest.raises(UsageError, match="needs a model that runs packs"):
        team_of(config, Policy(tiny_llama(), "single"), alone)


def steps_of(run: RunDir) -> list[dict[str, float]]:
    return effective_steps(read_events(run.events))


def weights(run: RunDir, step: int) -> dict[str, Tensor]:
    stored = Stored(CheckpointIndex(run.checkpoints_dir).path(step))
    return {name: stored.weight(name) for name in stored.names()}
