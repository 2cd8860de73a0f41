"""The second step: the model that is trained."""

from typing import ClassVar

from textual.app import ComposeResult

from dpo_tui.widgets.field import Field
from dpo_tui.wizard.step import Step


class ModelStep(Step):
    """The keys of [model]."""

    step_id = "model"
    tables: ClassVar[tuple[str, ...]] = ("model",)

    def compose(self) -> ComposeResult:
        for name in ("source", "id", "revision", "dtype"):
            yield Field(f"model.{name}", self.draft)

    def summary(self) -> str:
        """The model's name."""
        return str(self.draft.get("model.id") or "").rpartition("/")[2]
