"""The config being made: a person's text, edited key by key, and what is still wrong with it."""

import os
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

from dpo_tui import templates
from dpo_tui.starting import run_of_config
from dpo_tui.wizard.kinds import default_of, dotted_key, path_of, typed
from dpo_tui.wizard.values import in_the_way, leaves, same, value_at, within
from engine.config.problems import Fault
from engine.config.schema import Config, Data
from engine.config.strings import CREDENTIAL, masked, token_lines
from engine.config.toml import TomlDocument, assign, discard
from engine.config.validate import find_faults
from engine.exits import UsageError
from engine.rundir.files import write_whole, writing

MODEL_KEYS = ("source", "id", "revision", "dtype", "trust_remote_code")
"""What says which model: the adapters belong to the way of training, which a template decides."""


class FileInTheWay(UsageError):
    """Another file is where the config shall be saved, or somebody changed it meanwhile."""

    def __init__(self, path: Path, *, ours: bool) -> None:
        what = "was changed by somebody else" if ours else "exists, and is another file"
        super().__init__("draft.in_the_way", f"{path} {what}", path=str(path), ours=ours)


class Draft:
    """A config on its way; keys are dotted, `train.pairs_per_step`, `data.sources.0.path`.

    Nothing is written before `save`, and what was not changed keeps its bytes and comments.
    """

    def __init__(
        self,
        document: TomlDocument,
        *,
        path: Path | None,
        template: str | None,
        preset: "Preset | None" = None,
        runs_dir: Path | None = None,
    ) -> None:
        self._preset = preset
        self._wanted_dir = runs_dir
        self._first_dir: Any = None
        self.path = path
        """The file it was read from or saved to; None until then, and for the copy of a run's own."""
        self.template = template
        """The template it started from; None for a file."""
        self._on_disk = document.source.encode() if path else None
        self._values: dict[str, Any] = {}
        self._faults: dict[str, Fault] = {}
        self._faults_of: str | None = None
        self._restart(document)

    @classmethod
    def from_template(cls, name: str, preset: "Preset | None" = None) -> Self:
        """A new config; `preset` fills in what nobody had to choose, like a free name, in this template and the next.

        Raises UsageError for a template there is none of.
        """
        return cls(_template(name), path=None, template=name, preset=preset)

    @classmethod
    def from_file(cls, path: Path, preset: "Preset | None" = None, *, runs_dir: Path | None = None) -> Self:
        """The config at `path`, whatever its values; of a run's own a copy, for a new run like it.

        `runs_dir` is where the run goes, whatever the file says. Raises ConfigError for what is not even TOML.
        """
        own = None if run_of_config(Path(os.path.realpath(path))) else path
        return cls(TomlDocument.read(path), path=own, template=None, preset=preset, runs_dir=runs_dir)

    @property
    def origin(self) -> Path:
        """The file it was saved to, or read from."""
        return self.path or self._document.path

    @property
    def runs_dir(self) -> Path | None:
        """The directory of all runs that counts in place of the config's, while nobody changed that here."""
        return self._wanted_dir if self.get("run.dir") == self._first_dir else None

    @property
    def text(self) -> str:
        """The TOML."""
        return self._document.dumps()

    @property
    def shown_text(self) -> str:
        """The TOML with anything like a token unreadable, and with the line ends of this system."""
        return masked(self.text).replace("\r\n", "\n")

    @property
    def changed(self) -> bool:
        """Whether it differs from what was loaded or saved."""
        return self.text != self._settled_text

    @property
    def name(self) -> str:
        """What the run will be called: the config's word, else the file's or the template's name."""
        given = self.get("run.name")
        if isinstance(given, str) and given:
            return given
        return self.path.stem if self.path else self.template or "run"

    def get(self, key: str) -> Any:
        """The value in the text, whether it is valid or not, else the schema's default."""
        value = value_at(self._values, key)
        return default_of(key) if value is None else deepcopy(value)

    def in_force(self, key: str) -> Any:
        """The value that a start would use: a directory of all runs from outside stands in for the config's."""
        return str(self.runs_dir) if key == "run.dir" and self.runs_dir is not None else self.get(key)

    def given(self, key: str) -> bool:
        """Whether the text has this key."""
        return value_at(self._values, key) is not None

    def set(self, key: str, value: Any) -> None:
        """Write a value; None takes the key out. What stands where the key needs a table or a list gives way.

        Raises KeyError for a place behind the next one of a list.
        """
        if value is None:
            self.unset(key)
        elif not same(value_at(self._values, key), value):
            for above, there in in_the_way(self._values, key.split(".")):
                self._document.set(above, there)
            self._document.set(key, value)
            self._values = self._document.unwrap()

    def unset(self, key: str) -> None:
        """Take a key, or an entry of a list, out; then its default counts."""
        self._document.remove(key)
        self._values = self._document.unwrap()

    def put_back(self, text: str) -> None:
        """Take a text of this draft again, as it was before a key was taken out."""
        self._document: TomlDocument = TomlDocument.parse(text, self._document.path)
        self._values = self._document.unwrap()

    def parse(self, key: str, text: str) -> Any:
        """What typing `text` into the field of `key` means: a value, None to leave it out, or the Fault it would be."""
        value = typed(key, text)
        values = self.values()
        parts = key.split(".")
        if value is None:
            discard(values, parts)
        else:
            assign(values, parts, value)
        return next((fault for fault in find_faults(values) if within(fault.key, path_of(key))), value)

    def enter(self, key: str, text: str) -> Fault | None:
        """Take over what was typed, right or wrong, and say what is wrong with it.

        The default, typed where the key is left out, changes nothing. A directory typed wins over one from outside.
        """
        if key == "run.dir":
            self._wanted_dir = None
        value = typed(key, text)
        if self.given(key) or not same(default_of(key), value):
            self.set(key, value)
        return self.fault_at(key)

    def values(self) -> dict[str, Any]:
        """A copy of the values as plain dicts and lists: what the preview process is asked with."""
        return deepcopy(self._values)

    def faults(self) -> dict[str, Fault]:
        """What is wrong, by its key; "" is the text as a whole."""
        if self._faults_of != self.text:
            self._faults = {dotted_key(fault.key): fault for fault in self._find_faults()}
            self._faults_of = self.text
        return self._faults

    def fault_at(self, key: str) -> Fault | None:
        """The fault of a key or of something inside its value."""
        found = self.faults()
        inside = (fault for name, fault in found.items() if name.startswith(f"{key}."))
        return found.get(key) or next(inside, None)

    def config(self) -> Config | None:
        """The config, if nothing is wrong with it."""
        return None if self.faults() else Config.model_validate(self.values())

    def changed_lines(self) -> frozenset[int]:
        """The lines of `shown_text`, from 1, whose keys are not as they were loaded or saved."""
        if not self.changed:
            return frozenset()
        now = TomlDocument.parse(self.text, self._document.path)
        before = dict(leaves(self._settled))
        keys = [key for key, value in leaves(self.values()) if key not in before or before[key] != value]
        return frozenset(line for key in keys if (line := now.line_of(key)))

    def settle(self) -> None:
        """Take it as it stands for unchanged: what the app filled in itself is nobody's loss."""
        self._settled_text = self.text
        self._settled = self.values()

    def switch_template(self, name: str) -> None:
        """Start over from another template with the model, the data and the name chosen so far.

        A file it was read from is let go: saving makes a new one.
        """
        fresh = _template(name)
        chosen = dict(self._choices())
        self.path, self.template, self._on_disk = None, name, None
        self._restart(fresh)
        for key, value in chosen.items():
            self.set(key, value)

    def save(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the file whole. Raises FileInTheWay rather than overwrite another, CannotWriteError, and
        UsageError for a text with a token in it, or for a run's own config: that is the record of what it trained.
        """
        if any(token_lines(self.text)):
            raise UsageError("draft.token", CREDENTIAL)
        if (run := run_of_config(Path(os.path.realpath(path)))) is not None:
            text = f"{path} is the record of the run {run.name}, which stays as it is: save it elsewhere"
            raise UsageError("draft.run_record", text, path=str(path), run=run.name)
        content = self.text.encode()
        with writing(path):
            target = Path(os.path.realpath(path))
            there = target.read_bytes() if os.path.lexists(target) else None
        ours = self.path is not None and Path(os.path.realpath(self.path)) == target
        expected = (content, self._on_disk) if ours else (content,)
        if there is not None and there not in expected and not overwrite:
            raise FileInTheWay(path, ours=ours)
        if there != content:
            write_whole(target, content)
        self.path, self._on_disk = path, content
        self.settle()

    def _restart(self, document: TomlDocument) -> None:
        self._document = document
        self._values = document.unwrap()
        self._faults_of = None
        if self._preset is not None and self.path is None:
            self._preset(self)
        self._first_dir = self.get("run.dir")
        self.settle()

    def _find_faults(self) -> Iterator[Fault]:
        yield from find_faults(self.values())
        if any(token_lines(self.text)):
            yield Fault((), CREDENTIAL, code="credential")

    def _choices(self) -> Iterator[tuple[str, Any]]:
        """What a person chose, by its key: all a file says of these things, else what is unlike the template."""
        own, now = self.path is not None or self.template is None, self.values()
        data = [name for name in Data.model_fields if own or name in now.get("data", {})]
        for keys in (
            [f"model.{one}" for one in MODEL_KEYS],
            *([f"data.{one}"] for one in data),
            [] if self.runs_dir else ["run.dir"],
        ):
            values = {key: value_at(now, key) for key in keys}
            if own or any(value != value_at(self._settled, key) for key, value in values.items()):
                yield from values.items()
        if own or value_at(now, "run.name") != value_at(self._settled, "run.name"):
            yield "run.name", self.name


Preset = Callable[[Draft], None]


def _template(name: str) -> TomlDocument:
    return TomlDocument.parse(templates.text(name).decode(), Path(f"{name}.toml"))
