"""What the doctor finds: on this machine, on others that are played, and never a token."""

import json
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
import torch

from engine import doctor
from engine.doctor import Finding
from engine.parallel import ops


def only(check: str) -> list[Finding]:
    return list(getattr(doctor, check)())


def test_this_machine_is_fit_and_no_token_is_shown(tmp_path: Path) -> None:
    token = "hf_" + "x" * 34
    hub = {"HF_TOKEN": token, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-P", "-m", "dpo_tui", "doctor", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **hub}, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert found["torch"]["params"]["torch"] == torch.__version__
    assert found["deepspeed"]["verdict"] == found["network"]["verdict"] == found["disk"]["verdict"] == "ok"
    assert str(tmp_path) in found["disk"]["text"]
    assert found["hub_unreachable"]["verdict"] == "note"
    assert all(finding["text"] and "doctor." not in finding["text"] for finding in found.values())
    assert token not in done.stdout + done.stderr


def test_gpus_that_torch_cannot_use_are_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(doctor, "_driver_gpus", lambda: 2)
    assert only("gpus") == [Finding("gpus", "bad", {"count": 2, "torch": torch.__version__})]


def test_without_a_compiler_it_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "compiler_problem", lambda: "none found")
    assert only("compiler")[0] == Finding("compiler", "warn", {"why": "none found"})


def test_what_qlora_needs_is_a_note_where_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    (here,) = only("quantizer")
    assert (here.verdict, here.params) == ("ok", {"version": version("bitsandbytes")})

    def none(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, "version", none)
    (lacking,) = only("quantizer")
    assert (lacking.verdict, lacking.params) == ("note", {"command": 'pip install "dpo-tui[qlora]"'})


def test_a_lock_that_a_killed_build_left_is_shown_and_removed_when_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(doctor, "build_folder", lambda: tmp_path)
    lock = tmp_path / "lock"
    assert [finding.name for finding in only("deepspeed")] == ["deepspeed"]
    lock.touch()
    assert not ops.remove_stale_lock(tmp_path)
    old = lock.stat().st_mtime - ops.STALE - 60
    os.utime(lock, (old, old))
    _, finding = only("deepspeed")
    assert (finding.name, finding.verdict, finding.params["minutes"]) == ("lock", "warn", 11)
    assert ops.remove_stale_lock(tmp_path)
    assert not lock.exists()


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo slurm 23.11.4", Finding("slurm", "ok", {"version": "23.11.4"})),
        (
            "echo cannot reach the controller >&2; exit 1",
            Finding("slurm", "warn", {"why": "cannot reach the controller"}),
        ),
        (None, Finding("slurm", "note")),
    ],
)
def test_slurm_answers_or_not(
    script: str | None, expected: Finding, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("sbatch", "sinfo") if script else ():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if script else str(tmp_path))
    assert only("slurm") == [expected]


def test_little_memory_and_a_full_disk_are_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "own_limit", lambda: 1 << 30)
    assert only("memory")[0].verdict == "warn"
    monkeypatch.setattr(doctor, "LITTLE_DISK", 1 << 62)
    assert [finding.verdict for finding in only("disk")] == ["warn", "warn"]
