"""From `[data]` to two files of tokenised pairs and a report, once: a complete set with the same key is reused."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from transformers import PreTrainedTokenizerBase

from engine.config.schema import Config
from engine.data.collect import Collector, Progress
from engine.data.limits import Limits
from engine.data.pairs import PairStore, PairWriter
from engine.data.report import Report
from engine.data.sources import fingerprint
from engine.data.split import held_out
from engine.data.tallies import DROPPED
from engine.data.tokenize import Encoder, generation_stops, tokenizer_fingerprint
from engine.exits import UnusableError
from engine.rundir.files import read_json, write_json, writing

VERSION = 1
"""Of what preparing does: a set of another version is made again."""

TEMPLATE_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Prepared:
    """Pairs ready to train on; eval is None when none are held out."""

    train: PairStore
    eval: PairStore | None
    report: Report


def prepare(
    config: Config,
    tokenizer: PreTrainedTokenizerBase,
    out_dir: Path,
    progress: Progress = lambda _done, _total: None,
    should_stop: Callable[[], bool] = lambda: False,
    stop_ids: Iterable[int] | None = None,
) -> Prepared:
    """Read, encode and split the pairs of `config.data` into `train.arrow` and `eval.arrow` of `out_dir`.

    Raises `UnusableError` when no pair is left or fewer than one step takes, and what `make_pairs` raises.
    """
    prepared = make_pairs(config, tokenizer, out_dir, progress, should_stop, stop_ids)
    require_enough(prepared.report, config.train.pairs_per_step)
    return prepared


def make_pairs(
    config: Config,
    tokenizer: PreTrainedTokenizerBase,
    out_dir: Path,
    progress: Progress = lambda _done, _total: None,
    should_stop: Callable[[], bool] = lambda: False,
    stop_ids: Iterable[int] | None = None,
) -> Prepared:
    """As `prepare`, however few the pairs are.

    progress gets the rows done and their number, None while unknown. stop_ids: tokens at which the model stops
    besides EOS; those of its generation config when not given. Memory grows by some 60 bytes a pair.

    Raises `UnusableError` (a source, row or template that cannot be used), `HubError`, `UsageError`,
    `StopRequested` and `CannotWriteError`.
    """
    stops = sorted(set(generation_stops(tokenizer) if stop_ids is None else stop_ids))
    template = _chat_template(config.data.chat_template)
    key = _key(config, tokenizer, template, stops)
    prepared = _reusable(out_dir, key)
    if prepared is not None:
        return prepared
    limits = Limits(config.data.max_length, config.data.max_prompt_length, config.data.too_long)
    encoder = Encoder(tokenizer, limits, template, stops)
    return _make(config, encoder, out_dir, key, progress, should_stop)


def require_enough(report: Report, pairs_per_step: int) -> None:
    """Raise `UnusableError` when no pair is left, or fewer than one optimiser step takes."""
    if report.kept == 0:
        reasons = "; ".join(f"{tally.count:,} {DROPPED[name]}" for name, tally in report.dropped.items())
        text = f"None of the {report.rows:,} rows can be trained on: {reasons or 'there are none'}."
        raise UnusableError("data.nothing_left", text, rows=report.rows, reasons=reasons)
    if report.train < pairs_per_step:
        held = f" ({report.eval:,} more are held out for evaluation)" if report.eval else ""
        text = (
            f"There are {report.train:,} pairs to train on{held}, and one step takes {pairs_per_step:,}. "
            f"Set train.pairs_per_step to {report.train:,} or less, or add pairs."
        )
        raise UnusableError("data.too_few_pairs", text, pairs=report.train, pairs_per_step=pairs_per_step)


def _make(
    config: Config,
    encoder: Encoder,
    out_dir: Path,
    key: str,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> Prepared:
    with writing(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
        (out_dir / "report.json").unlink(missing_ok=True)  # written last: with it the set is complete
    report = Report(config.data.max_length, config.data.max_prompt_length)
    report.eval_wanted = config.data.eval_fraction > 0
    collected = out_dir / "collected.arrow"
    with PairWriter(collected) as writer:
        collector = Collector(encoder, writer, report, config.run.seed)
        for number, source in enumerate(config.data.sources):
            collector.read(number, source, progress, should_stop)
    mask = held_out(collector.finish(), config.data.eval_fraction)
    report.eval, report.train = int(mask.sum()), int((~mask).sum())
    _split(collected, mask, out_dir)
    write_json(out_dir / "report.json", {"key": key, "report": report.to_json()})
    return _open(out_dir, report)


def _split(collected: Path, mask: npt.NDArray[np.bool_], out_dir: Path) -> None:
    """Write the two sides from what was collected, a batch at a time and in its order; then delete that."""
    with (
        pa.OSFile(str(collected)) as file,
        PairWriter(out_dir / "train.arrow") as train,
        PairWriter(out_dir / "eval.arrow") as evaluation,
    ):
        reader = pa.ipc.open_file(file)
        begins = 0
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            held = mask[begins : begins + batch.num_rows]
            train.add_batch(batch.filter(pa.array(~held)))
            evaluation.add_batch(batch.filter(pa.array(held)))
            begins += batch.num_rows
    collected.unlink()


def _open(out_dir: Path, report: Report) -> Prepared:
    evaluation = PairStore.open(out_dir / "eval.arrow")
    return Prepared(PairStore.open(out_dir / "train.arrow"), evaluation if len(evaluation) else None, report)


def _reusable(out_dir: Path, key: str) -> Prepared | None:
    """The set in `out_dir` if it is complete and made from the same; else None."""
    record = read_json(out_dir / "report.json")
    if record is None or record.get("key") != key:
        return None
    report = Report.from_json(record.get("report"))
    if report is None:
        return None
    try:
        prepared = _open(out_dir, report)
    except UnusableError:
        return None
    counts = (len(prepared.train), len(prepared.eval) if prepared.eval else 0)
    return prepared if counts == (report.train, report.eval) else None


def _key(config: Config, tokenizer: PreTrainedTokenizerBase, template: str | None, stops: list[int]) -> str:
    """Sha256 hex over everything that decides what the prepared files hold."""
    parts: dict[str, Any] = {
        "version": VERSION,
        "data": config.data.model_dump(mode="json"),
        "seed": config.run.seed,
        "tokenizer": tokenizer_fingerprint(tokenizer),
        "template": template,
        "stops": stops,
        "sources": [fingerprint(source) for source in config.data.sources],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _chat_template(name: str | None) -> str | None:
    """The text of the config's chat template file. Raises `UnusableError` when it cannot be read."""
    if name is None:
        return None
    path = Path(name).expanduser()
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(TEMPLATE_LIMIT + 1)
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "not UTF-8"
        problem = (
            f"data.chat_template: {path} cannot be read: {cause}. Name a text file with a Jinja template."
        )
        raise UnusableError("data.bad_chat_template", problem, path=str(path), cause=cause) from error
    if len(text) > TEMPLATE_LIMIT or not text.strip():
        problem = f"data.chat_template: {path} is {'empty' if not text.strip() else 'larger than 1 MiB'}."
        raise UnusableError("data.bad_chat_template", problem, path=str(path), cause="size")
    return text
