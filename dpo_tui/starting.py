"""From a config to a run directory: which run is meant, whether it may start, and the directory itself."""

import os
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dpo_tui.runs import effective_state, is_live, is_run, read_final, resume_command, resume_hint
from engine.config.load import differences, load_config, resolved_toml
from engine.config.local import absolute, require_inputs
from engine.config.relaunch import relaunched
from engine.config.schema import RUN_NAME, Config
from engine.config.strings import string_faults
from engine.exits import UsageError
from engine.rundir.checkpoints import CheckpointIndex
from engine.rundir.files import write_synced, write_whole, writing
from engine.rundir.paths import RunDir
from engine.sanitize import one_line


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that may start. Nothing is written yet."""

    run: RunDir
    config: Config
    """What the run will train: with its own name and directory, and absolute paths."""
    resuming: bool
    export_ignored: bool = False
    """The config given asks for another export than the run's own config, which wins."""
    relaunched: bool = False
    """The config given asks for other devices than the run had, and gets them: `make_ready` writes that down."""

    @property
    def on_cluster(self) -> bool:
        """Whether a job carries it, not a process of this machine."""
        return self.config.launch.launcher == "slurm"

    @property
    def done(self) -> bool:
        """Whether it is a finished run that is to be resumed: nothing is left to do."""
        status = read_final(self.run) if self.resuming else None
        return status is not None and status.state == "done"


def prepare(
    path: Path,
    *,
    run_name: str | None = None,
    runs_dir: Path | None = None,
    overrides: Sequence[str] = (),
    resume: bool = False,
) -> Prepared:
    """Find out what to start for the config at `path`, or for the run there when it is to be resumed.

    Raises UsageError, ConfigError among them, and UnusableError for local files that are not there.
    """
    path = _config_of_run(path, resume=resume)
    config = load_config(path, overrides).config
    run = locate(path, config, run_name, runs_dir)
    if is_live(run):
        where = shlex.quote(str(run.root))
        text = f"{run.name} is running: `dpo-tui attach {where}` follows it, `dpo-tui stop {where}` stops it"
        raise UsageError("run.live", text, run=str(run.root), where=where)
    if resume:
        return _resumed(run, config)
    if occupied(run.root):
        text = f"{run.root} exists already: {_way_out(run)}{_start_over(run)}"
        raise UsageError("run.exists", text, run=str(run.root), case="run" if is_run(run.root) else "")
    config = placed(config, run)
    require_inputs(config)
    return Prepared(run, config, resuming=False)


def _config_of_run(path: Path, *, resume: bool) -> Path:
    """The config of the run in directory `path`; `path` itself where there is none."""
    if not os.path.isdir(path) or not is_run(path):  # `Path.is_dir` raises for a name that is too long
        return path
    config = path / "config.toml"
    if not resume:
        text = (
            f"{path} is a run, not a config: --resume goes on with it, "
            f"`dpo-tui attach {shlex.quote(str(path))}` shows it, and "
            f"`dpo-tui --headless {shlex.quote(str(config))} --run NAME` starts another like it"
        )
        raise UsageError("run.no_config", text, run=str(path), where=shlex.quote(str(path)))
    return config


def locate(path: Path, config: Config, run_name: str | None, runs_dir: Path | None) -> RunDir:
    """The run meant by a config: a run's own `config.toml` means that run, wherever it was moved to."""
    if run_name is None and runs_dir is None and (own := run_of_config(path)) is not None:
        return own
    if run_name is not None and not re.fullmatch(RUN_NAME, run_name):
        text = f"--run {run_name}: a run's name is letters, digits, '.', '_' and '-', at most 64"
        raise UsageError("run.bad_name", text, name=run_name)
    name = run_name or config.run.name or _name_from(path)
    return RunDir(root_in(config.run.dir if runs_dir is None else runs_dir, name))


def run_of_config(path: Path) -> RunDir | None:
    """The run whose own config this is; None for any other file."""
    run = RunDir(path.absolute().parent)
    return run if path.name == run.config.name and os.path.lexists(run.run_json) else None


def root_in(runs_dir: str | Path, name: str) -> Path:
    """Where the run of that name is."""
    return Path(absolute(str(runs_dir))) / name


def name_made_of(text: str) -> str:
    """The text with what no run's name may hold replaced; empty where nothing is left."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-._")[:64]


def occupied(root: Path) -> bool:
    """Whether something is there, or nobody may look; an empty directory is nothing."""
    if not os.path.isdir(root) or os.path.islink(root):  # a path's own methods raise for one that is too long
        return os.path.lexists(root)
    try:
        return any(root.iterdir())
    except OSError:
        return True


def make_ready(prepared: Prepared) -> None:
    """Make the directory of a new run; give one to be resumed the [launch] it was asked to go on with.

    Raises UsageError and CannotWriteError.
    """
    if not prepared.resuming:
        create(prepared)
    elif prepared.relaunched:
        write_whole(prepared.run.config, resolved_toml(prepared.config).encode())


def create(prepared: Prepared) -> None:
    """Make the directory of a new run, whole or not at all. Raises UsageError and CannotWriteError."""
    root = prepared.run.root
    unfinished = root.with_name(f".{root.name}.{os.getpid()}")
    try:
        with writing(root):
            root.parent.mkdir(parents=True, exist_ok=True)
            unfinished.mkdir(mode=0o700)
            write_synced(unfinished / prepared.run.config.name, resolved_toml(prepared.config).encode())
            _claim(unfinished, prepared.run)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def take_back(prepared: Prepared) -> None:
    """Remove the directory of a new run that could not be started; one to be resumed stays as it is."""
    if not prepared.resuming:
        shutil.rmtree(prepared.run.root, ignore_errors=True)


def _claim(unfinished: Path, run: RunDir) -> None:
    """Give the directory its name; of two that want the same one, one gets it."""
    try:
        os.rename(unfinished, run.root)
    except OSError as error:
        if not occupied(run.root):
            raise
        text = f"{run.root} was created by somebody else just now: {_way_out(run)}"
        raise UsageError("run.exists", text, run=str(run.root)) from error


def _resumed(run: RunDir, given: Config) -> Prepared:
    """The run with its own config, which the config given must not contradict."""
    if not is_run(run.root):
        text = f"there is no run {run.name} in {run.root.parent} to resume: start it without --resume"
        raise UsageError("run.unknown", text, run=str(run.root), case="resume")
    if fault := next(string_faults(str(run.root)), None):
        where = one_line(str(run.root))
        raise UsageError("run.bad_folder", f"{where}: {fault.text}. Rename it", run=where)
    own = load_config(run.config).config
    launch = relaunched(own, given, run)
    changed = differences(own, given)
    if changed:
        keys = "\n".join(f"  {key}: {before} in the run, now {now}" for key, before, now in changed)
        text = (
            f"{run.root} cannot go on with a changed config:\n{keys}\n"
            f"{resume_hint(run)}, or start a new run with --run NAME{_start_over(run)}"
        )
        raise UsageError(
            "run.config_changed",
            text,
            run=str(run.root),
            keys=[key for key, *_ in changed],
            changes=[f"{key}: {before} → {now}" for key, before, now in changed],
            command=resume_command(run),
        )
    return Prepared(
        run,
        own.model_copy(update={"launch": launch}),
        resuming=True,
        export_ignored=own.export != given.export,
        relaunched=own.launch.model_dump() != launch.model_dump(),
    )


def placed(config: Config, run: RunDir) -> Config:
    """The config as the run's own, which names its place. Raises UsageError for a place no config can name."""
    base = str(run.root.parent)
    if fault := next(string_faults(base), None):
        text = f"the directory of all runs, {one_line(base)}: {fault.text}. Name another with --runs"
        raise UsageError("run.bad_directory", text, runs_dir=one_line(base))
    place = config.run.model_copy(update={"name": run.name, "dir": base})
    return config.model_copy(update={"run": place})


def _way_out(run: RunDir) -> str:
    go_on = "--resume goes on with it, " if is_run(run.root) else ""
    return f"{go_on}--run NAME starts another"


def _start_over(run: RunDir) -> str:
    """What to do with a run that holds no training worth keeping; empty for any other."""
    saved = CheckpointIndex(run.checkpoints_dir).latest() is not None
    if saved or not is_run(run.root) or not effective_state(run).final:
        return ""
    return f".\nIt has no checkpoint: to start over, delete it with: rm -r {shlex.quote(str(run.root))}"


def _name_from(path: Path) -> str:
    """A run name made of the config file's, with what a name may not hold replaced."""
    name = name_made_of(path.stem)
    if not name:
        text = f"{path}: no run name can be made of this; give one with --run NAME"
        raise UsageError("run.no_name", text, path=str(path))
    return name
