"""The third step: the preference pairs, and what training would make of them."""

from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Button, Input, Static

from dpo_tui.keys import key
from dpo_tui.text import t
from dpo_tui.widgets.choice import Choice
from dpo_tui.widgets.field import Field
from dpo_tui.widgets.path_picker import PathPicker
from dpo_tui.widgets.picker import Picker
from dpo_tui.wizard.columns import ColumnsScreen, Mapped
from dpo_tui.wizard.data_look import DataLook
from dpo_tui.wizard.draft import MODEL_KEYS, Draft
from dpo_tui.wizard.origins import first_choice, recent_ids, twin
from dpo_tui.wizard.previewed import PreviewedStep
from dpo_tui.wizard.report_text import has_places
from dpo_tui.wizard.source_fields import MAIN, MORE, OF_HUB, SourceBar, SourceFields, sources_of

_LIMITS = ("data.max_length", "data.max_prompt_length", "data.too_long", "data.chat_template")
_ANY_PACK = {"tokens_per_pack": 1 << 30}
"""How pairs are packed is nothing to a look at them."""


class DataStep(PreviewedStep):
    """One source after the other, and below what the rows of all of them become."""

    step_id = "data"
    tables: ClassVar[tuple[str, ...]] = ("data",)
    BINDINGS: ClassVar[list[BindingType]] = [
        key("data.places", "f7", "places", show=True),
        key("data.columns", "f8", "columns", show=True),
        key("data.add", "f2", "add"),
        key("data.remove", "f3", "remove"),
        key("data.template", "f10", "as_chat"),
    ]

    def __init__(self, draft: Draft) -> None:
        super().__init__(draft)
        self.at = 0
        """The source that is edited."""
        self._source = ""
        self._chosen: dict[tuple[int, str], str] = {}
        """The name chosen of each kind of source, for whoever goes back to it."""

    def compose(self) -> ComposeResult:
        yield SourceBar()
        yield SourceFields(self.draft, MAIN)
        yield DataLook()
        yield Static(t("data_step.limits"), classes="heading", markup=False)
        for name in _LIMITS:
            yield Field(name, self.draft)
        yield Static(t("data_step.more_of_source"), classes="heading", markup=False)
        yield SourceFields(self.draft, MORE)

    def on_mount(self) -> None:
        """Show what the draft says."""
        self._dress()

    def summary(self) -> str:
        """The first source's name, and how many there are besides."""
        names = self._names()
        return f"{names[0]} + {len(names) - 1}" if len(names) > 1 else "".join(names)

    @property
    def doubtful(self) -> bool:
        """Whether the look at the rows came back with warnings."""
        return any(look.warned for look in self.query(DataLook))

    def refresh_from_draft(self) -> None:
        """There may be other sources than before."""
        self._dress()
        super().refresh_from_draft()

    def focus_key(self, key: str) -> bool:
        """The source that the key is of is edited from now on; its fields may have to be made first."""
        parts = key.split(".")
        number = int(parts[2]) if parts[:2] == ["data", "sources"] and parts[2:] else self.at
        if number == self.at or number >= len(sources_of(self.draft)):
            return super().focus_key(key)
        self._edit(number, told=False)
        self.call_after_refresh(super().focus_key, key)
        return True

    def look(self) -> None:
        """Have the first rows of the data read."""
        asked = self._question()
        wrong = {name.split(".")[0] for name in self.draft.faults()}
        if "data" in wrong or "model" in wrong:
            why = "invalid" if "data" in wrong else "model_invalid"
            self._look.cannot(asked, t(f"data_step.{why}"))
        else:
            self._look.ask(asked, self.preview)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that have something to do."""
        match action:
            case "places":
                report = self._look.report if self.is_mounted else None
                return report is not None and has_places(report)
            case "columns":
                return bool(sources_of(self.draft))
            case "remove":
                return len(sources_of(self.draft)) > 1
            case "as_chat":
                return self.is_mounted and self._look.has_class("-text")
        return super().check_action(action, parameters)

    def action_places(self) -> None:
        """Show, or no longer, which rows are dropped, cut or repeated."""
        self._look.toggle_places()

    def action_columns(self) -> None:
        """Say which columns hold a pair."""
        self.app.push_screen(ColumnsScreen(self.preview, sources_of(self.draft)[self.at]), self._mapped)

    def action_add(self) -> None:
        """Another source, which begins as the built-in pairs: they are always there."""
        number = len(sources_of(self.draft))
        table = {"source": "builtin", "path": first_choice("data", "builtin", ())}
        self.draft.set("data.sources", [*sources_of(self.draft), table])
        self._edit(number)

    def action_remove(self) -> None:
        """Read no pairs from the source that is edited."""
        self.draft.unset(f"data.sources.{self.at}")
        self._edit(min(self.at, len(sources_of(self.draft)) - 1))

    def action_as_chat(self) -> None:
        """Train plain questions and answers with the chat template."""
        for number, source in enumerate(sources_of(self.draft)):
            if source.get("format", "auto") == "auto":
                self.draft.set(f"data.sources.{number}.format", "prompt-pairs")
        self._tell()

    @on(Button.Pressed, "#map")
    def _map_pressed(self) -> None:
        self.action_columns()

    @on(Button.Pressed, "#as-chat")
    def _as_chat_pressed(self) -> None:
        self.action_as_chat()

    @on(DataLook.Read)
    def _was_read(self, event: DataLook.Read) -> None:
        """Remember what could be read; keys may have something to do now."""
        event.stop()
        if event.report is not None:
            for source in sources_of(self.draft):
                self.recents.remember("data", [source.get("source", "hub"), source.get("path")])
        self.refresh_bindings()
        self.post_message(self.Told())

    @on(Choice.Changed)
    def _other_source(self, event: Choice.Changed) -> None:
        event.stop()
        self._edit(int(event.value), told=False)

    @on(Field.Changed)
    def _source_changed(self) -> None:
        """Another kind of source has other names; what the old one had goes with it."""
        before, self._source = self._source, str(self.draft.get(self._key("source")))
        if self._source == before:
            return
        self._chosen[self.at, before] = name = str(self.draft.get(self._key("path")))
        chosen = self._chosen.get((self.at, self._source)) or twin(name, self._source)
        path = chosen or first_choice("data", self._source, self.recents.recall("data"))
        self.draft.set(self._key("path"), path)
        for name in ("format", "columns", *OF_HUB):
            self.draft.unset(self._key(name))

    @on(Input.Submitted, ".of-path Input")
    def _pick(self, event: Input.Submitted) -> None:
        """Enter on the name opens the list, or the tree, it can be chosen from."""
        event.stop()
        typed = event.value.strip()
        if self._source == "hub":
            recent = recent_ids(self.recents.recall("data"), "hub")
            picker = Picker("dataset", typed="" if "/" in typed else typed, recent=recent)
            self.app.push_screen(picker, self._picked)
        elif self._source == "local":
            self.app.push_screen(PathPicker("data", typed=typed), self._picked)

    def _picked(self, path: str | None) -> None:
        if path is not None and path != self.draft.get(self._key("path")):
            self.draft.set(self._key("path"), path)
            self.draft.unset(self._key("columns"))
            self._tell()

    def _mapped(self, mapped: Mapped | None) -> None:
        if mapped is not None:
            self.draft.set(self._key("columns"), mapped.columns)
            self.draft.set(self._key("format"), mapped.format)
            self._tell()

    def _edit(self, number: int, *, told: bool = True) -> None:
        """Edit another source; `told`: the draft was changed for it."""
        self.at = number
        if told:
            self._tell()
            self.call_after_refresh(self.focus_entry)
        else:
            self.refresh_from_draft()

    def _tell(self) -> None:
        self.refresh_from_draft()
        self.post_message(self.Changed(self))

    def _key(self, name: str) -> str:
        return f"data.sources.{self.at}.{name}"

    def _names(self) -> list[str]:
        paths = [str(source.get("path", "")).rstrip("/") for source in sources_of(self.draft)]
        return [path.rpartition("/")[2] for path in paths]

    def _question(self) -> dict[str, Any]:
        """What the helper process has to know of the draft."""
        values = self.draft.values()
        model = values.get("model")
        known = {name: model[name] for name in MODEL_KEYS if name in model} if isinstance(model, dict) else {}
        return {"model": known, "data": values.get("data"), "train": _ANY_PACK}

    @property
    def _look(self) -> DataLook:
        return self.query_one(DataLook)

    def _dress(self) -> None:
        """Show what the source has that is edited."""
        names = self._names()
        self.at = min(self.at, max(0, len(names) - 1))
        self._source = str(self.draft.get(self._key("source")))
        self.query_one(SourceBar).show(names, self.at)
        for fields in self.query(SourceFields):
            fields.show(self.at)
            fields.dress(self._source)
