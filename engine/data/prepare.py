"""From `[data]` to two files of tokenised pairs and a report, once: a complete set with the same key is reused."""

import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from transformers import PreTrainedTokenizerBase

from engine.config.local import expanded
from engine.config.schema import Config
from engine.data.collect import Collector
from engine.data.encoding.encoder import Encoder, generation_stops
from engine.data.encoding.limits import Limits
from engine.data.prepared import cache as prepared_cache
from engine.data.prepared.key import Key, prepared_key, require_unchanged
from engine.data.prepared.pairs import PairWriter, as_arrow
from engine.data.prepared.prepared_set import EVAL, RECORD, TRAIN, Prepared, complete, find_set, open_set
from engine.data.prepared.split import held_out
from engine.data.report.report import Report
from engine.data.report.tallies import DROPPED
from engine.data.scan import scan
from engine.data.watch import Progress, Watch, never, nobody
from engine.exits import UnusableError
from engine.rundir.files import writing

TEMPLATE_LIMIT = 1 << 20
SCRATCH = ".scratch"
COLLECTED = "collected.arrow"
UNWATCHED = Watch()


def prepare(
    config: Config,
    tokenizer: PreTrainedTokenizerBase,
    out_dir: Path,
    progress: Progress = nobody,
    should_stop: Callable[[], bool] = never,
    stop_ids: Iterable[int] | None = None,
) -> Prepared:
    """Read, encode and split the pairs of `config.data` into `train.arrow` and `eval.arrow` of `out_dir`.

    Raises `UnusableError` when no pair is left or fewer than one step takes, and what `make_pairs` raises.
    """
    prepared = make_pairs(config, tokenizer, out_dir, Watch(progress, should_stop), stop_ids)
    require_enough(prepared.report, config.train.pairs_per_step)
    return prepared


def make_pairs(
    config: Config,
    tokenizer: PreTrainedTokenizerBase,
    out_dir: Path,
    watch: Watch = UNWATCHED,
    stop_ids: Iterable[int] | None = None,
    *,
    shared: bool = True,
) -> Prepared:
    """As `prepare`, however few the pairs are.

    All rows are looked through before any is encoded. stop_ids: tokens at which the model stops besides EOS; those
    of its generation config when not given. shared: take the pairs of another run where they are the same, and keep
    these for others. Memory grows by some 60 bytes a pair.

    Raises `UnusableError` (a source, row or template that cannot be used), `HubError`, `UsageError`,
    `StopRequested` and `CannotWriteError`.
    """
    stops = generation_stops(tokenizer) if stop_ids is None else stop_ids
    template = read_chat_template(config.data.chat_template)
    limits = Limits(config.data.max_length, config.data.max_prompt_length, config.data.too_long)
    encoder = Encoder(tokenizer, limits, template, stops)
    key = prepared_key(config, encoder, template)
    key = key if shared else replace(key, shared=None)
    found = find_set(out_dir, key.own)
    if found is None and key.shared is not None:
        found = prepared_cache.fetch(key.shared, key.own, out_dir)
    return found or _make(config, encoder, out_dir, key, watch)


def require_enough(report: Report, pairs_per_step: int) -> None:
    """Raise `UnusableError` when no pair is left, or fewer than one optimiser step takes."""
    if report.kept == 0:
        reasons = "; ".join(f"{tally.count:,} {DROPPED[name]}" for name, tally in report.dropped.items())
        text = f"None of the {report.rows:,} rows can be trained on: {reasons or 'there are none'}."
        counts = {name: tally.count for name, tally in report.dropped.items()}
        case = "" if counts else "empty"
        raise UnusableError(
            "data.nothing_left", text, rows=report.rows, reasons=reasons, dropped=counts, case=case
        )
    if report.train < pairs_per_step:
        held = f" ({report.eval:,} more are held out for evaluation)" if report.eval else ""
        text = (
            f"There are {report.train:,} pairs to train on{held}, and one step takes {pairs_per_step:,}. "
            f"Set train.pairs_per_step to {report.train:,} or less, or add pairs."
        )
        raise UnusableError("data.too_few_pairs", text, pairs=report.train, pairs_per_step=pairs_per_step)


def _make(config: Config, encoder: Encoder, out_dir: Path, key: Key, watch: Watch) -> Prepared:
    with writing(out_dir):
        out_dir.mkdir(parents=True, exist_ok=True)
        (out_dir / RECORD).unlink(missing_ok=True)
    scratch = out_dir / SCRATCH
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        report, mask = _collect(config, encoder, out_dir, scratch, watch)
        require_unchanged(config, key)
        _split(out_dir / COLLECTED, mask, out_dir)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        (out_dir / COLLECTED).unlink(missing_ok=True)
    complete(out_dir, key.own, report)
    notice = prepared_cache.store(key.shared, key.own, out_dir) if key.shared is not None else None
    report.notices.extend([notice] if notice else [])
    return open_set(out_dir, report)


def _collect(
    config: Config, encoder: Encoder, out_dir: Path, scratch: Path, watch: Watch
) -> tuple[Report, npt.NDArray[np.bool_]]:
    """All pairs in one file, the report on them, and a mask of those held out for evaluation."""
    sources = config.data.sources
    scanned = scan(sources, watch, scratch)
    counts = [known.candidates for known in scanned]
    total = None if None in counts else sum(filter(None, counts))
    report = Report(config.data.max_length, config.data.max_prompt_length)
    report.eval_wanted = config.data.eval_fraction > 0
    done = 0
    with PairWriter(out_dir / COLLECTED) as writer:
        collector = Collector(encoder, writer, report, config.run.seed)
        for number, (source, known) in enumerate(zip(sources, scanned, strict=True)):
            folder = scratch / f"read-{number}"
            done += collector.read(number, source, known.layout, watch.part(done, total), folder)
    mask = held_out(collector.finish(), config.data.eval_fraction)
    report.eval, report.train = int(mask.sum()), int((~mask).sum())
    return report, mask


def _split(collected: Path, mask: npt.NDArray[np.bool_], out_dir: Path) -> None:
    """Write the two sides from what was collected, a batch at a time and in its order."""
    with (
        pa.OSFile(str(collected)) as file,
        PairWriter(out_dir / TRAIN) as train,
        PairWriter(out_dir / EVAL) as evaluation,
    ):
        reader = pa.ipc.open_file(file)
        begins = 0
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            held = mask[begins : begins + batch.num_rows]
            train.add_batch(batch.take(as_arrow(np.flatnonzero(~held))))
            evaluation.add_batch(batch.take(as_arrow(np.flatnonzero(held))))
            begins += batch.num_rows


def read_chat_template(name: str | None) -> str | None:
    """The text of the config's chat template file. Raises `UnusableError` when it cannot be read."""
    if name is None:
        return None
    path = expanded(name)
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
