"""Datasets of ModelScope, from a server on this machine: the rows of a split, each with its place."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.config.schema import Source
from engine.data.files.sources import fingerprint, open_source
from engine.exits import Exit, HubError, UnusableError
from tests.engine.hub_here import parquet
from tests.engine.scope_here import scope_environment, switch_off
from tests.hub_repo import Repo
from tests.modelscope_server import SCOPE_TOKEN, ScopeServer

REPO = "AI-Owner/pairs.v1"
ROWS = [{"prompt": f"p{n}", "chosen": f"c{n}", "rejected": f"r{n}"} for n in range(40)]
SHARDS = {f"data/train-0000{n}-of-00004.parquet": parquet(ROWS[10 * n : 10 * n + 10]) for n in range(4)}
TEST = {"data/test-00000-of-00001.parquet": parquet(ROWS[:3])}
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
def repo(server: ScopeServer) -> Repo:
    return server.add(REPO, {**SHARDS, **TEST}, "dataset")


def source(**more: Any) -> Source:
    return Source.model_validate({"source": "modelscope", "path": REPO, **more})


def rows_of(asked: Source) -> list[dict[str, Any]]:
    return [row.fields for row in open_source(asked).rows]


def fetched(server: ScopeServer) -> list[str]:
    return sorted({line.split("/file/")[1].split("/", 1)[1] for line in server.lines("/file/")})


@pytest.mark.parametrize(
    ("files", "places"),
    [
        (SHARDS, ["data/train-00000-of-00004.parquet row 1", "data/train-00003-of-00004.parquet row 10"]),
        ({"train.jsonl": lines(ROWS)}, ["train.jsonl:1", "train.jsonl:40"]),
        ({"train.jsonl.gz": gzip.compress(lines(ROWS))}, ["train.jsonl.gz:1", "train.jsonl.gz:40"]),
        (
            {"data/a.json": json.dumps(ROWS[:20]).encode(), "data/b.json": lines(ROWS[20:])},
            ["data/a.json row 1", "data/b.json:20"],
        ),
        (
            {"pairs.csv": "\n".join(["prompt,chosen,rejected", *(f"p{n},c{n},r{n}" for n in range(40))]).encode()},
            ["pairs.csv:2", "pairs.csv:41"],
        ),
    ],
)  # fmt: skip
def test_rows_come_in_order_with_their_places(
    server: ScopeServer, files: dict[str, bytes], places: list[str]
) -> None:
    extra = {"README.md": b"# Pairs", "pairs.py": b"raise SystemExit", "logo.png": b"x", ".msc": b"x"}
    server.add(REPO, {**extra, **files}, "dataset")
    rows = list(open_source(source()).rows)
    assert [row.fields for row in rows] == ROWS
    assert [rows[0].where, rows[-1].where] == [f"{REPO}/{place}" for place in places]
    assert fetched(server) == sorted(["README.md", *files])


@pytest.mark.parametrize("name", ["dataset_infos.json", "dataset_info.json", "data/state.json"])
def test_what_is_said_about_the_data_is_no_data(server: ScopeServer, name: str) -> None:
    server.add(REPO, {name: b'{"default": {}}', "data/train.jsonl": lines(ROWS)}, "dataset")
    assert rows_of(source()) == ROWS
    assert fetched(server) == ["data/train.jsonl"]


def test_a_temporary_folder_may_be_a_link(
    server: ScopeServer, repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "link"))
    assert rows_of(source()) == ROWS


@pytest.mark.parametrize(
    "files",
    [
        {"README.md": b"---\nconfigs:\n- config_name: a\n  data_files: README.md\n---\n", "a.json": b"[]"},
        {"a.json": b"[]", "a.json/b.json": b"[]"},
    ],
)
def test_a_repo_that_makes_no_sense_is_refused(server: ScopeServer, files: dict[str, bytes]) -> None:
    server.add(REPO, files, "dataset")
    with pytest.raises(UnusableError, match=f"The dataset {REPO} .* cannot be used"):
        rows_of(source())


@pytest.mark.parametrize(
    "data",
    [
        'data_files: "hf://datasets/o/n/a.json"',
        "data_files:\n  - split: train\n    path: https://example.org/a.json",
        "data_files:\n  - split: train\n    path:\n    - s3://bucket/a.json",
    ],
)
def test_a_card_that_names_data_of_another_host_is_refused_unasked(server: ScopeServer, data: str) -> None:
    card = f"---\nconfigs:\n- config_name: a\n  {data}\n---\nSee https://example.org/a.json"
    server.add(REPO, {"README.md": card.encode(), "a.json": b"[]"}, "dataset")
    with pytest.raises(UnusableError, match="names data of another place"):
        rows_of(source())


def test_rows_and_files_are_counted_where_that_can_be_told(server: ScopeServer, repo: Repo) -> None:
    opened = open_source(source())
    assert (opened.total, opened.files) == (40, 4)
    assert fetched(server) == sorted(SHARDS)


def test_a_source_with_a_limit_is_fetched_no_further_than_it_is_read(server: ScopeServer, repo: Repo) -> None:
    assert rows_of(source(limit=12)) == ROWS[:12]
    assert fetched(server) == sorted(SHARDS)[:2]


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        ("train", ROWS),
        ("test", ROWS[:3]),
        ("train+test", ROWS + ROWS[:3]),
        ("train[:5]", ROWS[:5]),
        ("train[8:12]+test[-1:]", ROWS[8:12] + ROWS[2:3]),
        ("train[50%:]", ROWS[20:]),
        ("all", ROWS + ROWS[:3]),
    ],
)
@pytest.mark.parametrize("text", [False, True])
def test_the_split_asked_for_is_read(
    server: ScopeServer, split: str, expected: list[dict[str, Any]], text: bool
) -> None:
    files = {"train.jsonl": lines(ROWS), "test.jsonl": lines(ROWS[:3])} if text else {**SHARDS, **TEST}
    server.add(REPO, files, "dataset")
    found = rows_of(source(split=split))
    assert sorted(found, key=str) == sorted(expected, key=str) if split == "all" else found == expected


def test_a_split_that_is_not_there_is_answered_with_those_that_are(server: ScopeServer, repo: Repo) -> None:
    with pytest.raises(UnusableError) as caught:
        rows_of(source(split="validation"))
    assert f'{REPO} has no split "validation", only ' in caught.value.text
    assert not fetched(server)


def test_a_split_that_nobody_understands_is_refused(server: ScopeServer, repo: Repo) -> None:
    with pytest.raises(UnusableError, match=f"The dataset {REPO} .* cannot be used"):
        rows_of(source(split="train[x:]"))


def test_a_dataset_of_several_subsets_wants_one_named(server: ScopeServer) -> None:
    files = {"README.md": SUBSETS.encode(), "help/a.jsonl": lines(ROWS[:2]), "harm/a.jsonl": lines(ROWS[2:5])}
    server.add(REPO, files, "dataset")
    with pytest.raises(UnusableError, match=r'has several subsets: help, harm\..* subset = "help"'):
        rows_of(source())
    with pytest.raises(UnusableError, match='has no subset "ham", only help, harm'):
        rows_of(source(subset="ham"))
    assert rows_of(source(subset="harm")) == ROWS[2:5]
    assert fetched(server) == ["README.md", "harm/a.jsonl"]


def test_a_dataset_without_data_is_refused(server: ScopeServer) -> None:
    server.add(REPO, {"README.md": b"# None", "a.bin": b"x"}, "dataset")
    with pytest.raises(UnusableError, match=f"https://www.modelscope.cn/datasets/{REPO}"):
        rows_of(source())


def test_a_broken_row_is_named_with_its_file_and_line(server: ScopeServer) -> None:
    server.add(REPO, {"train.jsonl": lines(ROWS[:2]) + b"{broken\n"}, "dataset")
    with pytest.raises(UnusableError) as caught:
        rows_of(source())
    assert "train.jsonl:3" in caught.value.text


def test_many_files_come_in_pages(server: ScopeServer) -> None:
    files = {f"data/{n:04}.jsonl": lines([ROWS[n % 40]]) for n in range(450)}
    server.add(REPO, files, "dataset")
    assert len(rows_of(source(limit=3))) == 3
    assert len(server.lines("repo/tree")) == 3
    assert open_source(source(limit=3)).files == 450


def test_a_commit_given_is_the_commit_read(server: ScopeServer, repo: Repo) -> None:
    old = repo.refs["master"]
    repo.commit({"train.parquet": parquet(ROWS[:1])}, "master")
    assert rows_of(source()) == ROWS[:1]
    assert rows_of(source(revision=old)) == ROWS


def test_a_second_start_needs_no_network_and_half_a_dataset_is_not_read(
    server: ScopeServer, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fail("/file/.*train-00002", kind="cut")
    with pytest.raises(HubError) as caught:
        rows_of(source())
    assert caught.value.code == "modelscope.broken"
    switch_off(True, monkeypatch)
    with pytest.raises(HubError) as caught:
        rows_of(source())
    assert caught.value.params["lacking"] == ["data/train-00002-of-00004.parquet"]
    assert f"fetch {REPO} --dataset --revision {repo.refs['master']}" in caught.value.text
    switch_off(False, monkeypatch)
    server.faults.clear()
    server.requests.clear()
    assert rows_of(source()) == ROWS
    assert [request.range is not None for request in server.requests if "/file/" in request.path] == [True]
    switch_off(True, monkeypatch)
    server.requests.clear()
    assert rows_of(source()) == ROWS
    assert not server.requests


def test_its_files_are_no_part_of_a_fingerprint(server: ScopeServer, repo: Repo) -> None:
    """As with the hub: path, split and commit say all."""
    assert fingerprint(source()) == []
    assert not server.requests


def test_the_command_reports_on_a_dataset_of_modelscope(
    server: ScopeServer, tmp_path: Path, model: Path
) -> None:
    """In a process of its own, with the environment as people set it; fetched first, offline after."""
    server.add(REPO, {"train.jsonl": lines(ROWS)}, "dataset")
    config = tmp_path / "run.toml"
    config.write_text(
        f'[model]\nsource = "local"\nid = "{model}"\n[data]\nmax_length = 64\nmax_prompt_length = 32\n'
        f'[[data.sources]]\nsource = "modelscope"\npath = "{REPO}"\nlimit = 20\n'
    )

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = scope_environment(server.address, tmp_path, **more)
        command = [sys.executable, "-m", "engine", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    assert run("fetch", REPO, "--dataset").returncode == Exit.DONE
    server.requests.clear()
    done = run("data", str(config), "--json", HF_HUB_OFFLINE="1")
    assert done.returncode == Exit.DONE, done.stderr
    assert json.loads(done.stdout)["rows"] == 20
    assert not server.requests
    assert SCOPE_TOKEN not in done.stdout + done.stderr
