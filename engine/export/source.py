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
from engine.extras import require_extras
from engine.models.families import family_in
from engine.models.families.family import Family
from engine.models.load import load_tokenizer
from engine.models.resolve import ResolvedModel, resolve
from engine.pins import pinned
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.manifest import MANIFEST, describe
from engine.rundir.paths import RunDir

Checkpoint = Literal["latest", "best"] | int
Layout = Literal["original", "native"]
"""Of a model of a family (`engine.models.families`): as its authors have it, or as transformers has its twin."""


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
    layout: Layout
    target: Path
    repo: str | None
    """The repo it will be uploaded to: the card names it, and no directory of this machine is in the files."""

    @property
    def family(self) -> Family | None:
        """The family of its base; None for a model that transformers loads by itself."""
        return None if self.base.gguf_file else family_in(self.base.path)

    @property
    def keeps_layout(self) -> bool:
        """Whether the base's own names and files are kept: those that transformers does not write by itself."""
        return self.family is not None and self.layout == "original" and not self.adapter

    @property
    def needs_own_code(self) -> bool:
        """Whether transformers loads the export by code of the base's authors only."""
        return self.keeps_layout or self.base.trust_remote_code

    @property
    def adapter_family(self) -> str | None:
        """Of an adapter alone: the kind of a base that plain transformers does not read without code of its repo."""
        return self.family.kind if self.adapter and self.family else None

    @property
    def adapter_four_bits(self) -> str | None:
        """Of an adapter alone: what its base computes in, where it was trained in 4 bits."""
        model = self.config.model
        return model.exported_dtype if self.adapter and model.quantization else None


def find_source(
    run: RunDir,
    checkpoint: Checkpoint,
    dtype: str | None,
    adapter: bool,
    target: Path,
    repo: str | None,
    layout: Layout | None = None,
) -> Source:
    """What to export of a run. Raises UsageError, UnusableError, HubError."""
    config = load_config(run.config).config
    require_extras(config)
    if adapter and layout:
        raise UsageError(
            "export.adapter_layout",
            f"--layout {layout} is of a whole model, and an adapter alone has no layout. Leave out --layout, or export "
            "the merged model with --no-adapter.",
            layout=layout,
        )
    config = pinned(config, run)
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
        layout=layout or config.export.layout,
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
        "base": _base(source.base),
        "dtype": source.dtype,
        "adapter": source.adapter,
        "layout": source.layout,
        "own_code": source.needs_own_code,
        "family": source.adapter_family,
        "four_bits": source.adapter_four_bits,
        "repo": source.repo,
        "made_with": {name: version(name) for name in ("dpo-tui", "transformers", "peft")},
    }


def _base(base: ResolvedModel) -> dict[str, str | None]:
    """Which model it is of; one of ModelScope is no other's namesake."""
    named = {"id": base.public_id, "commit": base.commit}
    return {**named, "source": base.source} if base.source == "modelscope" else named
