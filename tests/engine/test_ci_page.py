"""The workflow on the page for CI: its report is made from the summary of a real run."""

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from engine import train
from engine.rundir.events import read_events
from engine.rundir.status import Reason, Status
from engine.rundir.summary import write_summary
from tests.engine.runs import make_run

PAGE = Path(__file__).parents[2] / "docs" / "ci.md"


@pytest.fixture(scope="module")
def script() -> str:
    found = re.search(r"<<'PYTHON'\n(.*?)\n +PYTHON\n", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return textwrap.dedent(found[1])


@pytest.mark.parametrize(
    ("gate", "said"),
    [("gates.min_accuracy=0", "**done**"), ("gates.min_margin=99", "**failed** gates missed at step 2")],
)
def test_the_report_shows_how_the_run_ended(
    tmp_path: Path, model: Path, pairs: Path, script: str, gate: str, said: str
) -> None:
    run = make_run(tmp_path / "runs", "ci-7", model, pairs, "train.max_steps=2", gate)
    code = train.main(run.root)
    *_, end = read_events(run.events)
    reason = Reason(end["code"], end["text"], end["params"]) if code else None
    status = Status(state="failed" if code else "done", exit_code=int(code), reason=reason)
    write_summary(run, status, since=0, seconds=1.0)
    report = subprocess.run(
        [sys.executable, "-c", script],
        env={"GITHUB_RUN_ID": "7"},
        cwd=tmp_path,
        text=True,
        capture_output=True,
        check=True,
    ).stdout
    assert report.startswith(said), report
    assert re.search(r"^\| final \| [0-9.]+ \| -?[0-9.]+ \| [0-9.]+ \|$", report, re.MULTILINE), report
