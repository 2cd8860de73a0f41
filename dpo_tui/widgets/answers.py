"""The same question to the model before and after training, one at a time, side by side where there is room."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from dpo_tui.export_story import Answer
from dpo_tui.text import t
from dpo_tui.widgets.plain import plain


class Answers(Vertical):
    """Shows one of the answers; arrow keys of the screen turn to the next."""

    DEFAULT_CSS = """
    Answers { height: auto; margin-top: 1; display: none; }
    Answers.-shown { display: block; }
    Answers #which { color: $text-muted; }
    Answers #question { margin: 1 0; }
    Answers Horizontal { height: auto; }
    Answers Horizontal > Static { width: 1fr; height: auto; }
    Answers #after { padding-left: 3; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._answers: Sequence[Answer] = ()
        self._index = 0

    def compose(self) -> ComposeResult:
        yield Static(id="which")
        yield Static(id="question")
        with Horizontal():
            yield Static(id="before")
            yield Static(id="after")

    def show(self, answers: Sequence[Answer]) -> None:
        """Show these; nothing where there are none."""
        if list(answers) != list(self._answers):
            self._answers, self._index = answers, 0
        self.set_class(bool(answers), "-shown")
        self._draw()

    def turn(self, by: int) -> None:
        """Show another one; after the last comes the first."""
        if self._answers:
            self._index = (self._index + by) % len(self._answers)
            self._draw()

    def _draw(self) -> None:
        if not self._answers:
            return
        answer, count = self._answers[self._index], len(self._answers)
        turn = "   ← →" if count > 1 else ""
        place = t("export.answers.place", index=self._index + 1, count=count)
        self.query_one("#which", Static).update(plain(f"{t('export.answers.title')}   {place}{turn}"))
        self.query_one("#question", Static).update(plain(answer.question, "bold"))
        for when, text, hue in (("before", answer.before, "dim"), ("after", answer.after, "$accent")):
            said = Content.assemble((f"{t(f'export.answers.{when}')}\n", hue), plain(text))
            self.query_one(f"#{when}", Static).update(said)
