"""A whole way in real terminals: wizard, training of the built-in model, away and back, stop, resume, export."""

from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from dpo_tui.runs import effective_state
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.control import Control
from engine.rundir.events import effective_steps, read_events
from engine.rundir.paths import RunDir
from tests.tui.terminal import Terminal
from tests.waiting import until

CONFIG = """
# Mine.
[run]
name = "mine"
[model]
source = "builtin"
id = "smollm2-135m-instruct"
[data]
max_length = 96
max_prompt_length = 64
eval_fraction = 0.2
[[data.sources]]
source = "builtin"
path = "quickstart"
limit = 10
[optimizer]
learning_rate = 1e-6
[train]
max_steps = 1000
pairs_per_step = 2
tokens_per_pack = 512
compile = "off"
[export]
enabled = false
"""

SECONDS = 240.0
TALL = (120, 70)
"""Columns and rows in which the answers stand above the snippet, however long they are."""


@pytest.fixture
def run(quiet_home: Path) -> RunDir:
    """Where the run will be; its config is in the working directory."""
    (quiet_home / "mine.toml").write_text(CONFIG)
    return RunDir(quiet_home / "runs" / "mine")


def test_from_the_wizard_to_a_model_that_transformers_loads(run: RunDir, quiet_home: Path) -> None:
    try:
        start_and_detach(run, quiet_home)
        attach_and_stop(run, quiet_home)
        resume_and_stop_again(run, quiet_home)
        folder = export(run, quiet_home)
    finally:
        Control(run.control_dir).request_stop()
        until(lambda: effective_state(run).final, SECONDS)
    assert "# Mine." in (quiet_home / "mine.toml").read_text()
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    answer = model.generate(**asked, max_new_tokens=12, do_sample=False)
    assert tokenizer.decode(answer[0][asked["input_ids"].shape[1] :], skip_special_tokens=True).strip()


def start_and_detach(run: RunDir, work: Path) -> None:
    """Four times on, Enter; the curves move; leaving detaches."""
    with Terminal(["new", "mine.toml"], cwd=work) as terminal:
        terminal.wait_for("mine", "step 1 of 5")
        terminal.press(*["ctrl+n"] * 4)
        terminal.wait_for("step 5 of 5", "Start", "✓")
        terminal.press("enter")
        terminal.until(lambda _: effective_state(run).step >= 2, SECONDS)
        before = terminal.wait_for("loss", "training")
        terminal.until(lambda now: effective_state(run).step >= 6 and now != before, SECONDS)
        terminal.press("ctrl+q")
        terminal.wait_for("Detach")
        terminal.press("enter")
        assert terminal.ended() == 0


def attach_and_stop(run: RunDir, work: Path) -> None:
    """The curves are there again; the run is stopped, with a checkpoint."""
    with Terminal(["attach", "mine"], cwd=work) as terminal:
        terminal.wait_for("mine", "training", "loss", "⠉")
        terminal.press("s")
        terminal.wait_for("Stop this run?")
        terminal.press("down", "enter")
        terminal.wait_for("■ stopped", seconds=SECONDS)
        until(lambda: effective_state(run).state == "stopped", SECONDS)
        assert CheckpointIndex(run.checkpoints_dir).latest() == effective_state(run).step
        terminal.press("ctrl+q")
        assert terminal.ended() == 0


def resume_and_stop_again(run: RunDir, work: Path) -> None:
    """From the list of runs: it goes on where it was."""
    stopped = effective_state(run).step
    with Terminal(cwd=work) as terminal:
        terminal.wait_for("mine", "■ stopped")
        terminal.press("r")
        terminal.until(lambda _: effective_state(run).step >= stopped + 2, SECONDS)
        Control(run.control_dir).request_stop()
        terminal.wait_for("■ stopped", seconds=SECONDS)
        terminal.press("ctrl+q")
        assert terminal.ended() == 0
    steps = [event["step"] for event in effective_steps(read_events(run.events))]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= stopped + 2


def export(run: RunDir, work: Path) -> Path:
    """The export screen writes the model, proves it, and shows the same questions before and after."""
    with Terminal(["attach", "mine"], cwd=work, size=TALL) as terminal:
        terminal.wait_for("mine", "■ stopped")
        terminal.press("e")
        terminal.wait_for("step-", "Folder", "keep it here")
        terminal.press("enter")
        terminal.wait_for("bit for bit", "before", "after", "from_pretrained", seconds=SECONDS)
        terminal.press("ctrl+q")
        assert terminal.ended() == 0
    assert (run.export_dir / "model.safetensors").is_file()
    return run.export_dir
