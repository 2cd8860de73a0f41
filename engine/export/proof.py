"""The proof of an export: a fresh process opens the folder and must find, bit for bit, what was trained."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file
from torch import Tensor

from engine.exits import CannotWriteError, EngineError, EnvironmentUnfitError
from engine.export.expected import Expected, furthest
from engine.export.reading import NO_MEMORY, Request, request_json
from engine.process import ProcessId
from engine.rundir.files import read_json
from engine.sanitize import one_line

READER = (sys.executable, "-P", "-m", "engine.export.reading")

SECRETS = re.compile(r"(^|_)(TOKENS?|SECRETS?|PASSWORD|PASSWD|CREDENTIALS?|KEY)(_|$)", re.IGNORECASE)
"""Names of environment variables that a reader of a local folder has no use for."""

DISTRIBUTED = re.compile(
    r"(RANK|LOCAL_RANK|WORLD_SIZE|LOCAL_WORLD_SIZE|MASTER_ADDR|MASTER_PORT)|ACCELERATE_.*"
)

WAY_OUT = "--no-verify (verify = false in [export]) writes it unproved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was compared, with what result; there is none of an export that failed."""

    prompts: int
    tokens: int
    trained_prompts: bool
    max_difference: float
    bitwise: bool
    merge_difference: float | None
    """By how much merging adapters moved a logit, in fp32; None where nothing was merged."""
    merge_bound: float | None
    """By how much it may: an export that moved one further would have been refused."""
    seconds: float
    attention: str | None
    threads: int
    versions: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """For records and events."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> Self | None:
        """The proof in a record; None where there is none."""
        try:
            return cls(**value) if isinstance(value, dict) else None
        except TypeError:
            return None

    def line(self) -> str:
        """For a person."""
        moved, bound = self.merge_difference, self.merge_bound
        merged = "" if moved is None else f"; merging moved logits by up to {moved:.1g}, allowed: {bound:.1g}"
        return (
            f"verified in {self.seconds:.0f} s: a fresh process computes the same logits, bit for bit "
            f"({self.prompts} prompts, {self.tokens} tokens{merged})"
        )

    def sentence(self) -> str:
        """For the model card."""
        whose = "of its training data" if self.trained_prompts else "of fixed texts"
        moved, bound = self.merge_difference, self.merge_bound
        merged = (
            ""
            if moved is None
            else f" Merging the adapters moved logits by up to {moved:.1g} in fp32, of {bound:.1g} allowed."
        )
        return (
            f"Verified: a fresh process (transformers {self.versions.get('transformers')}, torch "
            f"{self.versions.get('torch')}, CPU) loaded these weights and computed, for {self.prompts} prompts "
            f"{whose} ({self.tokens} tokens), bit for bit the logits of the trained model.{merged}"
        )


def prove(expected: Expected, request: Request, scratch: Path, target: Path) -> Proof:
    """Has a fresh process read the folder of `request`, and compares; they talk through the empty folder `scratch`.

    Raises CannotWriteError for an export that is not what was trained, EnvironmentUnfitError where memory ends.
    """
    started = time.monotonic()
    seen, logits = _read_afresh(request, scratch, target)
    if problem := difference(expected, seen, logits):
        raise unproved(target, problem)
    return Proof(
        prompts=len(expected.prompts.ids),
        tokens=sum(map(len, expected.prompts.ids)),
        trained_prompts=expected.prompts.trained,
        max_difference=furthest(expected.logits, logits)[0],
        bitwise=True,
        merge_difference=expected.merge.moved if expected.merge else None,
        merge_bound=expected.merge.bound if expected.merge else None,
        seconds=round(time.monotonic() - started, 1),
        attention=expected.attention,
        threads=expected.threads,
        versions=seen["versions"],
    )


def _read_afresh(request: Request, scratch: Path, target: Path) -> tuple[dict[str, Any], list[Tensor]]:
    (scratch / "request.json").write_text(request_json(request))
    own = ProcessId.own()
    argv = [*READER, str(scratch), f"{own.pid}:{own.start_time}"]
    log = scratch / "log"
    with log.open("wb") as output:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment(os.environ)
        )
    if done.returncode != 0:
        raise _failed(done.returncode, log, Path(request.folder), target)
    tensors = load_file(scratch / "logits.safetensors")
    seen = read_json(scratch / "seen.json")
    assert seen is not None, "the reader ended well and wrote nothing"
    return seen, [tensors[str(number)] for number in range(len(tensors))]


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What the reader gets of the environment: no tokens, no network, no GPU, no process group."""
    kept = {
        name: value
        for name, value in given.items()
        if not SECRETS.search(name) and not DISTRIBUTED.fullmatch(name)
    }
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
    quiet = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TQDM_DISABLE": "1"}
    return {**kept, **offline, **quiet, "CUDA_VISIBLE_DEVICES": ""}


def difference(expected: Expected, seen: dict[str, Any], logits: list[Tensor]) -> str | None:
    """The first thing in which the folder is not what was trained, in words; None if it is."""
    found = (
        _of_loading(seen["loading"])
        or _of_tensors(expected.tensors, seen["tensors"])
        or _of_logits(expected.logits, logits)
        or _of_words(expected, seen)
    )
    return None if found is None else one_line(found)


def _of_loading(loading: dict[str, list[str]]) -> str | None:
    for what, names in loading.items():
        return f"transformers reports {what.replace('_', ' ')} when it loads them: {', '.join(names[:3])}"
    return None


def _of_tensors(ours: dict[str, str], theirs: dict[str, str]) -> str | None:
    for names, where in (
        (ours.keys() - theirs.keys(), "is missing"),
        (theirs.keys() - ours.keys(), "is new"),
    ):
        if names:
            return f"the weight {min(names)} {where}"
    for name, mark in ours.items():
        if mark != theirs[name]:
            (kind, shape, _), (other, other_shape, _) = mark.split(" "), theirs[name].split(" ")
            if (kind, shape) != (other, other_shape):
                return f"the weight {name} is {other} [{other_shape}] instead of {kind} [{shape}]"
            return f"the weight {name} has other numbers"
    return None


def _of_logits(ours: list[Tensor], theirs: list[Tensor]) -> str | None:
    if [tensor.shape for tensor in ours] != [tensor.shape for tensor in theirs]:
        return "the logits have another shape"
    if ours[0].dtype != theirs[0].dtype:
        return f"the logits are {theirs[0].dtype} instead of {ours[0].dtype}"
    if all(torch.equal(a.view(torch.uint8), b.view(torch.uint8)) for a, b in zip(ours, theirs, strict=True)):
        return None
    gap, prompt = furthest(ours, theirs)
    return f"the logits differ by {gap:.2g} in prompt {prompt}"


def _of_words(expected: Expected, seen: dict[str, Any]) -> str | None:
    """Ties, tokenizer, and both configs."""
    if expected.ties != seen["ties"]:
        return f"tied weights: {seen['ties'] or 'none'} instead of {expected.ties or 'none'}"
    if expected.chat_template != seen["chat_template"]:
        return "the chat template is not the one trained with"
    if expected.eos != seen["eos"]:
        return f"the tokenizer's EOS is token {seen['eos']} instead of {expected.eos}"
    for number, (ours, theirs) in enumerate(zip(expected.tokenised, seen["ids"], strict=True), 1):
        if ours != theirs:
            return f"the tokenizer splits prompt {number} otherwise"
    return _of_settings("model", expected.config, seen["config"]) or _of_settings(
        "generation", expected.generation, seen["generation"]
    )


def _of_settings(what: str, ours: Mapping[str, Any] | None, theirs: Mapping[str, Any] | None) -> str | None:
    """A config, setting by setting: where generation ends is in one, and what no short prompt shows in another."""
    ours, theirs = ours or {}, theirs or {}
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            return f"the {what} config says {name} = {theirs.get(name)} instead of {ours.get(name)}"
    return None


def _failed(code: int, log: Path, folder: Path, target: Path) -> EngineError:
    """A reader that did not come to its end: killed, out of memory, or the folder does not load."""
    if code in (-signal.SIGKILL, NO_MEMORY):
        size = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e9
        return EnvironmentUnfitError(
            "export.proof_memory",
            f"{target}: the export was not written: the process that verifies it "
            f"{'found too little memory' if code == NO_MEMORY else 'was killed, most likely for want of memory'} "
            f"(its files are {size:.1f} GB). Free some and export again, or {WAY_OUT}.",
            path=str(target),
            size=round(size, 1),
        )
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"failed ({code})"
    return unproved(
        target, f"a fresh process that loads them {how}: {one_line(lines[-1].strip()) if lines else ''}"
    )


def unproved(target: Path, problem: str) -> CannotWriteError:
    """The error for files that are not what was trained."""
    return CannotWriteError(
        "export.unproved",
        f"{target}: the export was not written: its files do not hold what was trained: {problem}. Export again: a "
        f"fault of disk or memory does not repeat itself. If this one does, {WAY_OUT}.",
        path=str(target),
        problem=problem,
    )
