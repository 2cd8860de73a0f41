"""Each way a dataset of the hub can fail: one line with the cause and a way out, and the right exit code."""

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from engine.config.schema import Source
from engine.data.files.hub import open_hub
from engine.exits import CannotWriteError, EngineError, Exit, HubError, UnusableError
from tests.engine.hub_here import parquet, set_offline, soon
from tests.hub_repo import Repo
from tests.hub_server import TOKEN, HubServer

REPO = "owner/pairs"
ROWS = [{"prompt": f"p{n}", "chosen": f"c{n}" * 30, "rejected": f"r{n}" * 40} for n in range(40)]


@pytest.fixture
def repo(hub: HubServer) -> Repo:
    return hub.add(REPO, {"train.parquet": parquet(ROWS), "README.md": b"# Pairs"}, "dataset")


def refusal(kind: type[EngineError] = HubError, **more: Any) -> EngineError:
    """The error of reading the dataset, which is fit to be shown as it is."""
    with pytest.raises(kind) as caught:
        list(open_hub(Source.model_validate({"path": REPO, **more}))[1])
    error = caught.value
    assert f"he dataset {REPO}" in error.text
    assert "\n" not in error.text
    assert TOKEN not in error.text + json.dumps(error.params)
    return error


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "place", ["/api/datasets/[^/]*/[^/]*$", "/api/.*/revision/", "README", "train.parquet"]
)
@pytest.mark.parametrize(
    ("status", "headers", "code", "way_out"),
    [
        (401, {}, "hub.auth", "hf auth login"),
        (403, {}, "hub.auth", "HF_TOKEN"),
        (403, {"X-Error-Code": "GatedRepo"}, "hub.gated", f"ask on https://huggingface.co/datasets/{REPO}"),
        (404, {"X-Error-Code": "RepoNotFound"}, "hub.not_found", "check the id"),
        (429, {"Retry-After": "3600"}, "hub.rate_limit", "Wait 3,600 seconds"),
        (500, {}, "hub.down", "Try again later"),
    ],
)
def test_refusal_is_one_line_with_a_way_out(
    hub: HubServer,
    repo: Repo,
    streaming: bool,
    place: str,
    status: int,
    headers: dict[str, str],
    code: str,
    way_out: str,
) -> None:
    hub.fail(place, status=status, headers=headers)
    error = refusal(streaming=streaming)
    assert (error.code, error.exit) == (code, Exit.HUB)
    assert way_out in error.text


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize(
    "place", ["/api/datasets/[^/]*/[^/]*$", "/api/.*/revision/", "HEAD", "GET .*parquet"]
)
def test_silent_hub_is_given_up(
    hub: HubServer, repo: Repo, monkeypatch: pytest.MonkeyPatch, streaming: bool, place: str
) -> None:
    soon(monkeypatch, 0.03)
    hub.fail(place, kind="stall")
    error = refusal(streaming=streaming)
    assert error.exit is Exit.HUB
    # Of a HEAD that was not answered `datasets` keeps no more than that it failed.
    assert error.code == ("hub.unreachable" if place == "HEAD" else "hub.timeout")


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("kind", ["drop", "short"])
def test_transfer_that_breaks_is_told_and_nothing_of_it_is_kept(
    hub: HubServer, repo: Repo, tmp_path: Path, streaming: bool, kind: str
) -> None:
    hub.fail("GET .*parquet", kind=kind)
    looks_broken = streaming and kind == "short"  # a stream does not know how long a file should be
    error = refusal(UnusableError if looks_broken else HubError, streaming=streaming)
    assert error.exit is (Exit.UNUSABLE if looks_broken else Exit.HUB)
    assert ("set streaming = false" if looks_broken else "ry again") in error.text
    assert not list(tmp_path.rglob("*.arrow"))
    hub.faults.clear()
    _, rows = open_hub(Source(path=REPO, streaming=streaming))
    assert [fields for _, fields in rows] == ROWS


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("fault", [{"kind": "cut"}, {"kind": "drop"}, {"status": 502}, {"status": 429}])
@pytest.mark.parametrize("place", ["/api/.*/revision/", "HEAD .*README", "GET .*parquet"])
def test_passing_fault_is_got_over(
    hub: HubServer, repo: Repo, streaming: bool, fault: dict[str, Any], place: str
) -> None:
    hub.fail(place, times=1, **fault)
    _, rows = open_hub(Source(path=REPO, streaming=streaming))
    assert [fields for _, fields in rows] == ROWS


@pytest.mark.parametrize("fault", [{"kind": "drop"}, {"kind": "cut"}, {"status": 503}, {"status": 429}])
def test_a_stream_that_does_not_come_back_is_given_up_in_minutes(
    hub: HubServer, repo: Repo, monkeypatch: pytest.MonkeyPatch, fault: dict[str, Any]
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    hub.fail("GET .*parquet", **fault)
    assert refusal(streaming=True).exit is Exit.HUB
    assert 0 < sum(waits) < 300


@pytest.mark.parametrize("streaming", [False, True])
def test_gated_dataset_is_known_by_its_files(hub: HubServer, repo: Repo, streaming: bool) -> None:
    repo.gated = True
    assert refusal(streaming=streaming).code == "hub.gated"


def test_dataset_called_gated_is_not_taken_for_one(hub: HubServer) -> None:
    with pytest.raises(HubError) as caught:
        open_hub(Source(path="owner/gated"))
    assert caught.value.code == "hub.not_found"


def test_revision_that_is_not_there_is_named(hub: HubServer, repo: Repo) -> None:
    error = refusal(revision="v9")
    assert error.code == "hub.no_revision"
    assert (
        f'no revision "v9": see its branches and tags on https://huggingface.co/datasets/{REPO}' in error.text
    )


def test_stream_needs_a_network(hub: HubServer, repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    list(open_hub(Source(path=REPO))[1])
    set_offline(True, monkeypatch)
    assert refusal(streaming=True).code == "hub.offline"


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"train.parquet": b"PAR1 no"}, "Parquet"),
        ({"train.jsonl": b'{"prompt": \n'}, "JSON"),
        ({"README.md": b"# Nothing else"}, "data files"),
        ({"a.jsonl": b'{"a": 1}\n', "b.jsonl": b'{"b": "x"}\n'}, "must have the same columns"),
        (
            {"pairs.py": b"import os", "train.parquet": parquet(ROWS)},
            'set revision = "refs/convert/parquet"',
        ),
    ],
)
def test_dataset_that_is_broken_is_unusable(hub: HubServer, files: dict[str, bytes], problem: str) -> None:
    hub.add(REPO, files, "dataset")
    error = refusal(UnusableError)
    assert error.exit is Exit.UNUSABLE
    assert problem in error.text
    assert "An error occurred" not in error.text


def test_stream_that_turns_out_broken_says_so_where_it_breaks(hub: HubServer) -> None:
    good = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
    hub.add(REPO, {"a.jsonl": good, "b.jsonl": b'{"prompt": \n'}, "dataset")
    rows = open_hub(Source(path=REPO, streaming=True))[1]
    assert [next(rows)[1] for _ in ROWS] == ROWS
    with pytest.raises(UnusableError, match=r"JSON.*or set streaming = false"):
        next(rows)


def test_code_that_comes_with_a_dataset_is_never_run(hub: HubServer, tmp_path: Path) -> None:
    canary = tmp_path / "ran"
    code = f"open({str(canary)!r}, 'w')".encode()
    hub.add(REPO, {"pairs.py": code, "train.parquet": parquet(ROWS)}, "dataset")
    refusal(UnusableError)
    assert not canary.exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_exit_code_6(
    hub: HubServer, repo: Repo, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(number, "No space left on device")

    monkeypatch.setattr("datasets.arrow_writer.ArrowWriter.write_table", full)
    error = refusal(CannotWriteError)
    assert error.exit is Exit.CANNOT_WRITE
    assert "HF_HOME" in error.text
