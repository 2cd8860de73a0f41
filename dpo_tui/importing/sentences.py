"""Remarks and origins in words, for the terminal and for the comments of the file."""

from dpo_tui.importing.findings import Remark, Taken
from dpo_tui.importing.values import Place, safe
from dpo_tui.text import t


def sentence(remark: Remark) -> str:
    """A remark in the language spoken."""
    params = {name: safe(found) if isinstance(found, str) else found for name, found in remark.params.items()}
    return t(f"import.{remark.kind}.{remark.code}", **params)


def origins(one: Taken) -> str:
    """The constants or settings that a value was made from, with their lines."""
    return one.joint.join(
        t("import.origin", name=safe(origin.name), line=line_of(origin.place))
        for origin in one.origins
        if origin.place is not None
    )


def line_of(place: Place) -> str:
    """A place as it is said."""
    key = "import.line.of" if place.file else "import.line"
    return t(key, line=place.line, file=safe(place.file))
