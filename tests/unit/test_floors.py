"""Who may import whom, checked in fresh processes: the app and the ground floor never load torch or its kin."""

import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator, Sequence

import dpo_tui
import engine

HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "accelerate",
    "deepspeed",
    "peft",
    "modelscope",
    "modelscope_hub",
)
APP = (*HEAVY, "textual", "numpy", "pydantic", "rich")

GROUND_FLOOR = (
    "engine.__main__",
    "engine.config",
    "engine.exits",
    "engine.launch",
    "engine.modelscope_home",
    "engine.plan",
    "engine.process",
    "engine.rundir",
    "engine.shipped",
    "engine.supervise",
)

PROBE = """
import importlib, json, sys
modules, forbidden = json.loads(sys.argv[1])
guilty = {}
for name in modules:
    importlib.import_module(name)
    if loaded := [other for other in forbidden if other in sys.modules]:
        guilty[name] = loaded
        forbidden = [other for other in forbidden if other not in loaded]
print(json.dumps(guilty))
"""


def test_the_app_loads_nothing_heavy() -> None:
    modules = list(modules_of("dpo_tui", dpo_tui.__path__))
    assert "dpo_tui.cli" in modules
    assert guilty(modules, HEAVY) == {}


def test_the_ground_floor_loads_nothing_heavy() -> None:
    modules = ground_floor()
    assert {"engine.config.load", "engine.exits"} < set(modules)
    assert guilty(modules, HEAVY) == {}


def test_the_command_line_loads_only_what_every_command_needs() -> None:
    assert guilty(["dpo_tui.cli"], APP) == {}


def test_the_first_screen_waits_for_nothing_that_it_does_not_show() -> None:
    later = ("pydantic", "numpy", "huggingface_hub", "tomlkit", "psutil", "pynvml")
    assert guilty(["dpo_tui.app", "dpo_tui.screens.home"], (*HEAVY, *later)) == {}


def test_the_engine_never_loads_the_app() -> None:
    assert guilty(ground_floor(), ("dpo_tui", "textual", "typer", "rich")) == {}


def ground_floor() -> list[str]:
    return [
        name
        for name in modules_of("engine", engine.__path__)
        if any(name == floor or name.startswith(f"{floor}.") for floor in GROUND_FLOOR)
    ]


def modules_of(package: str, path: Sequence[str]) -> Iterator[str]:
    """Every module of a package, found without importing any."""
    for module in pkgutil.iter_modules(path):
        name = f"{package}.{module.name}"
        yield name
        if module.ispkg:
            yield from modules_of(name, [f"{directory}/{module.name}" for directory in path])


def guilty(modules: Sequence[str], forbidden: Sequence[str]) -> dict[str, list[str]]:
    """The modules that load a forbidden one, each with which, in a process that has loaded nothing yet."""
    probe = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps([modules, forbidden])],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[str]] = json.loads(probe.stdout)
    return found
