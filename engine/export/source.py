"""What is exported: a run's config, one of its checkpoints, and the base both stand on."""

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from transformers import PreTrainedTokenizerBase

from engine.config.load import load_config
from engine.config.schema import Config
from engine.exits import UnusableError, UsageError
from engine.export.tokenizer import require_trained, with_template
from engine.models.load import load_tokenizer
from engine.models.resolve import ResolvedModel, resolve
from engine.pins import pinned
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.manifest import MANIFEST, describe
from engine.rundir.paths import RunDir

Checkpoint = Literal["latest", "best"] | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What is exported, and where to: a run's config, one of its checkpoints, and the base both stand on."""

    run: RunDir
    config: Config
    index: CheckpointIndex
    step: int
    base: ResolvedModel
    dtype: str
    adapter: bool
    target: Path
    repo: str | None
    """The repo it will be uploaded to: the card names it, and no directory of this machine is in the files."""


def find_source(
    run: RunDir, checkpoint: Checkpoint, dtype: str | None, adapter: bool, target: Path, repo: str | None
) -> Source:
    """What to export of a run. Raises UsageError, UnusableError, HubError."""
    config = pinned(load_config(run.config).config, run)
    if adapter and config.model.lora is None:
        raise UsageError(
            "export.no_adapter",
            f"{run.name} trained all weights: there is no adapter to export. Leave out --adapter.",
            run=run.name,
        )
    index = CheckpointIndex(run.checkpoints_dir)
    step = _choose(index, checkpoint, run)
    return Source(
        run=run,
        config=config,
        index=index,
        step=step,
        base=resolve(config.model),
        dtype=dtype or config.export.dtype or config.model.exported_dtype,
        adapter=adapter,
        target=target,
        repo=repo,
    )


def _choose(index: CheckpointIndex, checkpoint: Checkpoint, run: RunDir) -> int:
    """The step to export: there, and verified."""
    steps = index.steps()
    if not steps:
        raise UsageError("export.no_checkpoint", f"{run.name} has no checkpoint yet.", run=run.name)
    step = index.best() if checkpoint == "best" else steps[-1] if checkpoint == "latest" else checkpoint
    known = ", ".join(map(str, steps))
    if step is None:
        raise UsageError(
            "export.no_best",
            f"No checkpoint of {run.name} was evaluated, so none is the best. Checkpoints: {known}.",
            run=run.name,
            known=known,
        )
    if step not in steps:
        raise UsageError(
            "export.no_such_checkpoint",
            f"{run.name} has no checkpoint of step {step}. Checkpoints: {known}.",
            run=run.name,
            step=step,
            known=known,
        )
    if problem := index.verify(step):
        raise UnusableError(
            "checkpoint.damaged",
            f"The checkpoint of step {step} is damaged: {problem}. Choose another with --checkpoint ({known}).",
            step=step,
            problem=problem,
            known=known,
        )
    return step


def tokenizer_of(source: Source) -> PreTrainedTokenizerBase:
    """The base's, with the chat template the pairs were written in. Raises UnusableError if either has changed."""
    tokenizer = with_template(source.config, load_tokenizer(source.base))
    require_trained(source.run, tokenizer)
    return tokenizer


def identity(source: Source, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """All that decides what an export holds: an equal one would be written of the same."""
    manifest = source.index.manifest(source.step)
    template = json.dumps(tokenizer.chat_template, sort_keys=True).encode()
    return {
        "step": source.step,
        "config_digest": manifest.config_digest,
        "data_digest": manifest.data_digest,
        "model_digest": manifest.model_digest,
        "manifest": describe(source.index.path(source.step) / MANIFEST)["sha256"],
        "chat_template": hashlib.sha256(template).hexdigest(),
        "base": {"id": source.base.public_id, "commit": source.base.commit},
        "dtype": source.dtype,
        "adapter": source.adapter,
        "repo": source.repo,
        "made_with": {name: version(name) for name in ("dpo-tui", "transformers", "peft")},
    }
