"""Datasets of the hub, from a server on this machine: rows of one commit, downloaded or as a stream."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.config.schema import Source
from engine.data.files.hub import open_hub
from engine.data.files.sources import open_source
from engine.exits import Exit, HubError, UnusableError, UsageError
from tests.engine.hub_here import (
    NOBODY,
    everything_below,
    hub_environment,
    parquet,
    point_at,
    set_offline,
)
from tests.hub_repo import Repo
from tests.hub_server import TOKEN, HubServer

REPO = "owner/Pairs.v1"
ROWS = [{"prompt": f"p{n}", "chosen": f"c{n}", "rejected": f"r{n}"} for n in range(40)]
SHARDS = {f"data/train-0000{n}-of-00004.parquet": parquet(ROWS[10 * n : 10 * n + 10]) for n in range(4)}
SUBSETS = """---
configs:
- config_name: help
  data_files: [{split: train, path: help/*.jsonl}]
- config_name: harm
  data_files: [{split: train, path: harm/*.jsonl}]
---
"""


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def repo(hub: HubServer) -> Repo:
    return hub.add(REPO, {**SHARDS, "data/test-00000-of-00001.parquet": parquet(ROWS[:3])}, "dataset")


def source(path: str = REPO, **more: Any) -> Source:
    return Source.model_validate({"source": "hub", "path": path, **more})


def rows_of(asked: Source) -> list[dict[str, Any]]:
    return [fields for _, fields in open_hub(asked)[1]]


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "files",
    [
        SHARDS,
        {"train.jsonl": lines(ROWS)},
        {"data/a.json": lines(ROWS[:20]), "data/b.json": lines(ROWS[20:])},
        {
            "pairs.csv": b"prompt,chosen,rejected\n"
            + b"".join(f"p{n},c{n},r{n}\n".encode() for n in range(40))
        },
    ],
)
def test_rows_come_in_order_with_their_numbers(
    hub: HubServer, files: dict[str, bytes], streaming: bool
) -> None:
    hub.add(REPO, {"README.md": b"# Pairs", **files}, "dataset")
    count, rows = open_hub(source(streaming=streaming))
    assert list(rows) == list(enumerate(ROWS, 1))
    assert count == (None if streaming else len(ROWS))


@pytest.mark.parametrize("streaming", [False, True])
def test_a_source_is_read_up_to_its_limit_and_rows_say_where_they_are(
    hub: HubServer, repo: Repo, streaming: bool
) -> None:
    opened = open_source(source(limit=12, streaming=streaming))
    rows = list(opened.rows)
    assert [row.fields for row in rows] == ROWS[:12]
    assert rows[11].where == f"{REPO} row 12"
    assert opened.total == 12
    assert streaming != bool(hub.lines("GET .*train-00003"))


@pytest.mark.parametrize("streaming", [False, True])
def test_the_split_asked_for_is_read(hub: HubServer, repo: Repo, streaming: bool) -> None:
    assert rows_of(source(split="test", streaming=streaming)) == ROWS[:3]
    assert rows_of(source(split="train+test", streaming=streaming)) == ROWS + ROWS[:3]


def test_a_part_of_a_split_can_be_asked_for(hub: HubServer, repo: Repo) -> None:
    assert rows_of(source(split="train[:5]")) == ROWS[:5]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_split_that_is_not_there_is_answered_with_those_that_are(
    hub: HubServer, repo: Repo, streaming: bool
) -> None:
    with pytest.raises(UnusableError) as caught:
        rows_of(source(split="validation", streaming=streaming))
    assert f'{REPO} has no split "validation", only test, train' in caught.value.text.replace(
        "train, test", "test, train"
    )
    assert not hub.lines("GET .*parquet")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_dataset_of_several_subsets_wants_one_named(hub: HubServer, streaming: bool) -> None:
    files = {"README.md": SUBSETS.encode(), "help/a.jsonl": lines(ROWS[:2]), "harm/a.jsonl": lines(ROWS[2:5])}
    hub.add(REPO, files, "dataset")
    with pytest.raises(UnusableError, match=r'has several subsets: help, harm\..* subset = "help"'):
        rows_of(source(streaming=streaming))
    with pytest.raises(UnusableError, match='has no subset "ham", only help, harm'):
        rows_of(source(subset="ham", streaming=streaming))
    assert rows_of(source(subset="harm", streaming=streaming)) == ROWS[2:5]
    assert not hub.lines("GET .*help/")


def test_a_subset_of_a_dataset_without_any_is_refused(hub: HubServer, repo: Repo) -> None:
    with pytest.raises(UnusableError, match='has no subset "ham", only default'):
        rows_of(source(subset="ham"))


@pytest.mark.parametrize("streaming", [False, True])
def test_all_requests_are_for_one_commit_even_if_the_branch_moves(
    hub: HubServer, repo: Repo, streaming: bool
) -> None:
    first = repo.refs["main"]
    hub.fail("HEAD", kind="move", times=1)
    assert rows_of(source(streaming=streaming)) == ROWS
    assert repo.refs["main"] != first
    assert not [line for line in hub.lines("/(resolve|tree)/") if first not in line]


@pytest.mark.parametrize("streaming", [False, True])
def test_a_commit_given_is_the_commit_read(hub: HubServer, repo: Repo, streaming: bool) -> None:
    old = repo.refs["main"]
    repo.commit({"train.parquet": parquet(ROWS[:1])})
    assert rows_of(source(streaming=streaming)) == ROWS[:1]
    assert rows_of(source(revision=old, streaming=streaming)) == ROWS


def test_a_stream_fetches_what_is_read_and_keeps_nothing(hub: HubServer, repo: Repo, tmp_path: Path) -> None:
    rows = open_hub(source(streaming=True))[1]
    assert [next(rows)[1] for _ in range(12)] == ROWS[:12]
    rows.close()  # type: ignore[attr-defined]
    assert {line.split("/")[-1] for line in hub.lines("GET .*parquet")} == {
        "train-00000-of-00004.parquet",
        "train-00001-of-00004.parquet",
    }
    assert not list(tmp_path.rglob("*.parquet"))
    assert not list(tmp_path.rglob("*.arrow"))


def test_a_stream_is_opened_lazily(hub: HubServer, repo: Repo) -> None:
    open_hub(source(streaming=True))
    assert not hub.lines("parquet")


def test_a_token_goes_to_the_hub_alone_and_into_no_file(hub: HubServer, repo: Repo, tmp_path: Path) -> None:
    repo.private = True
    hub.cdn = hub.address.replace("127.0.0.1", "localhost")
    assert rows_of(source()) == ROWS
    elsewhere = [request for request in hub.requests if request.host.startswith("localhost")]
    assert elsewhere
    assert not [request for request in elsewhere if request.token]
    assert TOKEN.encode() not in everything_below(tmp_path)


@pytest.mark.parametrize("away", ["offline", "unreachable", "down"])
@pytest.mark.parametrize("subset", [None, "default"])
def test_a_second_start_while_the_hub_is_away_reads_the_same_commit(
    hub: HubServer,
    repo: Repo,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    away: str,
    subset: str | None,
) -> None:
    """Left to itself, `datasets` would take the commit that it met last, whatever the revision says."""
    old = repo.refs["main"]
    assert rows_of(source(subset=subset)) == ROWS
    repo.commit({"train.parquet": parquet(ROWS[:1])})
    assert rows_of(source()) == ROWS[:1]
    make_away(away, hub, monkeypatch)
    with caplog.at_level(logging.WARNING):
        assert rows_of(source(revision=old, subset=subset)) == ROWS
    assert "Going on with subset default of the local cache" in caplog.text
    assert rows_of(source(subset=subset)) == ROWS[:1]
    with pytest.raises(UnusableError, match='has no split "validation", only train'):
        rows_of(source(split="validation"))


@pytest.mark.parametrize("away", ["offline", "unreachable", "down"])
@pytest.mark.parametrize("streaming", [False, True])
def test_another_commit_of_the_cache_is_never_taken_for_it(
    hub: HubServer, repo: Repo, monkeypatch: pytest.MonkeyPatch, away: str, streaming: bool
) -> None:
    rows_of(source())
    new = repo.commit({"train.parquet": parquet(ROWS[:1])})
    make_away(away, hub, monkeypatch)
    with pytest.raises(HubError) as caught:
        rows_of(source(revision=new, streaming=streaming))
    assert f"Cannot download the dataset {REPO}: " in caught.value.text
    if away == "offline":
        assert f"`hf download {REPO} --repo-type dataset --revision {new}`" in caught.value.text


def make_away(how: str, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "offline":
        set_offline(True, monkeypatch)
    elif how == "unreachable":
        point_at(NOBODY, monkeypatch)
    else:
        hub.fail("", status=503)


def test_a_fault_in_the_middle_does_not_lead_to_another_commit(hub: HubServer, repo: Repo) -> None:
    """The hub answers, and then does not: `datasets` would go on with what its cache holds."""
    rows_of(source())
    repo.commit({"train.parquet": parquet(ROWS[:1])})
    hub.fail("HEAD", status=503)
    with pytest.raises(HubError, match="Try again"):
        rows_of(source())
    hub.faults.clear()
    assert rows_of(source()) == ROWS[:1]


def test_a_subset_is_not_guessed_among_several_while_the_hub_is_away(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"README.md": SUBSETS.encode(), "help/a.jsonl": lines(ROWS[:2]), "harm/a.jsonl": lines(ROWS[2:5])}
    hub.add(REPO, files, "dataset")
    rows_of(source(subset="help"))
    rows_of(source(subset="harm"))
    set_offline(True, monkeypatch)
    assert rows_of(source(subset="harm")) == ROWS[2:5]
    with pytest.raises(HubError, match="HF_HUB_OFFLINE"):
        rows_of(source())


def test_what_is_on_this_disk_or_no_repo_id_is_not_asked_for(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my").mkdir()
    (tmp_path / "my" / "pairs").write_bytes(lines(ROWS))
    with pytest.raises(UsageError, match=r'my/pairs is on this disk\. Write source = "local"'):
        open_hub(source("my/pairs"))
    with pytest.raises(UsageError, match="not the id of a dataset"):
        open_hub(source("no repo/at/all.jsonl"))
    assert not hub.requests


@pytest.mark.parametrize("streaming", [False, True])
def test_the_command_reports_on_a_dataset_of_the_hub(
    hub: HubServer, tmp_path: Path, model: Path, streaming: bool
) -> None:
    """In a process of its own, with the environment as people set it; offline the second time."""
    hub.add(REPO, {"train.jsonl": lines(ROWS)}, "dataset")
    config = tmp_path / "run.toml"
    config.write_text(
        f'[model]\nsource = "local"\nid = "{model}"\n[data]\nmax_length = 64\nmax_prompt_length = 32\n'
        f'[[data.sources]]\npath = "{REPO}"\nlimit = 20\nstreaming = {str(streaming).lower()}\n'
    )

    def report(**more: str) -> subprocess.CompletedProcess[str]:
        environment = hub_environment(hub.address, tmp_path / "home", **more)
        command = [sys.executable, "-m", "engine", "data", str(config), "--json"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    first = report()
    assert first.returncode == Exit.DONE, first.stderr
    assert json.loads(first.stdout)["rows"] == 20
    again = report(HF_HUB_OFFLINE="1")
    assert "Traceback" not in first.stderr + again.stderr
    if streaming:
        assert again.returncode == Exit.HUB
        assert "HF_HUB_OFFLINE is set" in again.stderr.splitlines()[-1]
    else:
        assert again.returncode == Exit.DONE, again.stderr
        assert again.stdout == first.stdout
