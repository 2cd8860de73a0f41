"""What became of the rows: kept, cut and dropped with reasons and places, lengths, and what looks wrong."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter, ValidationError

from engine.data.report import text
from engine.data.report.tallies import BINS, PERCENTILES, LengthBias, Notice, SourceReport, Tally


@dataclass(slots=True)
class Report:
    """The whole account. Rows that repeat another one exactly are kept, and counted as `duplicates`.

    lengths: tokens before cutting, of all pairs that were tokenised, by part and percentile. histograms: how many of
    them fall into each of `BINS` equal bins from 0 to the p99 of the part. text_for_chat: pairs of
    plain text for a model with a chat template. tools_lost: pairs with tools that the template does not show.
    notices: what happened on the way, besides the rows.
    """

    max_length: int
    max_prompt_length: int
    rows: int = 0
    kept: int = 0
    train: int = 0
    eval: int = 0
    eval_wanted: bool = False
    sources: list[SourceReport] = field(default_factory=list)
    dropped: dict[str, Tally] = field(default_factory=dict)
    cut: dict[str, Tally] = field(default_factory=dict)
    duplicates: Tally = field(default_factory=Tally)
    lengths: dict[str, dict[str, int]] = field(default_factory=dict)
    histograms: dict[str, list[int]] = field(default_factory=dict)
    length_bias: LengthBias = field(default_factory=LengthBias)
    text_for_chat: Tally = field(default_factory=Tally)
    tools_lost: Tally = field(default_factory=Tally)
    notices: list[Notice] = field(default_factory=list)

    def drop(self, reason: str, place: str, detail: str = "") -> None:
        """Count a dropped row; `reason` is a key of `tallies.DROPPED`."""
        self.dropped.setdefault(reason, Tally()).add(place, detail)

    @property
    def dropped_count(self) -> int:
        return sum(tally.count for tally in self.dropped.values())

    @property
    def excluded_count(self) -> int:
        return sum(value.rows for source in self.sources for value in source.excluded)

    @property
    def lost_count(self) -> int:
        """Rows dropped though nobody asked for it: all but those of `exclude`."""
        return self.dropped_count - self.excluded_count

    @property
    def candidates(self) -> int:
        """Pairs there might have been: the rows less those of `exclude`, but where rows are joined what they were
        joined into."""
        return self.kept + self.lost_count

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON, with the warnings; `from_json` reads them back."""
        return {**asdict(self), "warnings": [asdict(notice) for notice in self.warnings()]}

    @classmethod
    def from_json(cls, value: Any) -> "Report | None":
        """A report out of `to_json`'s values; None if they are none."""
        if not isinstance(value, dict):
            return None
        try:
            return _ADAPTER.validate_python({key: entry for key, entry in value.items() if key != "warnings"})
        except ValidationError:
            return None

    def warnings(self) -> list[Notice]:
        """What a person should know before training on this."""
        return text.notices(self)

    def render(self) -> str:
        """The report as plain text of at most 40 lines, free of control characters."""
        return text.render(self)


_ADAPTER = TypeAdapter(Report)


def percentiles(lengths: npt.NDArray[np.int32]) -> dict[str, int]:
    """The smallest length that at least p per cent of the pairs do not exceed, for each of `PERCENTILES`."""
    if not len(lengths):
        return dict.fromkeys(PERCENTILES, 0)
    values = np.percentile(lengths, list(PERCENTILES.values()), method="inverted_cdf")
    return {name: int(value) for name, value in zip(PERCENTILES, values, strict=True)}


def histogram(lengths: npt.NDArray[np.int32]) -> list[int]:
    """[BINS] counts of the lengths in equal bins from 0 to their p99; the few beyond it are left out."""
    last = max(1, percentiles(lengths)["p99"])
    return [int(count) for count in np.histogram(lengths, BINS, (0, last))[0]]


def length_bias(chosen: npt.NDArray[np.int32], rejected: npt.NDArray[np.int32]) -> LengthBias:
    """Compare the completions' lengths pair by pair."""
    if not len(chosen):
        return LengthBias()
    return LengthBias(
        mean_chosen=round(float(chosen.mean()), 1),
        mean_rejected=round(float(rejected.mean()), 1),
        chosen_longer=round(float((chosen > rejected).mean()), 4),
        rejected_longer=round(float((rejected > chosen).mean()), 4),
    )
