"""safetensors files: the trained tensors of a checkpoint, and whether a file on disk is whole."""

import json
import re
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from engine.exits import UnusableError
from engine.rundir.files import cannot_write

MAX_HEADER = 100_000_000
"""safetensors' own limit: a larger header is an attack or garbage."""


def trained_tensors(model: nn.Module) -> dict[str, nn.Parameter]:
    """What training changes, by parameter name: all parameters, or the adapter's if only those are trained.

    Tied parameters appear once, under the name `named_parameters` gives them. These are the names in a
    checkpoint (`engine.stored`).
    """
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def save_trained(tensors: nn.Module | Mapping[str, torch.Tensor], path: Path) -> None:
    """Writes the trained tensors in fp32. Raises CannotWriteError when the disk refuses."""
    if isinstance(tensors, nn.Module):
        tensors = trained_tensors(tensors)
    save_weights({name: tuple(tensor.shape) for name, tensor in tensors.items()}, tensors.__getitem__, path)


def save_weights(
    shapes: Mapping[str, tuple[int, ...]], weight: Callable[[str], torch.Tensor], path: Path
) -> None:
    """Writes weights in fp32, each when `weight(name)` has told it: never are they all there at once.

    `shapes` are all there will be. Raises CannotWriteError when the disk refuses.
    """
    needed = 4 * sum(map(prod, shapes.values()))
    try:
        with path.open("wb") as file:
            file.write(_header_of_fp32(shapes))
            for name in shapes:
                plain = weight(name).detach().to(device="cpu", dtype=torch.float32).contiguous()
                file.write(plain.flatten().numpy().data)  # which tells the disk's error, as `tofile` does not
    except OSError as error:
        raise cannot_write(path, error, needed) from error


def _header_of_fp32(shapes: Mapping[str, tuple[int, ...]]) -> bytes:
    """Of a safetensors file: its length, and where each of the tensors that follow begins and ends."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def save_tensors(
    tensors: Mapping[str, torch.Tensor], path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Writes tensors as they are, with `metadata` in the header. Raises CannotWriteError when the disk refuses."""
    try:
        save_file(
            {name: tensor.contiguous() for name, tensor in tensors.items()},
            path,
            metadata={"format": "pt", **(metadata or {})},
        )
    except (SafetensorError, OSError) as error:
        needed = sum(tensor.nbytes for tensor in tensors.values())
        raise cannot_write(path, os_error(error), needed) from error


def misfit(path: Path, why: str) -> UnusableError:
    """That a checkpoint's file, or its folder, does not belong to the model."""
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


def holds_only_bf16(folder: Path) -> bool:
    """Whether all numbers in a folder's safetensors files are bf16."""
    files = list(folder.glob("*.safetensors"))
    return bool(files) and all(set(stored_sizes(file)) <= {"BF16"} for file in files)
