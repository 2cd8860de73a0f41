"""The job script: what it asks for, and that no value of a config is ever read as anything but itself."""

import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from engine.config.load import load_config
from engine.config.problems import ConfigError
from engine.config.schema import Config
from engine.exits import EnvironmentUnfitError, UsageError
from engine.launch.slurm.options import job_options
from engine.launch.slurm.script import job_name, job_script
from engine.launch.slurm.step import step_command
from engine.launch.slurm.submit import try_submission, without_secrets
from engine.rundir.paths import RunDir

HOSTILE = (
    "two words", "it's", 'a "quote"', "$(touch canary)", "`touch canary`", "; touch canary", "& touch canary",
    "| touch canary", "> canary", "a\nb", "a\rb", "a\tb", "a\\b", "-x", "--wrap=touch canary", "$HOME", "${IFS}x",
    "~root", "*", "?", "[a]", "{a,b}", "!history", "#SBATCH --wrap", "a%j", "ünïcödé", "中文", "\x1b[31m",
    "\u202eabc", "a=b", "'; touch canary; '", "\\'; touch canary; #",
)  # fmt: skip
NAMES = ("partition", "account", "qos", "time", "gpu_type", "mem", "constraint", "exclude")
TEXTS = ("setup", "cache", "container", "container_python")
LISTS = ("modules", "container_mounts")


def config_of(**slurm: Any) -> Config:
    """A config with this [launch.slurm]; raises what a file with it would be refused by."""
    return Config.model_validate(
        {
            "run": {"name": "r"},
            "model": {"source": "builtin", "id": "smollm2-135m-instruct"},
            "data": {"sources": [{"source": "builtin", "path": "quickstart"}]},
            "launch": {"launcher": "slurm", "slurm": slurm},
        }
    )


def write(folder: Path, key: str, value: Any) -> Path:
    import tomlkit

    data = {
        "model": {"source": "builtin", "id": "smollm2-135m-instruct"},
        "data": {"sources": [{"source": "builtin", "path": "quickstart"}]},
        "launch": {"launcher": "slurm", "slurm": {"gpus_per_node": 1, key: value}},
    }
    path = folder / "c.toml"
    path.write_text(tomlkit.dumps(data), encoding="utf-8")
    return path


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("key", [*NAMES, *TEXTS, *LISTS])
def test_a_hostile_value_is_refused_or_exact(key: str, value: str, tmp_path: Path) -> None:
    """In every text of the table: refused with its line, or the very words that are run in the end."""
    path = write(tmp_path, key, [value] if key in LISTS else value)
    config = loaded(path)
    if isinstance(config, ConfigError):
        assert f"launch.slurm.{key}" in config.text
        return
    run = RunDir(tmp_path / "runs" / "r")
    script = job_script(config, [run], run.job_script)
    require_inert(script, tmp_path)
    kept = getattr(config.launch.job, key)
    kept = kept[0] if isinstance(kept, list) else kept
    assert kept is not None
    if key in NAMES:
        assert any(kept in option.partition("=")[2] for option in job_options(config, "r"))
    elif key in ("modules", "setup"):
        assert shlex.quote(kept) in script
    elif key == "cache":
        assert f"export XDG_CACHE_HOME={shlex.quote(kept)}" in script
    else:
        in_container = config.model_copy(
            update={
                "launch": config.launch.model_copy(
                    update={
                        "slurm": config.launch.job.model_copy(
                            update={"container": config.launch.job.container or "image"}
                        )
                    }
                )
            }
        )
        try:
            assert kept in step_command(run, in_container)
        except UsageError as error:
            assert error.code == "slurm.mount"  # noqa: PT017 # refused as well, before anything is sent


@pytest.mark.parametrize("value", [value for value in HOSTILE if value.isprintable()])
def test_a_run_s_directory_may_be_called_anything(value: str, tmp_path: Path) -> None:
    """The shell enters it and hands it on as one word, whatever is in its name."""
    run = RunDir(tmp_path / value / "r")
    run.root.mkdir(parents=True)
    script = job_script(config_of(), [run], run.job_script)
    require_inert(script, tmp_path)
    script = script[: script.rindex("exec ")] + 'printf "%s\\0" "$PWD" "$run" >&3\n'
    with (tmp_path / "said").open("wb") as said:
        subprocess.run(["bash", "-c", f"exec 3>&1; {script}"], check=True, stdout=said, cwd=tmp_path)
    assert (tmp_path / "said").read_bytes().split(b"\0")[:2] == [str(run.root).encode()] * 2
    assert not list(tmp_path.rglob("canary"))


def loaded(path: Path) -> Config | ConfigError:
    """The config, or why it is none."""
    try:
        return load_config(path).config
    except ConfigError as error:
        return error


def require_inert(script: str, folder: Path) -> None:
    """It is bash, and reading it ran nothing; its directives have no word that is not in the list of options."""
    read = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, cwd=folder)
    assert (read.returncode, read.stderr) == (0, "")
    for line in script.splitlines():
        if line.startswith("#SBATCH "):
            assert len(shlex.split(line.removeprefix("#SBATCH "))) == 1
    assert not (folder / "canary").exists()


def test_what_is_asked_for() -> None:
    config = config_of(
        partition="gpu", account="lab", qos="high", time="1-12:00:00", nodes=2, gpus_per_node=8, gpu_type="a100",
        cpus_per_task=8, mem="0", constraint="nvlink&a100", exclude="node[3-5],node9", grace=120, requeue=False,
    )  # fmt: skip
    assert job_options(config, "r") == [
        "--job-name=dpo-r", "--partition=gpu", "--account=lab", "--qos=high", "--time=1-12:00:00", "--nodes=2",
        "--ntasks-per-node=8", "--cpus-per-task=8", "--mem=0", "--gpus-per-node=a100:8",
        "--constraint=nvlink&a100", "--exclude=node[3-5],node9", "--signal=B:USR1@120", "--output=job.log",
        "--open-mode=append", "--no-requeue",
    ]  # fmt: skip
    assert config.launch.world == 16
    assert job_options(config_of(parallel=2), "s", 4)[-1] == "--array=0-3%2"
    assert config_of().launch.world == 1


def test_containers() -> None:
    """apptainer and pyxis see the run and the cache, by their own words."""
    run = RunDir(Path("/runs/r"))
    inside = step_command(run, config_of(container="/i/dpo.sif", gpus_per_node=2, cache="/shared", nodes=2))
    at = inside.index("apptainer")
    assert inside[at:] == [
        "apptainer", "exec", "--nv", "--bind", "/runs/r", "--bind", "/shared", "/i/dpo.sif", "python3",
        "-P", "-m", "engine", "rank", "/runs/r",
    ]  # fmt: skip
    assert "--ntasks=4" in inside
    pyxis = step_command(run, config_of(container="nvcr.io/dpo:1", container_runtime="pyxis"))
    assert "--container-image=nvcr.io/dpo:1" in pyxis
    assert "--container-mounts=/runs/r:/runs/r" in pyxis


def test_a_container_s_folders_have_names_that_its_runtime_can_take() -> None:
    """A colon or a comma would mount another folder than the one that is meant: said before the job is sent."""
    config = config_of(container="/i/dpo.sif", container_mounts=["/a:/etc"])
    with pytest.raises(UsageError, match="/a:/etc"):
        step_command(RunDir(Path("/runs/r")), config)
    with pytest.raises(UsageError, match="/ru,ns/r"):
        step_command(RunDir(Path("/ru,ns/r")), config_of(container="/i/dpo.sif"))


def test_a_secret_stays_here() -> None:
    token = "hf_" + "a" * 34
    environment = {
        "PATH": "/bin", "HF_TOKEN": token, "WANDB_API_KEY": "x", "AWS_SECRET_ACCESS_KEY": "x", "MY_PASSWORD": "x",
        "HEADER": f"Bearer {token}", "MODELSCOPE_API_TOKEN": "x", "MODELSCOPE_CACHE": "/m",
        "HF_HOME": "/h", "SBATCH_ACCOUNT": "lab", "KEYBOARD": "de",
        "SLURM_CONF": "/etc/slurm.conf", "SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3",
    }  # fmt: skip
    assert set(without_secrets(environment)) == {
        "PATH",
        "HF_HOME",
        "MODELSCOPE_CACHE",
        "SBATCH_ACCOUNT",
        "KEYBOARD",
        "SLURM_CONF",  # of the cluster; what else Slurm has set is of the job that this is sent from
    }


def test_a_job_with_a_cache_of_its_own_finds_the_login_of_whoever_sends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/home/me/login token")
    run = RunDir(Path("/runs/r"))
    script = job_script(config_of(cache="/shared/cache"), [run], run.job_script)
    assert "export HF_HOME=/shared/cache/huggingface\n" in script
    assert "export HF_TOKEN_PATH='/home/me/login token'\n" in script
    assert "HF_TOKEN_PATH" not in job_script(config_of(), [run], run.job_script)


def test_a_job_is_called_by_one_word() -> None:
    run = RunDir(Path("/runs/copy of\nmine"))
    assert job_name([run], run.job_script) == "copy-of-mine"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("sbatch: error: invalid partition specified: nowhere", UsageError),
        (
            "sbatch: error: Batch job submission failed: Unable to contact slurm controller",
            EnvironmentUnfitError,
        ),
        ("sbatch: fatal: Could not establish a configuration source", EnvironmentUnfitError),
    ],
)
def test_a_cluster_that_refuses_and_one_that_does_not_answer(
    said: str, error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2 is for what the config can put right, 8 for what it cannot."""
    sbatch = tmp_path / "sbatch"
    sbatch.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n")
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(error, match=said.rpartition(": ")[2]):
        try_submission(config_of(), [RunDir(tmp_path / "r")])
    sbatch.unlink()
    with pytest.raises(EnvironmentUnfitError, match="there is no sbatch here"):
        try_submission(config_of(), [RunDir(tmp_path / "r")])
