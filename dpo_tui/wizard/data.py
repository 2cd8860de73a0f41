"""The third step: the preference pairs."""

from typing import ClassVar

from textual.app import ComposeResult

from dpo_tui.widgets.field import Field
from dpo_tui.wizard.step import Step


class DataStep(Step):
    """The keys of [data] and of its first source."""

    step_id = "data"
    tables: ClassVar[tuple[str, ...]] = ("data",)

    def compose(self) -> ComposeResult:
        for name in ("source", "path", "split", "format", "limit"):
            yield Field(f"data.sources.0.{name}", self.draft)
        for name in ("max_length", "max_prompt_length", "too_long"):
            yield Field(f"data.{name}", self.draft)

    def summary(self) -> str:
        """The first source's name."""
        return str(self.draft.get("data.sources.0.path") or "").rpartition("/")[2]
