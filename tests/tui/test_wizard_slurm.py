"""The launcher's step for a cluster: its partitions, the job's own fields, and the script that follows them."""

from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion
from textual.pilot import Pilot
from textual.widgets import OptionList

from dpo_tui.text import Language
from dpo_tui.widgets.field import Field
from dpo_tui.wizard import preflight
from dpo_tui.wizard.cluster import Partitions, partition_line, taken
from dpo_tui.wizard.draft import Draft
from dpo_tui.wizard.kinds import leaf_keys
from engine.config.toml import TomlDocument
from engine.exits import UsageError
from engine.launch.slurm import cluster
from engine.launch.slurm.cluster import Partition
from tests.fake_slurm import FakeSlurm
from tests.tui.driving import SIZES, assert_sound, frame, shows, wait_for
from tests.tui.wizard_app import WizardApp, drawn, opened, stand_still

GPU = Partition("gpu", True, True, "2-00:00:00", 12, "a100", 8, 96, 1_000_000)
CPU = Partition("debug", False, True, "30:00", 2, None, 0, 16, 64_000)
DOWN = Partition("old", False, False, "infinite", 4, None, 4, 32, 0)


@pytest.fixture(autouse=True)
def three_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_still(monkeypatch)
    monkeypatch.setattr("engine.launch.slurm.script.ENGINE", ("python", "-P", "-m", "engine"))
    monkeypatch.setattr("dpo_tui.wizard.cluster.run_root", lambda _: Path("/runs/quickstart"))
    monkeypatch.setattr(cluster, "partitions", lambda: [GPU, CPU, DOWN])


async def at_slurm(pilot: Pilot[int]) -> WizardApp:
    """The app at the launcher's step, with Slurm chosen."""
    app = await opened(pilot)
    await pilot.press(*["ctrl+n"] * 3)
    await wait_for(pilot, lambda: app.step.step_id == "launcher")
    await pilot.press("right")
    await wait_for(pilot, lambda: app.wizard.draft.get("launch.launcher") == "slurm")
    return app


@pytest.mark.parametrize("size", SIZES)
async def test_a_cluster(size: tuple[int, int], language: Language, snapshot: SnapshotAssertion) -> None:
    async with WizardApp().run_test(size=size) as pilot:
        app = await at_slurm(pilot)
        await wait_for(pilot, lambda: bool(app.step.query_one(Partitions).query_one(OptionList).option_count))
        await drawn(pilot)
        assert_sound(app)
        assert frame(app) == snapshot


async def test_a_partition_is_taken_with_its_gpus_and_the_script_follows() -> None:
    async with WizardApp().run_test(size=(200, 60)) as pilot:
        app = await at_slurm(pilot)
        options = app.step.query_one(Partitions).query_one(OptionList)
        await wait_for(pilot, lambda: options.option_count == 3)
        options.focus()
        await pilot.press("enter")
        draft = app.wizard.draft
        await wait_for(pilot, lambda: draft.get("launch.slurm.partition") == "gpu")
        assert (draft.get("launch.slurm.gpu_type"), draft.get("launch.slurm.gpus_per_node")) == ("a100", 8)
        await wait_for(pilot, lambda: "--gpus-per-node=a100:8" in str(app.step.query_one("#script").render()))
        shown = {field.key for field in app.step.query(Field) if field.display}
        assert set(leaf_keys()["launch.slurm"]) <= shown
        assert "launch.devices" not in shown


def test_another_partition_takes_back_what_the_first_one_brought(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[launch]\nlauncher = "slurm"\n')
    draft = Draft(TomlDocument.read(path), path=path, template=None)
    taken(draft, GPU)
    draft.set("launch.slurm.gpus_per_node", 2)
    taken(draft, GPU)
    assert draft.get("launch.slurm.gpus_per_node") == 2
    taken(draft, DOWN)
    assert (draft.given("launch.slurm.gpu_type"), draft.get("launch.slurm.gpus_per_node")) == (False, 2)
    taken(draft, CPU)
    assert not draft.given("launch.slurm.gpus_per_node")


def test_a_line_says_what_a_node_has() -> None:
    assert partition_line(GPU).plain.startswith("gpu *")
    assert "8 × a100 GPU" in partition_line(GPU).plain
    assert "down" in partition_line(DOWN).plain


async def test_no_cluster_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing() -> list[Partition]:
        raise FileNotFoundError("there is no sinfo here")

    monkeypatch.setattr(cluster, "partitions", nothing)
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await at_slurm(pilot)
        await wait_for(pilot, lambda: "there is no sinfo" in frame(app))


@pytest.mark.parametrize("refused", [False, True])
async def test_the_review_tries_the_job(refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the cluster would say to it stands among the checks, and keeps from starting where it says no."""

    def tried(*_: object) -> str:
        if refused:
            raise UsageError("slurm.refused", "the cluster refused the job: invalid account", detail="x")
        return "Job 7 to start at 12:00"

    monkeypatch.setattr(preflight, "try_submission", tried)
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await at_slurm(pilot)
        await pilot.press("ctrl+n")
        expected = "the cluster refused the job" if refused else "Job 7 to start at 12:00"
        await wait_for(pilot, lambda: expected in frame(app))
        await shows(pilot, "Slurm  ·  1 × 1 process")
        assert app.step.query_one("#start").disabled is refused


async def test_a_job_that_will_never_begin_is_said_beside_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the command line says it, and with nothing left of it; the screen answers while the cluster looks."""
    slurm, looks = FakeSlurm(tmp_path / "bin", monkeypatch), tmp_path / "looks"
    slurm.says("PENDING|PartitionConfig")
    slurm.waits(looks)
    monkeypatch.setattr(preflight, "try_submission", lambda *_: "Job 7 to start at 12:00")
    async with WizardApp().run_test(size=(120, 40)) as pilot:
        app = await at_slurm(pilot)
        await pilot.press("ctrl+n")
        await wait_for(pilot, lambda: app.step.step_id == "review" and "Job 7" in frame(app))
        await pilot.press("enter")
        await wait_for(pilot, lambda: "the cluster looks at the job" in frame(app))
        await pilot.press("f4")
        await wait_for(pilot, lambda: app.wizard.query_one("#body").has_class("-toml"))
        await wait_for(pilot, lambda: (Path.cwd() / "runs" / "quickstart").exists())
        await pilot.press("f4")
        looks.touch()
        await wait_for(pilot, lambda: "it asks for more nodes" in frame(app))
        assert app.monitored == []
    assert slurm.cancelled == "12"
    assert not (Path.cwd() / "runs" / "quickstart").exists()
