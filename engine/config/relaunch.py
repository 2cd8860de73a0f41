"""The [launch] that a run goes on with."""

from typing import Any

from engine.config.launch import Launch
from engine.config.problems import ConfigError, Problem, dotted
from engine.config.schema import Config
from engine.config.validate import find_faults
from engine.rundir.paths import RunDir


def relaunched(own: Config, given: Config, run: RunDir) -> Launch:
    """The run's own [launch] with the keys that the config given names, which may be none.

    Where it names another launcher, its [launch] is taken whole: devices of this machine mean nothing to a job.
    Raises ConfigError where the two do not fit together.
    """
    asked = given.launch.model_dump(exclude_unset=True, exclude_none=True)
    if asked.get("launcher", own.launch.launcher) != own.launch.launcher:
        return given.launch
    launch = _merged(own.launch.model_dump(exclude_none=True), asked)
    if faults := find_faults({**own.model_dump(exclude_none=True), "launch": launch}):
        where = f"{run.config}, with the [launch] asked for"
        raise ConfigError(Problem(where, None, dotted(f.key), f.text, f.code, f.params) for f in faults)
    return Launch.model_validate(launch)


def _merged(kept: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """`kept` with what is asked for in its place, table by table."""
    tables = {
        name: _merged(kept[name], value)
        for name, value in asked.items()
        if isinstance(value, dict) and isinstance(kept.get(name), dict)
    }
    return {**kept, **asked, **tables}
