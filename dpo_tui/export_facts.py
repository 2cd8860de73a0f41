"""What an export of a run has to choose from, and whether a choice can be carried out."""

import os
from dataclasses import dataclass
from pathlib import Path

from dpo_tui.export_story import RECORD, result_of
from dpo_tui.text import t
from engine.config.local import expanded
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.files import number
from engine.rundir.manifest import UnreadableManifestError
from engine.rundir.paths import RunDir

DTYPES = ("bfloat16", "float16", "float32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint, with its evaluation where it had one."""

    step: int
    loss: float | None
    accuracy: float | None
    latest: bool
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFacts:
    """What there is, and what the run's config would choose."""

    checkpoints: tuple[Checkpoint, ...]
    """The newest first."""
    damaged: tuple[tuple[int, str], ...]
    """Steps whose manifests cannot be read, and why not."""
    step: int | None
    lora: bool
    adapter: bool
    dtype: str
    to: Path
    push: str | None
    private: bool


def read_facts(run: RunDir) -> ExportFacts:
    """All of it from the run's config and manifests; no checkpoint is read. Raises ConfigError, OSError."""
    from engine.config.load import load_config

    config = load_config(run.config).config
    found, damaged = _checkpoints(CheckpointIndex(run.checkpoints_dir))
    wanted = next((c.step for c in found if c.best and config.export.checkpoint == "best"), None)
    return ExportFacts(
        checkpoints=tuple(found),
        damaged=tuple(damaged),
        step=wanted if wanted is not None else found[0].step if found else None,
        lora=config.model.lora is not None,
        adapter=config.export.adapter,
        dtype=config.export.dtype or config.model.exported_dtype,
        to=expanded(config.export.to) if config.export.to else run.export_dir,
        push=config.export.push,
        private=config.export.private,
    )


def _checkpoints(index: CheckpointIndex) -> tuple[list[Checkpoint], list[tuple[int, str]]]:
    found: list[Checkpoint] = []
    damaged: list[tuple[int, str]] = []
    best = index.best()
    for step in reversed(index.steps()):
        try:
            metrics = index.manifest(step).metrics
        except UnreadableManifestError as error:
            damaged.append((step, str(error)))
            continue
        found.append(
            Checkpoint(
                step=step,
                loss=number(metrics.get("eval_loss")),
                accuracy=number(metrics.get("eval_rewards/accuracies")),
                latest=not found,
                best=step == best,
            )
        )
    return found, damaged


def folder_problem(typed: str) -> str:
    """Why nothing can be exported to a folder; empty where it can. The engine looks again, and closer."""
    if not typed.strip():
        return t("export.folder.empty")
    path = expanded(typed.strip()).absolute()
    if path in (Path(path.anchor), expanded("~")):
        return t("export.folder.home")
    try:
        names = os.listdir(path)
    except FileNotFoundError:
        return ""
    except NotADirectoryError:
        return t("export.folder.file")
    except (OSError, ValueError) as error:
        return t("export.folder.unreadable", problem=getattr(error, "strerror", None) or error)
    if ".git" in names:
        return t("export.folder.git")
    if names and RECORD not in names:
        return t("export.folder.occupied", name=min(names))
    return ""


def replaced_export(typed: str) -> str:
    """What is said of an export that the folder holds, and another would take the place of; empty where none does."""
    found = result_of(expanded(typed.strip()).absolute()) if typed.strip() else None
    if found is None or found.step is None or found.dtype is None:
        return ""
    return t("export.folder.replaces", what=in_words(found.step, found.adapter, found.dtype))


def in_words(step: int, adapter: bool, dtype: str) -> str:
    """What an export is of."""
    kind = t(f"export.kind.{'adapter' if adapter else 'merged'}")
    return f"step-{step} · {kind} · {dtype}"
