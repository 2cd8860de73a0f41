"""An export proves itself: a process that knows nothing of the training computes what was trained, bit for bit."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor

from engine.exits import CannotWriteError, Exit
from engine.export.export import Exported, export
from engine.export.files import write_model
from engine.export.proof import SECRETS, environment
from engine.export.weights import MERGE_TOLERANCE
from engine.models.weights import trained_tensors
from engine.process import start_time
from engine.rounding import to_dtype
from engine.rundir.paths import RunDir
from tests.engine.tiny_run import LORA, exported, tiny_run, trained
from tests.waiting import until

PROMPTS = [[5, 9, 200, 31, 7], [1, 40, 41, 42], [77] * 9]
PLAIN = """
import sys, json, torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

asked, found = json.loads(sys.argv[1]), {}
torch.set_num_threads(1)
for name, (folder, base) in asked["folders"].items():
    if base:
        from peft import PeftModel
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), folder)
    else:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        for n, ids in enumerate(asked["prompts"]):
            found[f"{name} {n}"] = model.eval()(torch.tensor([ids])).logits[0].clone()
save_file(found, asked["out"])
"""
"""What somebody who has never heard of us would write."""

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "full fp32": ("", {"dtype": "float32"}),
    "full bf16": ("", {"dtype": "bfloat16"}),
    "adapter bf16": (LORA, {"dtype": "bfloat16", "adapter": True}),
    "merged bf16": (LORA, {"dtype": "bfloat16"}),
}
Runs = Mapping[str, tuple[RunDir, Exported]]


@pytest.fixture(scope="module")
def proved(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Runs:
    """A run and its proved export, one of each kind."""
    place = tmp_path_factory.mktemp("proved")
    runs = {case: tiny_run(place / case, model, extra) for case, (extra, _) in CASES.items()}
    return {case: (run, export(run, **CASES[case][1])) for case, run in runs.items()}


@pytest.fixture(scope="module")
def outside(proved: Runs, model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """Logits [n, V] of every export for every prompt, from a process without our code."""
    place = tmp_path_factory.mktemp("outside")
    bases = {case: str(model) if "adapter" in case else None for case in proved}
    folders = {case: (str(done.path), bases[case]) for case, (_, done) in proved.items()}
    asked = json.dumps({"folders": folders, "prompts": PROMPTS, "out": str(place / "logits")})
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, asked],
        cwd=place,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return load_file(place / "logits")


def logits_in(run: RunDir, case: str) -> list[Tensor]:
    """What training had in memory computes in the exported type: the merged model in the numbers of its parts."""
    policy = trained(run, 4)
    if isinstance(policy, PeftModel) and "adapter" in case:
        for parameter in trained_tensors(policy).values():
            parameter.data = to_dtype(parameter.data, torch.bfloat16).float()
    else:
        policy = policy.merge_and_unload() if isinstance(policy, PeftModel) else policy
        for parameter in policy.parameters():
            parameter.data = to_dtype(parameter.data, torch.float32 if "fp32" in case else torch.bfloat16)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        logits = [policy(torch.tensor([ids])).logits[0] for ids in PROMPTS]
    torch.set_num_threads(threads)
    return logits


@pytest.mark.parametrize("case", CASES)
def test_a_stranger_s_process_computes_bit_for_bit_what_was_trained(
    proved: Runs, outside: dict[str, Tensor], case: str
) -> None:
    for number, logits in enumerate(logits_in(proved[case][0], case)):
        assert outside[f"{case} {number}"].dtype == logits.dtype
        assert torch.equal(outside[f"{case} {number}"], logits), number


@pytest.mark.parametrize("case", CASES)
def test_the_proof_says_what_was_compared_and_stands_in_record_and_card(proved: Runs, case: str) -> None:
    done = proved[case][1]
    proof = done.proof
    assert proof is not None
    assert (proof.prompts, proof.tokens, proof.trained_prompts) == (3, 64 + 20 + 30, True)
    assert (proof.max_difference, proof.bitwise) == (0.0, True)
    assert json.loads((done.path / "dpo-tui.json").read_text())["proof"] == proof.to_json()
    assert proof.sentence() in (done.path / "README.md").read_text()
    assert not [path for path in done.path.parent.iterdir() if path.name.startswith(".export")]


def test_merging_moves_logits_within_the_bound_that_is_stated(proved: Runs) -> None:
    proof = proved["merged bf16"][1].proof
    assert proof is not None
    assert proof.merge_difference is not None
    assert proof.merge_bound is not None
    assert 0 < proof.merge_difference <= proof.merge_bound
    assert f"allowed: {proof.merge_bound:.1g}" in proof.line()
    before, after = trained(proved["merged bf16"][0], 4), trained(proved["merged bf16"][0], 4)
    assert isinstance(after, PeftModel)
    merged, ids = after.merge_and_unload(), torch.tensor([PROMPTS[0]])
    with torch.no_grad():
        ours, theirs = before(ids).logits, merged(ids).logits
    assert float((ours - theirs).abs().max()) <= MERGE_TOLERANCE * max(1.0, float(ours.abs().max()))


def flip(path: Path) -> None:
    """The last bit of the file."""
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_bit_that_flips_on_its_way_to_the_disk_ends_the_export_and_leaves_the_earlier_one(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny_run(tmp_path / "run", model)
    folder = exported(run, dtype="float32")
    before = files_of(folder)

    def write_badly(place: Path, *rest: Any) -> Any:
        types = write_model(place, *rest)
        flip(place / "model.safetensors")
        return types

    monkeypatch.setattr("engine.export.export.write_model", write_badly)
    with pytest.raises(CannotWriteError) as caught:
        export(run, dtype="bfloat16")
    assert caught.value.exit is Exit.CANNOT_WRITE
    assert caught.value.code == "export.unproved"
    assert "has other numbers" in caught.value.text
    assert "--no-verify" in caught.value.text
    assert files_of(folder) == before
    assert not [path for path in folder.parent.iterdir() if path.name.startswith(".export")]


def test_killed_while_it_is_verified_nothing_half_is_left_and_the_next_export_goes_through(
    tmp_path: Path, model: Path
) -> None:
    run = tiny_run(tmp_path / "run", model)
    folder = exported(run, dtype="float32")
    before = files_of(folder)
    killed = subprocess.Popen(
        [sys.executable, "-m", "engine", "export", str(run.root), "--dtype", "bfloat16"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        reader = until(lambda: reader_of(killed.pid))
    finally:
        killed.kill()
        killed.wait()
    until(lambda: reader and start_time(reader) is None)
    assert (run.root / ".export.staging").is_dir()
    assert files_of(folder) == before
    exported(run, dtype="bfloat16")
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    assert not [path for path in run.root.iterdir() if path.name.startswith(".export")]


def reader_of(parent: int) -> int | None:
    """The process that verifies, once it is there."""
    for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with suppress(OSError):
            if b"engine.export.reading" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return int(pid)
    return None


def test_the_reader_is_given_no_secret_no_network_and_no_gpu() -> None:
    secrets = [
        "HF_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "WANDB_API_KEY",
        "GITHUB_TOKEN",
        "DB_PASSWORD",
        "MY_CREDENTIALS",
    ]
    given = environment(
        {**dict.fromkeys(secrets, "x"), "PATH": "/bin", "LOCAL_RANK": "1", "HF_HUB_OFFLINE": "0"}
    )
    assert "x" not in given.values()
    assert all(SECRETS.search(name) for name in secrets)
    assert (given["PATH"], given["HF_HUB_OFFLINE"], given["CUDA_VISIBLE_DEVICES"]) == ("/bin", "1", "")
    assert "LOCAL_RANK" not in given
