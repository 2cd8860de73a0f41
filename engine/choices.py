"""What a config leaves to the machine, chosen at a run's first start and kept for all of its later ones.

A resumed run must be the same run, even where another machine would have chosen otherwise.
"""

from collections.abc import Callable
from typing import TypeVar

from engine.rundir.files import read_json, write_json
from engine.rundir.paths import RunDir

Choice = TypeVar("Choice", int, str)


def kept_choice(run: RunDir, key: str, kind: type[Choice], choose: Callable[[], Choice]) -> Choice:
    """The run's record of `key` if it is of that `kind`; else what `choose` says now, recorded.

    Raises CannotWriteError.
    """
    record = read_json(run.choices_json) or {}
    known = record.get(key)
    if isinstance(known, kind) and known:
        return known
    chosen = choose()
    write_json(run.choices_json, {**record, key: chosen})
    return chosen
