"""An export that costs nothing: it writes the events that FAKE_EXPORT asks for, and ends as it is told.

FAKE_EXPORT: JSON with "events", "say" (for its log), "code", and "wait": whether it stays until it is terminated.
"""

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from engine.exits import Exit
from engine.rundir.events import EventWriter

COMMAND = (sys.executable, "-P", str(Path(__file__).absolute()))


def played(**wishes: Any) -> dict[str, str]:
    """The environment of an export that does this."""
    return {"FAKE_EXPORT": json.dumps(wishes), "PYTHONPATH": str(Path(__file__).parents[1])}


def whole_story(folder: Path, push: str | None = None) -> list[dict[str, Any]]:
    """The events of an export that went well."""
    names = ["checkpoint", "policy", "write", "proof", *(["push"] if push else [])]
    stages = [
        {"type": "stage", "stage": name, "state": state} for name in names for state in ("start", "end")
    ]
    exported = {"type": "export", "push": push, "path": str(folder), "proof": PROOF, "bytes": 538_000_000}
    asked = [{"type": "stage", "stage": "answers", "state": state} for state in ("start", "end")]
    done = {"type": "end", "exit_code": 0, "code": "export.done", "text": "done", "params": {}}
    return [*stages, {**exported, "reused": False}, *asked, {"type": "answers", "answers": ANSWERS}, done]


PROOF: dict[str, Any] = {
    "prompts": 3,
    "tokens": 412,
    "trained_prompts": True,
    "max_difference": 0.0,
    "bitwise": True,
    "merge_difference": None,
    "merge_bound": None,
    "seconds": 9.4,
    "attention": None,
    "threads": 2,
    "versions": {},
}

ANSWERS = [
    {
        "question": "Name three colours.",
        "before": "1. Red: This is the most obvious colour, but it's also the most versatile. Red is a colour that "
        "can be used to make many things, and it is one that everybody knows from the fire brigade…",
        "after": "Red, blue and yellow.",
    },
    {"question": "What is 2 + 2?", "before": "2 + 2 is a sum. It is [bold]4[/bold].", "after": "4."},
    {"question": "Say hello.", "before": "Hello! How can I help you today?", "after": "Hello!"},
]


def write_folder(folder: Path, *, adapter: bool = False) -> Path:
    """An exported folder, as far as the app looks into it."""
    folder.mkdir(parents=True)
    files: Mapping[str, Any] = {
        "dpo-tui.json": {
            "v": 1,
            "step": 300,
            "dtype": "bfloat16",
            "adapter": adapter,
            "repo": None,
            "proof": PROOF,
            "files": {"model.safetensors": {"bytes": 538_000_000, "sha256": "0"}},
        },
        "adapter_config.json" if adapter else "config.json": {},
        "tokenizer_config.json": {"chat_template": "{{ messages }}", "eos_token": "<|im_end|>"},
        "generation_config.json": {"eos_token_id": [2, 7]},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder


def main(argv: Sequence[str]) -> int:
    """Write the events into the file after --progress."""
    wishes = json.loads(os.environ["FAKE_EXPORT"])
    path = Path(argv[argv.index("--progress") + 1])
    if argv[0] == "export":
        path.unlink(missing_ok=True)
    path.with_name("argv.json").write_text(json.dumps(list(argv)))
    with EventWriter(path) as events:

        def interrupted(_number: int, _frame: FrameType | None) -> None:
            events.end(Exit.INTERRUPTED, "export.interrupted", "stopped before its end")
            os._exit(Exit.INTERRUPTED)

        signal.signal(signal.SIGTERM, interrupted)
        print(wishes.get("say", ""), flush=True)
        for event in wishes.get("events", ()):
            events.emit(**event)
        while wishes.get("wait"):
            signal.pause()
    return int(wishes.get("code", 0))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
