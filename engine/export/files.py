"""The files of an export: weights, tokenizer, card, and a look at what arrived on the disk."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import PeftModel
from safetensors import SafetensorError
from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from engine.config.schema import Config
from engine.exits import CannotWriteError
from engine.export.card import CardFacts, write_card
from engine.export.folder import PICKLES, write_record
from engine.models.generation import complete_generation_config
from engine.models.quiet import quiet_transformers
from engine.models.resolve import ResolvedModel
from engine.models.weights import os_error, safetensors_problem
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.events import effective_steps, forget, read_events, step_of
from engine.rundir.files import cannot_write
from engine.rundir.paths import RunDir

MAX_SHARD_SIZE = "5GB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is exported: a run's config, one of its checkpoints, and the base both stand on."""

    run: RunDir
    config: Config
    index: CheckpointIndex
    step: int
    base: ResolvedModel
    dtype: str
    adapter: bool


def write_model(
    folder: Path, model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, source: Source
) -> None:
    """Weights and tokenizer as transformers saves them; tied weights once, no pickle."""
    plain = model.get_base_model() if isinstance(model, PeftModel) else model
    complete_generation_config(plain, tokenizer)
    try:
        with quiet_transformers():
            if isinstance(model, PeftModel):
                model.save_pretrained(folder, save_embedding_layers=False)  # else peft asks the hub
            else:
                model.save_pretrained(folder, max_shard_size=MAX_SHARD_SIZE)
            tokenizer.save_pretrained(folder)
    except SafetensorError as error:
        raise cannot_write(folder, os_error(error)) from error
    (folder / "README.md").unlink(missing_ok=True)
    _tidy_tokenizer_config(folder / "tokenizer_config.json")
    if source.base.trust_remote_code:
        for code in source.base.path.glob("*.py"):
            shutil.copyfile(code, folder / code.name)


def _tidy_tokenizer_config(path: Path) -> None:
    """Drops what is true of this machine only; names the class as every release of transformers knows it."""
    config = json.loads(path.read_text(encoding="utf-8"))
    for key in ("is_local", "local_files_only", "name_or_path"):
        config.pop(key, None)
    if config.get("tokenizer_class") == "TokenizersBackend":
        config["tokenizer_class"] = "PreTrainedTokenizerFast"
    path.write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_words(folder: Path, source: Source, repo: str | None) -> None:
    """The card with its curves, and the record that makes the folder ours."""
    manifest = source.index.manifest(source.step)
    events = list(read_events(source.run.events))
    facts = CardFacts(
        config=source.config,
        base=source.base,
        step=source.step,
        epoch=manifest.epoch,
        metrics=manifest.metrics,
        steps=[event for event in effective_steps(events) if event["step"] <= source.step],
        evals=_effective_evals(events, source.step),
        dtype=source.dtype,
        adapter=source.adapter,
        chat=(folder / "chat_template.jinja").exists(),
        repo=repo,
    )
    write_card(folder, facts)
    record = {
        "step": source.step,
        "config_digest": manifest.config_digest,
        "data_digest": manifest.data_digest,
        "model_digest": manifest.model_digest,
    }
    base = {"id": source.base.public_id, "commit": source.base.commit}
    write_record(folder, {**record, "base": base, "dtype": source.dtype, "adapter": source.adapter})


def _effective_evals(events: list[dict[str, Any]], last: int) -> list[dict[str, Any]]:
    """The eval events up to the step exported, without those that a resume undid."""
    evals: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "resume":
            evals = forget(evals, event)
        elif event["type"] == "eval" and (step_of(event) or 0) <= last:
            evals.append(event)
    return evals


def check_written(folder: Path, source: Source) -> None:
    """Reads back what can be read back cheaply: config, tokenizer, and that every weight file is whole."""
    try:
        if not source.adapter:
            AutoConfig.from_pretrained(folder, trust_remote_code=source.base.trust_remote_code)
        AutoTokenizer.from_pretrained(folder, trust_remote_code=source.base.trust_remote_code)
    except (OSError, ValueError, KeyError) as error:
        raise _not_whole(folder, str(error).splitlines()[0]) from error
    weights = sorted(folder.glob("*.safetensors"))
    problems = [f"{path.name}: {problem}" for path in weights if (problem := safetensors_problem(path))]
    problems += [f"{path.name} is pickled" for path in folder.rglob("*") if path.suffix in PICKLES]
    problems += [] if weights else ["there are no weights"]
    if problems:
        raise _not_whole(folder, problems[0])


def _not_whole(folder: Path, why: str) -> CannotWriteError:
    return CannotWriteError(
        "export.not_whole",
        f"{folder}: the export does not read back ({why}). Check the disk, and export again.",
    )
