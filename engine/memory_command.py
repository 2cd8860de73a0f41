"""`python -m engine memory CONFIG`: what a training will take of a device's memory, told before a weight is read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import psutil
import torch

from engine.arguments import Parser
from engine.cgroup import own_limit
from engine.config.load import load_config
from engine.exits import Exit, UnusableError
from engine.extras import require_extras
from engine.forecast import Forecast, computes_fast_bf16, forecast
from engine.memory import Device, gib
from engine.models.quiet import quiet_libraries, talk_on_stderr
from engine.models.resolve import glance
from engine.numerics import device_has_bf16
from engine.precision import computing_type
from engine.preview.model_facts import model_shape
from engine.remedy import tight


def main(argv: Sequence[str]) -> Exit:
    """Print the forecast; as one JSON object with `--json`. Raises what finding the model raises."""
    parser = Parser(prog="python -m engine memory", description=__doc__)
    parser.add_argument("config", type=Path, help="a TOML config")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--device", choices=get_args(Device), help="a device that is not here; with --room")
    parser.add_argument("--room", type=int, help="bytes of its memory for each process")
    asked = parser.parse_args(argv)
    config = load_config(asked.config).config
    require_extras(config)
    quiet_libraries()
    with talk_on_stderr():
        shape = model_shape(config.model, glance(config.model))
    if shape is None:
        text = f"{config.model.id}: its config tells no sizes that memory could be counted by"
        raise UnusableError("model.no_sizes", text, id=config.model.id)
    here = asked.device is None or asked.room is None
    device, room = _device(config.launch.per_node) if here else (asked.device, asked.room)
    found = forecast(config, shape, device, room)
    fast_bf16 = device_has_bf16() if here else computes_fast_bf16(device)
    dtype = computing_type(config.model.dtype, fast_bf16=fast_bf16)
    print(json.dumps({**found.to_json(), "dtype": dtype}) if asked.json else _text(found))
    return Exit.DONE


def _device(processes: int) -> tuple[Device, int]:
    """What a training here would run on, and each process's memory in bytes."""
    if torch.cuda.is_available():
        return "cuda", torch.cuda.get_device_properties(0).total_memory
    return "cpu", min(psutil.virtual_memory().total, own_limit()) // processes


def _text(found: Forecast) -> str:
    if not found.fits:
        return tight(found.estimate, found.room, found.remedy)[0]
    packs = f"in packs of {found.tokens_per_pack:,} tokens"
    return f"at most {str(found.estimate).removeprefix('about ')}; {packs}, of {gib(found.room)} GiB"
