"""The look through all rows before anything slow: what cannot be understood is found in seconds, with file and line."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.config.schema import Source
from engine.data.formats.format import Format
from engine.data.formats.table import format_named
from engine.data.reading import Reading
from engine.data.watch import Watch


@dataclass(frozen=True, slots=True)
class Scanned:
    """What the look through a source told: its layout, and how many candidates it has, None if it is streamed."""

    layout: Format
    candidates: int | None


def scan(sources: Sequence[Source], watch: Watch, scratch: Path) -> list[Scanned]:
    """Read every row of every source through the checks of its layout; of streamed ones the first rows.

    Raises `UnusableError` for the first row or source that cannot be used, and what opening a source raises.
    """
    for source in sources:
        if source.format != "auto":
            format_named(source.format)
    scanned: list[Scanned] = []
    done = 0
    for number, source in enumerate(sources):
        watch.poll()
        reading = Reading(source, watch.part(done), scratch / f"scan-{number}")
        scanned.append(Scanned(reading.layout, None if source.streaming else _count(reading)))
        done += reading.rows
        watch.progress(done, None)
    return scanned


def _count(reading: Reading) -> int:
    count = 0
    for _ in reading.candidates():
        count += 1
    reading.require_scores()
    return count
