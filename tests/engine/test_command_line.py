"""From a TOML file to an exported model by the command itself, with everything between being real."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engine.exits import Exit
from engine.rundir.paths import RunDir
from engine.rundir.status import read_record
from engine.rundir.tail import Tail
from tests.engine.runs import CONFIG, final_weights, of_type
from tests.waiting import until


@pytest.fixture
def config(tmp_path: Path, model: Path, pairs: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(CONFIG.format(name="tiny", folder=tmp_path / "runs", model=model, pairs=pairs))
    return path


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-P", "-m", "dpo_tui", *map(str, arguments)]


def test_a_config_becomes_a_model_that_prefers_what_it_was_taught(
    config: Path, model: Path, tmp_path: Path
) -> None:
    done = subprocess.run(command("--headless", config), text=True, capture_output=True)
    assert done.returncode == Exit.DONE, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["step"] for event in of_type(events, "step")] == [1, 2, 3, 4, 5, 6]
    assert events[-1]["exit_code"] == Exit.DONE

    run = RunDir(tmp_path / "runs" / "tiny")
    summary = json.loads(run.summary_json.read_text())
    assert (summary["state"], summary["exit_code"]) == ("done", 0)
    assert margin(run.export_dir, run.export_dir) > margin(model, run.export_dir)
    assert not [path for path in run.export_dir.rglob("*") if path.suffix in (".bin", ".pt", ".pkl")]


def margin(folder: Path, words: Path) -> float:
    """How much likelier a short answer is than a long one, in nats: what the pairs teach."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(words)
    question = [{"role": "user", "content": "99 red?"}]
    prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, tokenize=False)
    short, long = (
        tokenizer(prompt + answer).input_ids for answer in ("red<|im_end|>", "blue sun cat old<|im_end|>")
    )
    start = len(tokenizer(prompt).input_ids)
    return likelihood(model, short, start) - likelihood(model, long, start)


def likelihood(model: torch.nn.Module, tokens: list[int], start: int) -> float:
    """Log-probability of the tokens from `start` on."""
    ids = torch.tensor([tokens])
    with torch.no_grad():
        logps = model(ids).logits[0, :-1].log_softmax(-1)
    return float(logps.gather(1, ids[0, 1:, None])[start - 1 :].sum())


def test_a_killed_rank_is_named_and_the_run_resumes_bit_for_bit(config: Path, tmp_path: Path) -> None:
    whole = subprocess.run(command("--headless", config, "--run", "whole"), capture_output=True)
    assert whole.returncode == Exit.DONE

    process = subprocess.Popen(
        command("--headless", config, "--run", "killed"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    run = RunDir(tmp_path / "runs" / "killed")
    tail = Tail(run.events)
    until(lambda: any(event["type"] == "step" for event in tail.read()))
    os.kill(rank_of(run), signal.SIGKILL)
    _, said = process.communicate()
    assert process.returncode == Exit.TRAINING_FAILED
    assert "rank 0 was killed by signal 9" in said

    resumed = subprocess.run(
        command("--headless", config, "--run", "killed", "--resume"), text=True, capture_output=True
    )
    assert resumed.returncode == Exit.DONE, resumed.stderr
    first, second = final_weights(RunDir(tmp_path / "runs" / "whole")), final_weights(run)
    assert all(torch.equal(first[name], second[name]) for name in first)


def rank_of(run: RunDir) -> int:
    record = read_record(run.run_json)
    assert record is not None
    children = Path(f"/proc/{record.pid}/task/{record.pid}/children").read_text().split()
    assert len(children) == 1
    return int(children[0])


def test_ctrl_c_saves_a_checkpoint_and_stops(config: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("--headless", config, "--set", "train.max_steps=500"), stdout=subprocess.DEVNULL
    )
    run = RunDir(tmp_path / "runs" / "tiny")
    tail = Tail(run.events)
    until(lambda: any(event["type"] == "step" for event in tail.read()))
    process.send_signal(signal.SIGINT)
    assert process.wait() == Exit.STOPPED
    assert json.loads(run.status_json.read_text())["state"] == "stopped"
    assert final_weights(run)
