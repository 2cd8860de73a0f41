"""What a data report counts: reasons with their places, sources, lengths, warnings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DROPPED: Mapping[str, str] = {
    "excluded": "left out by exclude",
    "empty_chosen": "the chosen completion is empty",
    "empty_rejected": "the rejected completion is empty",
    "equal": "chosen and rejected are the same",
    "no_prompt": "no prompt comes before the completions",
    "histories_differ": "the two histories differ",
    "prompts_differ": "a completion does not begin with the assistant",
    "not_assistant": "the last message is not the assistant's",
    "template_refused": "the chat template refuses the conversation",
    "too_long": "longer than the limits",
    "oversized": "far more text than the limits let in",
    "no_room": "the prompt leaves no room for a completion",
    "equal_after_cut": "the same once cut to length",
    "tie": "annotators called it a tie",
    "margin": "the scores are closer than min_margin",
    "no_score": "no score to compare with min_margin",
    "unpaired": "no row with the opposite label has this prompt",
}
"""Every reason a pair is not trained on."""

CUT: Mapping[str, str] = {
    "prompt": "prompts lost their beginning",
    "chosen": "chosen completions lost their end",
    "rejected": "rejected completions lost their end",
}
PERCENTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}
BINS = 12
"""Of a histogram of lengths."""

PLACES = 20
"""Places remembered for each reason; the rest is only counted."""


@dataclass(slots=True)
class Tally:
    """How often something happened, and where the first times."""

    count: int = 0
    places: list[str] = field(default_factory=list)
    detail: str = ""

    def add(self, place: str, detail: str = "") -> None:
        self.count += 1
        self.detail = self.detail or detail
        if len(self.places) < PLACES:
            self.places.append(place)


@dataclass(slots=True)
class Excluded:
    """A value of `exclude` as the config has it, and the rows left out by it.

    near: where there are none, the value of the column that may have been meant.
    """

    column: str
    value: str
    rows: int = 0
    near: str = ""

    def __str__(self) -> str:
        return f"{self.column} = {self.value}"


@dataclass(slots=True)
class SourceReport:
    """One source: its format, and whether that was detected or given by name.

    joined: how many candidates its rows were brought together into, by formats that do so. excluded: what it leaves
    out. unread: columns of its rows that are for another training than this.
    """

    path: str
    format: str
    detected: bool
    files: int
    rows: int = 0
    kept: int = 0
    joined: int | None = None
    excluded: list[Excluded] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LengthBias:
    """How the chosen completions compare in tokens with the rejected ones, before anything is cut."""

    mean_chosen: float = 0.0
    mean_rejected: float = 0.0
    chosen_longer: float = 0.0  # share of the pairs
    rejected_longer: float = 0.0


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know before training: `code` and `params` are what the catalogues translate."""

    code: str
    text: str
    params: dict[str, Any]
