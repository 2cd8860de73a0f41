"""The files of an export: weights, tokenizer, card, and a look at what arrived on the disk."""

import json
import shutil
from collections.abc import Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, PreTrainedModel, PreTrainedTokenizerBase

from engine.exits import CannotWriteError
from engine.export.card import CardFacts, write_card
from engine.export.original import code_revision, keep_original_files
from engine.export.pickles import pickle_problem
from engine.export.proof import Proof
from engine.export.reading import open_tokenizer
from engine.export.record import write_record
from engine.export.source import Source
from engine.models.adapters import is_adapted
from engine.models.families import family_in
from engine.models.hub_errors import first_line
from engine.models.quiet import quiet_transformers
from engine.models.weights import os_error, safetensors_problem, trained_tensors
from engine.rundir.events import effective_steps, forget, read_events, step_of
from engine.rundir.files import cannot_write, read_json

if TYPE_CHECKING:
    from peft import PeftModel

MAX_SHARD_SIZE = "5GB"
FLOATS = {"F64": torch.float64, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
"""Types of weights by their names in a safetensors file."""


def write_model(
    folder: Path, model: "PreTrainedModel | PeftModel", tokenizer: PreTrainedTokenizerBase, source: Source
) -> Set[torch.dtype]:
    """Weights and tokenizer as transformers saves them, tied weights once, no pickle; the types of the weights."""
    try:
        with quiet_transformers():
            if is_adapted(model):
                model.save_pretrained(folder, save_embedding_layers=False)  # else peft asks the hub
            else:
                model.save_pretrained(folder, max_shard_size=MAX_SHARD_SIZE)
            tokenizer.save_pretrained(folder)
    except SafetensorError as error:
        raise cannot_write(folder, os_error(error)) from error
    (folder / "README.md").unlink(missing_ok=True)
    _tidy_tokenizer_config(folder / "tokenizer_config.json", source)
    if source.keeps_layout:
        keep_original_files(folder, source, tokenizer)
    if source.base.trust_remote_code:
        for code in source.base.path.glob("*.py"):
            shutil.copyfile(code, folder / code.name)
    stored = trained_tensors(model) if is_adapted(model) else model.state_dict()
    return {tensor.dtype for tensor in stored.values()}


def _tidy_tokenizer_config(path: Path, source: Source) -> None:
    """Drops what is true of this machine only; names the class as every release of transformers knows it."""
    config = json.loads(path.read_text(encoding="utf-8"))
    for key in ("is_local", "local_files_only", "name_or_path"):
        config.pop(key, None)
    own = source.family and source.family.tokenizer_class
    if config.get("tokenizer_class") in ("TokenizersBackend", own):
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_words(folder: Path, source: Source, facts: dict[str, Any], proof: Proof | None) -> None:
    """The card with its curves, and the record that makes the folder ours; `facts` are its identity."""
    manifest = source.index.manifest(source.step)
    events = list(read_events(source.run.events))
    revision = code_revision(source)
    card = CardFacts(
        config=source.config,
        base=source.base,
        step=source.step,
        epoch=manifest.epoch,
        metrics=manifest.metrics,
        steps=[event for event in effective_steps(events) if event["step"] <= source.step],
        evals=_effective_evals(events, source.step),
        dtype=source.dtype,
        adapter=source.adapter,
        chat=_has_template(folder),
        repo=source.repo,
        proof=proof,
        own_code=source.needs_own_code,
        code_revision=revision,
        family=source.adapter_family,
        four_bits=source.adapter_four_bits,
    )
    write_card(folder, card)
    write_record(folder, {**facts, "code_revision": revision}, proof)


def _has_template(folder: Path) -> bool:
    """A base's own files may have the chat template among the tokenizer's settings."""
    settings = read_json(folder / "tokenizer_config.json") or {}
    return "chat_template" in settings or (folder / "chat_template.jinja").exists()


def _effective_evals(events: list[dict[str, Any]], last: int) -> list[dict[str, Any]]:
    """The eval events up to the step exported, without those that a resume undid."""
    evals: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "resume":
            evals = forget(evals, event)
        elif event["type"] == "eval" and (step_of(event) or 0) <= last:
            evals.append(event)
    return evals


def check_written(folder: Path, source: Source, types: Set[torch.dtype]) -> None:
    """Reads back what can be read back cheaply: config, tokenizer, whole weight files of the right types, no pickle.

    types: those of the weights in memory. Raises CannotWriteError.
    """
    if problem := files_problem(folder, types):
        raise _not_whole(source.target, problem)
    try:
        if not source.adapter:
            family_in(folder)  # makes transformers know it
            AutoConfig.from_pretrained(folder, trust_remote_code=source.base.trust_remote_code)
        open_tokenizer(folder, source.base.trust_remote_code)
    except Exception as error:  # tokenizers raises nothing less
        raise _not_whole(source.target, first_line(error)) from error


def files_problem(folder: Path, types: Set[torch.dtype]) -> str | None:
    """What is wrong with the files as such, in words; None if nothing is."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    weights = [path for path in files if path.suffix == ".safetensors"]
    for path in files:
        problem = safetensors_problem(path) if path in weights else pickle_problem(path)
        if problem:
            return f"{path.name}: {problem}" if path in weights else f"{path.name} {problem}"
    for path in weights:
        for name, kind in _types_in(path).items():
            if kind in FLOATS and FLOATS[kind] not in types:
                wanted = " or ".join(sorted(str(kind).removeprefix("torch.") for kind in types))
                return f"{path.name}: {name} is stored in {kind} instead of {wanted}"
    return None if weights else "there are no weights"


def _types_in(path: Path) -> dict[str, str]:
    """The type of each tensor in a whole safetensors file, by its header."""
    with safe_open(path, framework="pt") as file:
        return {name: str(file.get_slice(name).get_dtype()) for name in file.keys()}  # noqa: SIM118  (no mapping)


def _not_whole(target: Path, why: str) -> CannotWriteError:
    return CannotWriteError(
        "export.not_whole",
        f"{target}: the export was not written: it does not read back ({why}). Check the disk, and export again.",
        path=str(target),
        problem=why,
    )
