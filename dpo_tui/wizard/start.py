"""From a draft to a run that trains on its own: the config saved, the directory made, the supervisor started."""

from dataclasses import dataclass
from pathlib import Path

from dpo_tui.sending import Wanted
from dpo_tui.setting_off import set_off, to_start
from dpo_tui.wizard.draft import Draft, FileInTheWay
from dpo_tui.wizard.naming import config_path, unused
from engine.launch.local import SupervisorCommand


@dataclass(frozen=True, slots=True)
class Started:
    """A run that nobody owns, and the file its config is in."""

    root: Path
    config: Path


def start(draft: Draft, command: SupervisorCommand, wanted: Wanted = lambda: True) -> Started:
    """Save the draft, and start its run. It blocks, for a job until the cluster has looked at it: so in a thread.

    Raises EngineError with what stands in the way; then no run has started. A job goes on while nobody `wanted` to
    know what the cluster says.
    """
    path = save(draft)
    run = set_off(to_start(path, runs_dir=draft.runs_dir), command, wanted)
    return Started(run.root, path)


def save(draft: Draft) -> Path:
    """Write the draft to its file. Where somebody else's is, to one with a number behind the name."""
    path = config_path(draft)
    try:
        draft.save(path)
    except FileInTheWay:  # it was changed on the disk since it was read, or came into being just now
        path = unused(path, draft.text.encode())
        draft.save(path)
    return path
