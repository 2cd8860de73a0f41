"""What memory a job's processes have: by the names of GPUs, by what sinfo lists, and what is said of it."""

from pathlib import Path
from typing import Any

import pytest

from dpo_tui import dry_run
from dpo_tui.job_memory import known_of
from dpo_tui.text import use
from dpo_tui.wizard.machine import Machine
from dpo_tui.wizard.memory import foreseen
from dpo_tui.wizard.preflight import Check, Facts, memory
from engine.config.schema import Config
from engine.launch.slurm import device
from engine.launch.slurm.cluster import Partition
from engine.launch.slurm.device import JobDevice, job_device
from engine.launch.slurm.gpus import MEMORY, memory_of
from engine.shape import ModelShape, shape_of

GIB = 1 << 30
NODES = [
    Partition("gpu", True, True, "infinite", 2, "a100", 8, 64, 1_000_000),
    Partition("gpu", True, True, "infinite", 2, "v100-32g", 4, 64, 500_000),
    Partition("old", False, True, "infinite", 4, None, 4, 32, 0),
    Partition("cpu", False, True, "infinite", 4, None, 0, 32, 64 * 1024),
]
MACHINE = Machine(cores=2, memory=8 * GIB, unknown="no driver on a login node")
LLAMA_8B = {
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "tie_word_embeddings": False,
}


def job(launch: dict[str, Any] | None = None, **slurm: Any) -> Config:
    return Config.model_validate(
        {
            "model": {"id": "a/b"},
            "data": {"sources": [{"path": "c/d"}]},
            "launch": {"launcher": "slurm", **(launch or {}), "slurm": slurm},
        }
    )


def llama() -> ModelShape:
    shape = shape_of(LLAMA_8B)
    assert shape is not None
    return shape


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "partitions", lambda: NODES)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("a100", (40, 80)),
        ("A100", (40, 80)),
        ("nvidia_a100-sxm4-80gb", (80,)),
        ("a100-40", (40,)),
        ("a100_3g.20gb", (20,)),
        ("nvidia_a100_80gb_pcie_1g.10gb", (10,)),
        ("tesla_v100-sxm2-16gb", (16,)),
        ("nvidia_h100_80gb_hbm3", (80,)),
        ("h100-nvl", (94,)),
        ("l40s", (48,)),
        ("l4", (24,)),
        ("rtx3090", (24,)),
        ("geforce_rtx_2080_ti", (11,)),
        ("quadro_rtx_6000", (24, 48)),
        ("nvidia_rtx_6000_ada_generation", (48,)),
        ("rtx_a6000", (48,)),
        ("titan_rtx", (24,)),
        ("hal9000-64gb", (64,)),
        ("a1000", ()),
        ("sxm4", ()),
        ("tesla", ()),
        ("gpu", ()),
        ("", ()),
    ],
)
def test_a_name_tells_what_a_gpu_has(name: str, sizes: tuple[int, ...]) -> None:
    assert memory_of(name) == sizes


def test_every_known_name_is_found_by_itself_with_the_least_first() -> None:
    for name, sizes in MEMORY.items():
        assert memory_of(name.replace(" ", "_")) == sizes == tuple(sorted(sizes))


@pytest.mark.parametrize(
    ("slurm", "expected"),
    [
        ({"gpus_per_node": 2, "gpu_type": "h200"}, JobDevice("cuda", "h200", (141 * GIB,))),
        ({"gpus_per_node": 2, "gpu_type": "wonder"}, JobDevice("cuda", "wonder")),
        ({"gpus_per_node": 2}, JobDevice("cuda", "a100, v100-32g", (32 * GIB, 40 * GIB, 80 * GIB))),
        ({"gpus_per_node": 2, "partition": "old"}, JobDevice("cuda")),
        ({"gpus_per_node": 2, "partition": "cpu"}, JobDevice("cuda")),
        ({"partition": "cpu", "mem": "16G"}, JobDevice("cpu", sizes=(16 * GIB,))),
        ({"partition": "cpu", "mem": "2048"}, JobDevice("cpu", sizes=(2 * GIB,))),
        ({"partition": "cpu", "mem": "0"}, JobDevice("cpu", sizes=(64 * GIB,))),
        ({"partition": "cpu"}, JobDevice("cpu")),
    ],
)
def test_the_config_and_the_partition_tell_the_device(slurm: dict[str, Any], expected: JobDevice) -> None:
    assert job_device(job(**slurm)) == expected


def test_a_cluster_that_does_not_answer_leaves_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent() -> list[Partition]:
        raise TimeoutError("sinfo did not answer")

    monkeypatch.setattr(device, "partitions", silent)
    assert job_device(job(gpus_per_node=1)) == JobDevice("cuda")
    assert job_device(job(gpus_per_node=1, gpu_type="l4")).room == 24 * GIB


@pytest.mark.parametrize(
    ("of", "english", "chinese"),
    [
        (JobDevice("cuda", "a100", (40 * GIB, 80 * GIB)), "a100 has 40 or 80 GiB", "40 或 80 GiB"),
        (JobDevice("cuda", "l4", (24 * GIB,)), "l4 has 24 GiB", "24 GiB"),
        (JobDevice("cuda", "wonder"), "wonder is not known", "不知道 wonder"),
        (JobDevice("cuda"), "launch.slurm.gpu_type", "launch.slurm.gpu_type"),
        (JobDevice("cpu", sizes=(GIB,)), "1 GiB", "1 GiB"),
        (JobDevice("cpu", sizes=(GIB, 2 * GIB)), "1 or 2 GiB", "1 或 2 GiB"),
        (JobDevice("cpu"), "launch.slurm.mem", "launch.slurm.mem"),
    ],
)
def test_what_is_known_is_said(of: JobDevice, english: str, chinese: str) -> None:
    assert english in known_of(of)
    use("zh")
    try:
        assert chinese in known_of(of)
    finally:
        use("en")


def checked(config: Config) -> dict[str, Check]:
    """What the review says of the memory of a job that trains a Llama of 8 billion."""
    of = job_device(config)
    found = foreseen(config, llama(), MACHINE, of)
    facts = Facts(root=Path("/runs/x"), machine=MACHINE, forecast=found, job=of)
    return {check.code: check for check in memory(config, facts)}


def test_the_review_counts_with_the_gpus_of_the_cluster() -> None:
    found = foreseen(job(gpus_per_node=8), llama(), MACHINE, JobDevice("cuda", "h200", (141 * GIB,)))
    assert found is not None
    assert (found.room, found.chosen.strategy) == (141 * GIB, "ddp")
    assert foreseen(job(gpus_per_node=8), llama(), MACHINE, JobDevice("cuda", "wonder")) is None


def test_the_review_says_what_is_certain_and_what_is_not() -> None:
    fits = checked(job(gpus_per_node=8, gpu_type="b200"))
    assert {code: check.verdict for code, check in fits.items()} == {"job_memory": "ok"}
    either = checked(job(gpus_per_node=1, gpu_type="a100"))
    assert {check.verdict for check in either.values()} == {"warn"}
    assert either["memory"].params["room"] == "40"
    assert "40 or 80" in either["job_memory"].params["said"]
    unknown = checked(job(gpus_per_node=1, gpu_type="wonder"))
    assert [(check.code, check.verdict, check.at) for check in unknown.values()] == [
        ("job_memory", "warn", "launch.slurm.gpu_type")
    ]


def test_a_dry_run_tells_the_memory_of_the_cluster_s_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def answer(*words: str, patience: float) -> dict[str, Any]:
        asked.append(words)
        found = foreseen(job(gpus_per_node=1), llama(), MACHINE, JobDevice("cuda", "a100", (40 * GIB,)))
        assert found is not None
        return {**found.to_json(), "dtype": "bfloat16"}

    monkeypatch.setattr(dry_run, "ask", answer)
    told = "\n".join(dry_run.foreseen_lines(job(gpus_per_node=1, gpu_type="a100"), ""))
    assert asked[0][-4:] == ("--device", "cuda", "--room", str(40 * GIB))
    assert "a GPU of type a100 has 40 or 80 GiB" in told
    assert "of 40 GiB" in told


def test_a_dry_run_asks_nothing_of_gpus_that_are_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """And tells what the config itself says of them."""
    monkeypatch.setattr(dry_run, "ask", None)
    unknown: dict[str, Any] = {"gpus_per_node": 2, "gpu_type": "wonder"}
    (line,) = dry_run.foreseen_lines(job(**unknown), "")
    assert "wonder is not known" in line
    strategy, deepspeed, _ = dry_run.foreseen_lines(job({"strategy": "zero2"}, **unknown), "")
    assert "zero2 on 2" in strategy
    assert '"stage": 2' in deepspeed
