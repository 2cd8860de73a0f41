"""What an export's file of events tells: its stages, what came of it, the answers, and how it ended."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.rundir.files import number, read_json
from engine.rundir.tail import Tail

RECORD = "dpo-tui.json"
"""The file by which an exported folder says what it is."""


NO_ANSWERS = "export.no_answers"
"""The warning that an export has no answers beside it."""


@dataclass(slots=True)
class Stage:
    """A part of an export, by when it began and ended (Unix time)."""

    name: str
    began: float
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A question, and what the base and the exported model say to it."""

    question: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Ending:
    """The last word of an export."""

    exit_code: int
    code: str
    text: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """An exported folder, as its own record describes it."""

    path: Path
    step: int | None = None
    dtype: str | None = None
    adapter: bool = False
    chat: bool = False
    own_code: bool = False
    code_revision: str | None = None
    family: str | None = None
    four_bits: str | None = None
    """These four as `loading_snippet` takes them."""
    bytes: int | None = None
    proof: Mapping[str, Any] | None = None
    stops_at: str | None = None
    """The token that ends an answer."""


@dataclass(slots=True)
class Story:
    """Events of an export folded into what a screen shows."""

    stages: list[Stage] = field(default_factory=list)
    path: Path | None = None
    """The folder, once it is written."""
    push: str | None = None
    """The repo it was uploaded to."""
    reused: bool = False
    answers: list[Answer] = field(default_factory=list)
    warnings: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    """Code, English text and params of each."""
    end: Ending | None = None
    asked: bool = False
    """Whether answers were asked for once the export was over: what becomes of them does not change it."""

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in the next event; one of another shape is passed over."""
        match event:
            case {"type": "stage", "stage": str(name), "state": "start"}:
                self.stages.append(Stage(name, _time(event)))
            case {"type": "stage", "stage": str(name), "state": "end"}:
                if self.stages and self.stages[-1].name == name:
                    self.stages[-1].ended = _time(event)
            case {"type": "export", "path": str(path)}:
                self.path, self.reused = Path(path), event.get("reused") is True
                push = event.get("push")
                self.push = push if isinstance(push, str) else None
            case {"type": "answers", "answers": list(answers)}:
                self.answers = [answer for said in answers if (answer := _answer(said)) is not None]
            case {"type": "asked"}:
                self._ask_again()
            case {"type": "warning", "code": str(code), "text": str(text)}:
                self.warnings.append((code, text, _mapping(event.get("params"))))
            case {"type": "end", "exit_code": int(exit_code)}:
                code, text = str(event.get("code", "")), str(event.get("text", ""))
                self.end = Ending(exit_code, code, text, _mapping(event.get("params")))
            case _:
                pass

    def _ask_again(self) -> None:
        """What became of the export stays; what an earlier try of answers left does not."""
        self.asked, self.end = True, None
        self.stages = [stage for stage in self.stages if stage.ended is not None]
        self.warnings = [warning for warning in self.warnings if warning[0] != NO_ANSWERS]


class StoryFollower:
    """Follows the events of an export while they are written. A file that begins anew begins a new story."""

    def __init__(self, path: Path) -> None:
        self._tail = Tail(path)
        self._restarts = 0
        self.story = Story()

    def poll(self) -> bool:
        """Take in what is new; whether there was anything."""
        batch = self._tail.read()
        if self._tail.restarts != self._restarts:
            self._restarts, self.story = self._tail.restarts, Story()
        for event in batch:
            self.story.take(event)
        return bool(batch)


def result_of(folder: Path) -> Result | None:
    """What is in an exported folder; None where there is none."""
    if not os.path.isdir(folder):  # a path's own methods raise where nobody may look
        return None
    record = read_json(folder / RECORD) or {}
    step, dtype, proof = record.get("step"), record.get("dtype"), record.get("proof")
    config = read_json(folder / "tokenizer_config.json") or {}
    return Result(
        path=folder,
        step=step if isinstance(step, int) else None,
        dtype=dtype if isinstance(dtype, str) else None,
        adapter=os.path.isfile(folder / "adapter_config.json"),
        chat="chat_template" in config or os.path.isfile(folder / "chat_template.jinja"),
        own_code=record.get("own_code") is True,
        code_revision=_commit(record.get("code_revision")),
        family=_text(record.get("family")),
        four_bits=_text(record.get("four_bits")),
        bytes=_bytes(record.get("files")),
        proof=proof if isinstance(proof, dict) else None,
        stops_at=_stop(folder, config),
    )


def _text(value: object) -> str | None:
    """A word of the record that goes into a program: a name, and nothing else that a strange record may hold."""
    return value if isinstance(value, str) and value.isidentifier() else None


def _commit(value: object) -> str | None:
    """As `_text`, of a commit."""
    return value if isinstance(value, str) and re.fullmatch("[0-9a-f]{40}", value) else None


def _bytes(files: object) -> int | None:
    """The size of all files, as the record has it."""
    if not isinstance(files, dict):
        return None
    sizes = [entry.get("bytes") for entry in files.values() if isinstance(entry, dict)]
    return sum(size for size in sizes if isinstance(size, int))


def _stop(folder: Path, config: Mapping[str, Any]) -> str | None:
    """The first token of those at which generation stops, by its text."""
    ids = (read_json(folder / "generation_config.json") or {}).get("eos_token_id")
    first = ids[0] if isinstance(ids, list) and ids else ids
    added = _mapping(config.get("added_tokens_decoder")).get(str(first))
    token = added or config.get("eos_token")
    if isinstance(token, dict):
        token = token.get("content")
    return token if isinstance(token, str) else None


def _answer(said: object) -> Answer | None:
    match said:
        case {"question": str(question), "before": str(before), "after": str(after)}:
            return Answer(question, before, after)
        case _:
            return None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _time(event: Mapping[str, Any]) -> float:
    return number(event.get("time")) or 0.0
