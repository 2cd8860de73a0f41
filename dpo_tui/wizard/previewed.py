"""Steps that show what the helper process finds out about their part of the draft."""

from typing import TYPE_CHECKING, cast

from textual.content import Content
from textual.widget import Widget

from dpo_tui.preview import PreviewClient, PreviewError
from dpo_tui.settings import Recents
from dpo_tui.text.explain import advice, explain
from dpo_tui.wizard.step import Step
from engine.sanitize import visible

if TYPE_CHECKING:
    from dpo_tui.wizard.screen import WizardScreen


class PreviewedStep(Step):
    """Asks when it is entered, and when the draft changes while it is shown."""

    def shown(self) -> None:
        """Find out what is not known yet."""
        self.look()

    def refresh_from_draft(self) -> None:
        """What was found out may hold no longer."""
        super().refresh_from_draft()
        if self.display and self.is_mounted:
            self.look()

    def look(self) -> None:
        """Ask for what the draft says now, unless that is known or being asked."""
        raise NotImplementedError

    @property
    def preview(self) -> PreviewClient:
        """The wizard's one helper process."""
        return cast("WizardScreen", self.screen).preview

    @property
    def recents(self) -> Recents:
        """What was chosen before."""
        return cast("WizardScreen", self.screen).dpo.recents


def is_shown(widget: Widget) -> bool:
    """Whether it is part of the step one is at: who only passes a step by asks nothing."""
    return all(node.display for node in widget.ancestors_with_self)


def refusal(error: PreviewError) -> Content:
    """An error of the helper process with what to do about it."""
    said = Content.styled(f"✗ {visible(explain(error.code, error.text, error.params))}", "$error")
    more = visible(advice(error.code, error.params))
    return Content.assemble(said, "\n", (more, "dim")) if more else said
