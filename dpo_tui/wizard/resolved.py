"""What a config comes to, in eight lines."""

from collections.abc import Iterator
from math import prod
from pathlib import Path

from dpo_tui.text import t
from dpo_tui.wizard.kinds import shown
from dpo_tui.wizard.naming import near
from engine.config.schema import HUBS, Config, Source
from engine.sanitize import one_line

Line = tuple[str, str]
"""What it is about, and the choice."""

LINES = 8
"""As many as there are questions: model, data, loss, length, learning rate, where, run, export."""


def resolved(config: Config, root: Path) -> list[Line]:
    """The choices as a person would tell them: label and text, eight of them."""
    return [(t(f"wizard.review.{name}"), one_line(text)) for name, text in _lines(config, root)]


def _lines(config: Config, root: Path) -> Iterator[Line]:
    yield "model", _model(config)
    yield "data", _data(config)
    yield "loss", _loss(config)
    yield "steps", _steps(config)
    yield "rate", _rate(config)
    yield "where", _where(config)
    yield (
        "run",
        t("wizard.review.run_text", root=near(root), every=config.train.save_every, keep=config.train.keep),
    )
    yield "export", _export(config)


def _where(config: Config) -> str:
    launch = config.launch
    if launch.launcher == "local":
        return t("wizard.review.where_text", devices=launch.devices)
    job = launch.job
    sweep = prod(map(len, (job.array or {}).values()))
    return _joined(
        t("wizard.review.where_slurm", nodes=job.nodes, processes=launch.per_node),
        *([job.partition] if job.partition else []),
        *([t("wizard.review.where_sweep", count=sweep)] if job.array else []),
    )


def _model(config: Config) -> str:
    lora = config.model.lora
    how = t("wizard.review.all_weights") if lora is None else t("wizard.review.lora", rank=lora.rank)
    if config.model.quantization:
        how = t("wizard.review.in_4_bits", lora=how)
    return _joined(config.model.id, t(f"wizard.source.{config.model.source}"), how, config.model.dtype)


def _data(config: Config) -> str:
    sources = config.data.sources
    first = _source(sources[0])
    more = [t("wizard.review.more", count=len(sources) - 1)] if len(sources) > 1 else []
    return _joined(first, *more, t("wizard.review.length", tokens=f"{config.data.max_length:,}"))


def _source(source: Source) -> str:
    of = [] if source.source == "hub" else [t(f"wizard.source.{source.source}")]
    part = [source.split] if source.source in HUBS else []
    limit = [t("wizard.review.limit", rows=f"{source.limit:,}")] if source.limit else []
    return _joined(source.path, *of, *part, *limit)


def _loss(config: Config) -> str:
    of = config.objective
    smoothing = [t("wizard.review.smoothing", share=shown(of.label_smoothing))] if of.label_smoothing else []
    return _joined(of.loss, f"beta {shown(of.beta)}", *smoothing)


def _steps(config: Config) -> str:
    of = config.train
    length = (
        t("wizard.review.epochs", epochs=shown(of.epochs))
        if of.max_steps is None
        else t("wizard.review.max_steps", steps=f"{of.max_steps:,}")
    )
    return _joined(length, t("wizard.review.batch", pairs=of.pairs_per_step))


def _rate(config: Config) -> str:
    of = config.optimizer
    warmup = t("wizard.review.warmup", share=shown(round(of.warmup_ratio * 100, 3)))
    return _joined(shown(of.learning_rate), of.schedule, warmup)


def _export(config: Config) -> str:
    of = config.export
    if not of.enabled:
        return t("wizard.review.no_export")
    place = of.to or t("wizard.review.export_here")
    return _joined(place, *([t("wizard.review.push", repo=of.push)] if of.push else []))


def _joined(*parts: str) -> str:
    return "  ·  ".join(parts)
