"""Which commits a run is made of: revisions are looked up once, written down, and kept for all its attempts."""

from typing import Any

from engine.config.checks import COMMIT
from engine.config.schema import HUBS, Config, Model, Source
from engine.exits import UnusableError
from engine.models.hubs import commit_of
from engine.rundir.files import read_json, write_json
from engine.rundir.paths import RunDir


def resolved(config: Config) -> Config:
    """`config` with each revision, of the model and of the data, replaced by the commit it stands for now.

    Nothing is downloaded. What is local or built in has no revision. Raises HubError.
    """
    return _with_commits(
        config,
        _commit_of_model(config.model),
        [_commit_of_source(source) for source in config.data.sources],
    )


def pinned(config: Config, run: RunDir) -> Config:
    """As `resolved`, for a run: the commits of its first start hold for its later starts and for its export.

    They hold even if a branch has moved since, or there is no network. Raises HubError, CannotWriteError, and
    UnusableError for a record that does not fit the config.
    """
    if not _asks_hub(config):
        return config
    if run.revisions_json.exists():
        return _recorded(config, run)
    fixed = resolved(config)
    write_json(run.revisions_json, _record(config, fixed))
    return fixed


def _asks_hub(config: Config) -> bool:
    parts: list[Model | Source] = [config.model, *config.data.sources]
    return any(part.source in HUBS for part in parts)


def _commit_of_model(model: Model) -> str | None:
    return commit_of(model.source, model.id, model.revision, "model") if model.source in HUBS else None


def _commit_of_source(source: Source) -> str | None:
    if source.source not in HUBS:
        return None
    return commit_of(source.source, source.path, source.revision, "dataset")


def _with_commits(config: Config, model: str | None, sources: list[str | None]) -> Config:
    pairs = zip(config.data.sources, sources, strict=True)
    fixed = [source.model_copy(update={"revision": commit} if commit else {}) for source, commit in pairs]
    return config.model_copy(
        update={
            "model": config.model.model_copy(update={"revision": model} if model else {}),
            "data": config.data.model_copy(update={"sources": fixed}),
        }
    )


def _record(config: Config, fixed: Config) -> dict[str, Any]:
    """What `revisions.json` holds: null for the model, or for a source, that is not from a hub."""
    model = config.model
    return {
        "model": {"id": model.id, "revision": model.revision, "commit": fixed.model.revision}
        if model.source in HUBS
        else None,
        "data": [
            {"path": asked.path, "revision": asked.revision, "commit": found.revision}
            if asked.source in HUBS
            else None
            for asked, found in zip(config.data.sources, fixed.data.sources, strict=True)
        ],
    }


def _recorded(config: Config, run: RunDir) -> Config:
    """The config with the commits of the record, after a look at whether it is the record of this config."""
    record = read_json(run.revisions_json) or {}
    model, data = record.get("model"), record.get("data")
    entries = [model, *data] if isinstance(data, list) else []
    wanted = _record(config, config)
    asked = [wanted["model"], *wanted["data"]]
    if len(entries) != len(asked) or not all(map(_fits, entries, asked)):
        raise UnusableError(
            "run.bad_revisions",
            f"{run.revisions_json} is damaged, or of another config: it should name the commit of every hub repo of "
            "this run. Put it back, or delete it to go on with the commits of today.",
            path=str(run.revisions_json),
        )
    commits = [entry["commit"] if entry else None for entry in entries]
    return _with_commits(config, commits[0], commits[1:])


def _fits(entry: Any, asked: dict[str, Any] | None) -> bool:
    """An entry of the record belongs to this part of the config, and names a commit."""
    if asked is None or not isinstance(entry, dict):
        return entry is asked
    commit = entry.get("commit")
    named = {key: value for key, value in asked.items() if key != "commit"}
    return named.items() <= entry.items() and isinstance(commit, str) and bool(COMMIT.fullmatch(commit))
