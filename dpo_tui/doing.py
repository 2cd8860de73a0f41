"""What a run that has not ended does now, as the name of a state: a run that saves or exports no longer trains."""

from dpo_tui.metrics.phases import Phase

_LAST = {"eval": "evaluating", "save": "saving"}
"""Phases that are worth naming once no step is left: before that they come and go within the training."""

_WRITTEN, _PROVED = 3, 4
"""Parts of an export that are over once the folder is written, and once it has been verified."""

WORDS = (*_LAST.values(), "exporting", "verifying", "uploading", "finishing")
"""All that `doing` may say beside a status."""


def doing(state: str, phase: Phase | None, *, trained: bool) -> str:
    """The state, or what says more than `running`. `trained`: the last step is done."""
    if state != "running":
        return state
    if phase is not None and phase.name == "export":
        return _exporting(phase.done or 0)
    if not trained:
        return state
    return "finishing" if phase is None else _LAST.get(phase.name, state)


def _exporting(parts: int) -> str:
    if parts < _WRITTEN:
        return "exporting"
    return "verifying" if parts < _PROVED else "uploading"
