"""From a draft to a run that trains on its own: the config saved, the directory made, the supervisor started."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from dpo_tui.setting_off import set_off
from dpo_tui.starting import create, prepare
from dpo_tui.sweep import prepare_sweep, send
from dpo_tui.wizard.draft import Draft, FileInTheWay
from dpo_tui.wizard.naming import config_path, unused
from engine.exits import EnvironmentUnfitError
from engine.launch.local import SupervisorCommand


@dataclass(frozen=True, slots=True)
class Started:
    """A run that nobody owns, and the file its config is in."""

    root: Path
    config: Path


def start(draft: Draft, command: SupervisorCommand) -> Started:
    """Save the draft, and start its run. It blocks for the time of a few writes, so in a thread.

    Raises EngineError with what stands in the way; then no run has started.
    """
    runs_dir = draft.runs_dir
    path = save(draft)
    if sweep := prepare_sweep(path, runs_dir=runs_dir):
        send(sweep)
        return Started(sweep.runs[0].run.root, path)
    prepared = prepare(path, runs_dir=runs_dir)
    create(prepared)
    try:
        set_off(prepared.run, command)
    except BaseException as error:
        shutil.rmtree(prepared.run.root, ignore_errors=True)  # made a moment ago: Start may be tried again
        if isinstance(error, OSError):
            reason = error.strerror or str(error)
            text = f"the training process cannot be started: {reason}"
            raise EnvironmentUnfitError("launch.cannot_start", text, reason=reason) from error
        raise
    return Started(prepared.run.root, path)


def save(draft: Draft) -> Path:
    """Write the draft to its file. Where somebody else's is, to one with a number behind the name."""
    path = config_path(draft)
    try:
        draft.save(path)
    except FileInTheWay:  # it was changed on the disk since it was read, or came into being just now
        path = unused(path, draft.text.encode())
        draft.save(path)
    return path
