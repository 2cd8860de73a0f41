"""From a checkpoint to an ordinary Hugging Face model: a folder that any tool of the field loads."""

import argparse
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from engine.config.load import load_config
from engine.exits import Exit, HubError, UnusableError, UsageError
from engine.export.files import Source, check_written, write_model, write_words
from engine.export.folder import export_folder, require_space, require_target, staged
from engine.models.adapters import add_lora
from engine.models.hub import require_repo_id, upload
from engine.models.load import LoadedModel, load_model, load_tokenizer
from engine.models.quiet import quiet_libraries, talk_on_stderr
from engine.models.resolve import resolve
from engine.models.weights import WEIGHTS_FILE, load_trained
from engine.rounding import DTYPES, to_dtype
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.paths import RunDir

Checkpoint = Literal["latest", "best"] | int
Progress = Callable[[int, int], None]

STAGES = 5


def export(
    run: RunDir,
    *,
    checkpoint: Checkpoint = "latest",
    to: Path | None = None,
    dtype: str | None = None,
    adapter: bool = False,
    push: str | None = None,
    private: bool = True,
    progress: Progress | None = None,
) -> Path:
    """Writes the model of a checkpoint to a folder, and uploads that to `push` if given; returns the folder.

    `progress(done, total)` counts stages. Raises UsageError (a folder that is not ours, no such checkpoint),
    UnusableError (a checkpoint that does not verify or fit), CannotWriteError, HubError; the folder is whole or
    untouched in every case, and stays when only the upload fails.
    """
    tell = progress or _silent
    target = require_target(to or run.export_dir)
    if push:
        require_repo_id(push)
    source = _source(run, checkpoint, dtype, adapter)
    tell(1, STAGES)
    tokenizer = _tokenizer(source)
    loaded = load_model(source.base)
    _require_same_base(loaded, source)
    _require_space(target, loaded.model, source)
    model = _trained_model(loaded, source)
    tell(2, STAGES)
    with staged(target) as folder:
        write_model(folder, model, tokenizer, source)
        tell(3, STAGES)
        write_words(folder, source, push)
        check_written(folder, source)
    tell(4, STAGES)
    if push:
        _push(target, push, private, _again(source, checkpoint, target, push, private))
    tell(STAGES, STAGES)
    return target


def _silent(_done: int, _total: int) -> None:
    """Progress nobody asked for."""


def _source(run: RunDir, checkpoint: Checkpoint, dtype: str | None, adapter: bool) -> Source:
    config = load_config(run.config).config
    if adapter and config.model.lora is None:
        raise UsageError(
            "export.no_adapter",
            f"{run.name} trained all weights: there is no adapter to export. Leave out --adapter.",
        )
    index = CheckpointIndex(run.checkpoints_dir)
    step = _choose(index, checkpoint, run)
    return Source(
        run=run,
        config=config,
        index=index,
        step=step,
        base=resolve(config.model),
        dtype=dtype or config.export.dtype or config.model.dtype,
        adapter=adapter,
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
        )
    if step not in steps:
        raise UsageError(
            "export.no_such_checkpoint",
            f"{run.name} has no checkpoint of step {step}. Checkpoints: {known}.",
            run=run.name,
        )
    if problem := index.verify(step):
        raise UnusableError(
            "checkpoint.damaged",
            f"The checkpoint of step {step} is damaged: {problem}. Choose another with --checkpoint ({known}).",
            step=step,
            problem=problem,
        )
    return step


def _tokenizer(source: Source) -> PreTrainedTokenizerBase:
    """The base's, with the chat template the pairs were written in."""
    tokenizer = load_tokenizer(source.base)
    if path := source.config.data.chat_template:
        tokenizer.chat_template = Path(path).read_text(encoding="utf-8")
    return tokenizer


def _require_same_base(loaded: LoadedModel, source: Source) -> None:
    """An adapter on another base is another model. Weights trained in full need nothing of their base."""
    if source.config.model.lora and loaded.fingerprint != source.index.manifest(source.step).model_digest:
        raise UnusableError(
            "export.base_changed",
            f"{source.base.id} is not the model that {source.run.name} was trained on: its weights have changed. "
            "Pin it with `revision` in [model], or put the old files back.",
            id=source.base.id,
        )


def _require_space(target: Path, model: PreTrainedModel, source: Source) -> None:
    count = 0 if source.adapter else sum(parameter.numel() for parameter in model.parameters())
    require_space(target, count * DTYPES[source.dtype].itemsize)


def _trained_model(loaded: LoadedModel, source: Source) -> PreTrainedModel | PeftModel:
    """The base with the checkpoint's weights, in the exported type; LoRA is merged in fp32, then cast."""
    weights = source.index.path(source.step) / WEIGHTS_FILE
    for name, value in loaded.published_config.items():
        setattr(loaded.model.config, name, value)
    model: PreTrainedModel | PeftModel = loaded.model
    if lora := source.config.model.lora:
        model = add_lora(loaded.model, lora, source.config.run.seed)
    load_trained(model, weights)
    if isinstance(model, PeftModel):
        _name_base(model, source)
        model = model if source.adapter else model.merge_and_unload()
    for parameter in model.parameters():  # weights only: rotary frequencies lose whole positions in bf16
        parameter.data = to_dtype(parameter.data, DTYPES[source.dtype])
    return model


def _name_base(adapted: PeftModel, source: Source) -> None:
    """What the adapter says it belongs to. A local base keeps its path: nobody could load the adapter without."""
    base = source.base
    for config in adapted.peft_config.values():
        config.base_model_name_or_path = base.public_id if base.source != "local" else str(base.path)
        config.revision = base.commit


def _again(source: Source, checkpoint: Checkpoint, target: Path, repo: str, private: bool) -> str:
    """The command that does the same export once more: what the run's config does not say stands in it."""
    settings = source.config.export
    words = ["dpo-tui", "export", str(source.run.root), "--push", repo]
    if not private:
        words += ["--public"]
    if target != export_folder(source.run, source.config).expanduser().resolve():
        words += ["--to", str(target)]
    if checkpoint != settings.checkpoint:
        words += ["--checkpoint", str(checkpoint)]
    if source.dtype != (settings.dtype or source.config.model.dtype):
        words += ["--dtype", source.dtype]
    if source.adapter != settings.adapter:
        words += ["--adapter" if source.adapter else "--no-adapter"]
    return shlex.join(words)


def _push(folder: Path, repo: str, private: bool, again: str) -> None:
    try:
        upload(folder, repo, private=private)
    except HubError as error:
        text = f"{error.text} The export is in {folder}; to try again: {again}"
        raise HubError(error.code, text, **{**error.params, "path": str(folder)}) from error


def main(argv: Sequence[str]) -> Exit:
    """`python -m engine export DIR ...`: the folder on stdout, everything else on stderr. Raises what `export` does."""
    options = _parser().parse_args(argv)
    run = RunDir(options.run.expanduser().resolve())
    config = load_config(run.config).config
    settings = config.export
    quiet_libraries()
    with talk_on_stderr():
        folder = export(
            run,
            checkpoint=settings.checkpoint if options.checkpoint is None else options.checkpoint,
            to=options.to or export_folder(run, config),
            dtype=options.dtype,
            adapter=settings.adapter if options.adapter is None else options.adapter,
            push=options.push,
            private=settings.private and not options.public,
        )
    print(folder)
    return Exit.DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m engine export", description="Write a run's model.")
    parser.add_argument("run", type=Path, metavar="DIR", help="run directory")
    parser.add_argument("--checkpoint", type=_checkpoint, help="latest, best, or a step")
    parser.add_argument("--to", type=Path, metavar="DIR", help="folder to write; the run's own by default")
    parser.add_argument("--dtype", choices=sorted(DTYPES), help="type of the weights")
    parser.add_argument("--adapter", action=argparse.BooleanOptionalAction, help="the LoRA adapter alone")
    parser.add_argument("--push", metavar="REPO", help="upload to this repo of the Hugging Face hub")
    parser.add_argument("--public", action="store_true", help="let everyone see the uploaded repo")
    return parser


def _checkpoint(text: str) -> Checkpoint:
    if text in ("latest", "best"):
        return text  # type: ignore[return-value]
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"latest, best or a step, not {text!r}")
    return int(text)
