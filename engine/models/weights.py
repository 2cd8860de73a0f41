"""safetensors files: the trained tensors of a checkpoint, and whether a file on disk is whole."""

import json
import re
import struct
from collections import Counter
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from engine.exits import UnusableError
from engine.rundir.files import cannot_write

WEIGHTS_FILE = "weights.safetensors"
"""The trained tensors in the folder of a checkpoint."""

MAX_HEADER = 100_000_000
"""safetensors' own limit: a larger header is an attack or garbage."""


def trained_tensors(model: nn.Module) -> dict[str, nn.Parameter]:
    """What training changes, by parameter name: all parameters, or the adapter's if only those are trained.

    Tied parameters appear once, under the name `named_parameters` gives them. These are the names in a
    checkpoint's `WEIGHTS_FILE`, and everything that reads or writes one goes through here.
    """
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def save_trained(tensors: nn.Module | Mapping[str, torch.Tensor], path: Path) -> None:
    """Writes the trained tensors in fp32. Raises CannotWriteError when the disk refuses."""
    if isinstance(tensors, nn.Module):
        tensors = trained_tensors(tensors)
    plain = {
        name: tensor.detach().to(device="cpu", dtype=torch.float32).contiguous()
        for name, tensor in tensors.items()
    }
    save_tensors(plain, path)


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Writes tensors as they are. Raises CannotWriteError when the disk refuses."""
    try:
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata={"format": "pt"}
        )
    except (SafetensorError, OSError) as error:
        needed = sum(tensor.nbytes for tensor in tensors.values())
        raise cannot_write(path, os_error(error), needed) from error


def load_trained(model: nn.Module, path: Path) -> None:
    """Copies a checkpoint's tensors into the model: exactly the trained ones, none missing, none left over.

    Raises UnusableError naming what does not fit.
    """
    parameters = trained_tensors(model)
    try:
        with safe_open(path, framework="pt") as file, torch.no_grad():
            _same_names(set(parameters), set(file.keys()), path)
            for name, parameter in parameters.items():
                tensor = file.get_tensor(name)
                if tensor.shape != parameter.shape:
                    raise _misfit(
                        path,
                        f"{name} has shape {list(tensor.shape)}, the model's has {list(parameter.shape)}",
                    )
                parameter.copy_(tensor)
    except (SafetensorError, OSError) as error:
        raise _misfit(path, f"it cannot be read ({error})") from error


def _same_names(expected: set[str], found: set[str], path: Path) -> None:
    missing, foreign = sorted(expected - found), sorted(found - expected)
    if missing:
        raise _misfit(path, f"{len(missing)} of the model's tensors are missing, such as {missing[0]}")
    if foreign:
        raise _misfit(path, f"{len(foreign)} of its tensors are not the model's, such as {foreign[0]}")


def _misfit(path: Path, why: str) -> UnusableError:
    return UnusableError(
        "checkpoint.misfit",
        f"{path} does not fit the model: {why}. It must be of the same model and the same [model.lora].",
        path=str(path),
        why=why,
    )


def os_error(error: Exception) -> OSError:
    """safetensors reports a disk's refusal as text alone: "I/O error: ... (os error 28)"."""
    if isinstance(error, OSError):
        return error
    number = re.search(r"os error (\d+)", str(error))
    return OSError(int(number[1]), str(error)) if number else OSError(str(error))


def safetensors_problem(path: Path) -> str | None:
    """What is wrong with a safetensors file judged by its header and its size; None if it is whole.

    Reads only the header: a broken download or a full disk shows in the size.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = _header_length(file)
        if length > min(MAX_HEADER, size - 8):
            return "its header is cut off or is not safetensors"
        try:
            header = json.loads(file.read(length))
            end = max(
                (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"),
                default=0,
            )
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return "its header is not safetensors"
    expected = 8 + length + end
    return None if size == expected else f"it has {size} bytes where its header says {expected}"


def _header_length(file: BinaryIO) -> int:
    start = file.read(8)
    return int(struct.unpack("<Q", start)[0]) if len(start) == 8 else MAX_HEADER + 1


def stored_sizes(path: Path) -> Counter[str]:
    """How many numbers of each type a whole safetensors file holds, by its header; types as it names them."""
    with path.open("rb") as file:
        header = json.loads(file.read(_header_length(file)))
    header.pop("__metadata__", None)
    sizes: Counter[str] = Counter()
    for entry in header.values():
        sizes[str(entry["dtype"])] += prod(entry["shape"])
    return sizes
