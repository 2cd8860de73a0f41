"""The files of a base whose layout an export keeps: whoever serves the base serves the result."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from engine.export.source import Source

KEPT = ("tokenizer.model", "special_tokens_map.json", "added_tokens.json", "*.py")
"""As the base's folder has them, its code included, which is never run here."""
WRITTEN_ANEW = ("tokenizer.json", "chat_template.jinja", "tokenizer_config.json")
"""What transformers writes of a tokenizer in its own way."""


def keep_original_files(folder: Path, source: Source, tokenizer: PreTrainedTokenizerBase) -> None:
    """Puts the base's own config and tokenizer in the place of what transformers wrote of them."""
    base = source.base.path
    for name in WRITTEN_ANEW:
        (folder / name).unlink(missing_ok=True)
    for pattern in KEPT:
        for file in base.glob(pattern):
            shutil.copyfile(file, folder / file.name)
    _write_config(folder, source)
    _write_tokenizer(folder, source, tokenizer)


def missing_code(source: Source) -> list[str]:
    """The Python files that the base's own config names and that are nowhere to be copied from: not in its folder, and
    it is of no hub whose repos a config can name."""
    if source.base.source == "hub":
        return []
    names = {
        f"{reference.rpartition('.')[0]}.py" for reference in _named_code(source) if "--" not in reference
    }
    return sorted(name for name in names if not (source.base.path / name).is_file())


def code_revision(source: Source) -> str | None:
    """The commit of the base's repo at which the code was that an export's config names there.

    No config can say it. None where the code is in the folder, where there is none, or where it is in another repo.
    """
    named = list(_named_code(source)) if source.keeps_layout and _is_in_repo(source) else []
    own = all("--" not in reference or reference.startswith(f"{source.base.id}--") for reference in named)
    return source.base.commit if named and own else None


def _is_in_repo(source: Source) -> bool:
    """Whether the code is in the base's repo on the hub, and was not downloaded."""
    return source.base.source == "hub" and not any(source.base.path.glob("*.py"))


def _named_code(source: Source) -> Iterator[str]:
    """The classes that the base's own files name."""
    for file in ("config.json", "tokenizer_config.json"):
        yield from _references(_read(source.base.path / file).get("auto_map"))


def _write_config(folder: Path, source: Source) -> None:
    """The original, but for the type of the weights, and for code that is in the base's repo and not in its folder."""
    path = source.base.path / "config.json"
    config = _read(path)
    changes: dict[str, Any] = {
        key: source.dtype for key in ("torch_dtype", "dtype") if key in config and config[key] != source.dtype
    }
    changes |= _code_in_repo(config, source)
    _write(folder / path.name, path, config, changes)


def _code_in_repo(config: dict[str, Any], source: Source) -> dict[str, Any]:
    """`auto_map` with the base's repo named, where the code it speaks of was not downloaded."""
    auto_map = config.get("auto_map")
    if not isinstance(auto_map, dict) or not _is_in_repo(source):
        return {}

    def named(value: Any) -> Any:
        if isinstance(value, list):
            return [named(part) for part in value]
        return f"{source.base.id}--{value}" if isinstance(value, str) and "--" not in value else value

    return {"auto_map": {key: named(value) for key, value in auto_map.items()}}


def _references(auto_map: Any) -> Iterator[str]:
    """The classes that an `auto_map` names, as "file.Class"."""
    for value in auto_map.values() if isinstance(auto_map, dict) else ():
        yield from (part for part in (value if isinstance(value, list) else [value]) if isinstance(part, str))


def _read(path: Path) -> dict[str, Any]:
    """The values of a JSON file; none where it is missing."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, original: Path, values: dict[str, Any], changes: dict[str, Any]) -> None:
    """The original to the byte, or with changed values."""
    if changes:
        path.write_text(
            json.dumps({**values, **changes}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    elif original.is_file():
        shutil.copyfile(original, path)


def _write_tokenizer(folder: Path, source: Source, tokenizer: PreTrainedTokenizerBase) -> None:
    """The original settings, but for code elsewhere as above, and for a chat template that is not the base's own.

    That one stands in both places where releases of transformers look.
    """
    base = source.base.path
    path, template = base / "tokenizer_config.json", base / "chat_template.jinja"
    settings = _read(path)
    changes = _code_in_repo(settings, source)
    before = template.read_text(encoding="utf-8") if template.is_file() else settings.get("chat_template")
    if template.is_file():
        shutil.copyfile(template, folder / template.name)
    if tokenizer.chat_template not in (before, None):
        (folder / template.name).write_text(str(tokenizer.chat_template), encoding="utf-8")
        changes["chat_template"] = tokenizer.chat_template
    _write(folder / path.name, path, settings, changes)
