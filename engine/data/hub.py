"""Rows of a dataset on the Hugging Face hub, and every way that can fail as one line with a way out."""

import errno
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.config.schema import Source
from engine.data.text_files import NumberedRow
from engine.exits import CannotWriteError, EngineError, HubError, UnusableError, UsageError
from engine.sanitize import one_line

REPO = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
BATCH_ROWS = 256

UNREACHABLE = ("ConnectionError", "ConnectError", "LocalEntryNotFoundError", "OfflineModeIsEnabled")
NO_SUCH = ("DatasetNotFoundError", "RepositoryNotFoundError", "RevisionNotFoundError")
LOGIN = "log in with `hf auth login` or set HF_TOKEN"


def open_hub(source: Source) -> tuple[int, Iterator[NumberedRow]]:
    """Number of rows, and the rows numbered from 1. Code that comes with a dataset is never run.

    Raises `HubError` (unreachable, refused, not found), `UnusableError` (no such split, nothing readable in it),
    `UsageError` (the path is no repo id) or `CannotWriteError` (no room for the download).
    """
    _require_repo_id(source.path)
    import datasets  # type: ignore[import-untyped, unused-ignore]

    try:
        table = datasets.load_dataset(source.path, split=source.split, revision=source.revision)
    except Exception as error:  # its causes are without number, and all of them are about this dataset
        raise translated(error, source) from error
    return len(table), _rows(table)


def _rows(table: Any) -> Iterator[NumberedRow]:
    number = 0
    for columns in table.iter(batch_size=BATCH_ROWS):
        for values in zip(*columns.values(), strict=True):
            number += 1
            yield number, dict(zip(columns, values, strict=True))


def _require_repo_id(path: str) -> None:
    """A path that means something on this disk would be read from there, whatever the config says."""
    here = Path(path).expanduser()
    if here.exists():
        text = f'{path} is on this disk. Write source = "local" for it in [[data.sources]].'
        raise UsageError("data.hub_path_is_local", text, path=path)
    if not REPO.fullmatch(path):
        text = f'"{path}" is not the id of a dataset: expected owner/name. For files write source = "local".'
        raise UsageError("data.bad_repo_id", text, path=path)


def translated(error: Exception, source: Source) -> EngineError:
    """The `EngineError` for whatever `datasets.load_dataset` raised."""
    names = {kind.__name__ for cause in _chain(error) for kind in type(cause).__mro__}
    status = next((s for cause in _chain(error) if (s := _status(cause))), None)
    full_disk = any(getattr(cause, "errno", None) in (errno.ENOSPC, errno.EDQUOT) for cause in _chain(error))
    if full_disk:
        text = (
            f"No room for the dataset {source.path} in the cache. Free some, or set HF_HOME to another disk."
        )
        return CannotWriteError("data.hub_no_space", text, path=source.path)
    if "gated" in str(error).lower() or status == 403:
        text = f"The dataset {source.path} is gated: ask for access on {_page(source)}, then {LOGIN}."
        return HubError("data.hub_gated", text, path=source.path)
    if names.intersection(NO_SUCH) or status in (401, 404):
        return _not_found(source)
    if status:
        text = f"The hub answered {status} for the dataset {source.path}. Try again later, or {LOGIN}."
        return HubError("data.hub_refused", text, path=source.path, status=status)
    if names.intersection(UNREACHABLE) or "timeout" in str(error).lower():
        return _unreachable(source)
    return _unusable(error, source)


def _chain(error: BaseException) -> list[BaseException]:
    causes: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in causes:
        causes.append(following)
        following = following.__cause__ or following.__context__
    return causes


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _page(source: Source) -> str:
    return f"https://huggingface.co/datasets/{source.path}"


def _not_found(source: Source) -> HubError:
    revision = f" at revision {source.revision}" if source.revision else ""
    text = (
        f"There is no dataset {source.path}{revision} on the hub, or it is private: check the id, or {LOGIN}."
    )
    return HubError("data.hub_not_found", text, path=source.path, revision=source.revision)


def _unreachable(source: Source) -> HubError:
    text = (
        f"The dataset {source.path} is not in the local cache and the hub cannot be reached. Check the network, "
        'HF_ENDPOINT and HF_HUB_OFFLINE, or give files with source = "local".'
    )
    return HubError("data.hub_unreachable", text, path=source.path)


def _unusable(error: Exception, source: Source) -> UnusableError:
    """The dataset is there, and not as expected: another split, several configurations, a script, broken files."""
    cause = (str(error).strip().splitlines() or [type(error).__name__])[0][:300].rstrip(".")
    text = f"The dataset {source.path} (split {source.split}) cannot be used: {cause}. See {_page(source)}"
    return UnusableError(
        "data.hub_unusable", one_line(text), path=source.path, split=source.split, cause=cause
    )
