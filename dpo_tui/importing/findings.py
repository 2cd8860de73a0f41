"""What becomes of a foreign config: settings of ours with where they came from, and remarks on the rest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dpo_tui.importing.values import Place


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written: a constant of the file, or the place of a setting in its dicts."""

    name: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """A setting of ours, by its dotted key, with what it was made from; `joint` stands between several origins."""

    key: str
    value: Any
    origins: tuple[Origin, ...] = ()
    joint: str = " "


@dataclass(frozen=True, slots=True)
class Remark:
    """Something a person should know: `differs` of a key of ours, `lost` of a setting of theirs.

    The catalogue says it below `import.<kind>.<code>`; `about` is the key, or their setting.
    """

    kind: Literal["differs", "lost"]
    code: str
    about: str
    place: Place | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


Finding = Taken | Remark
