"""The tensors of a checkpoint, in whole or in parts, whichever way they were written.

One process writes each tensor as a whole. Where several processes share a tensor each writes the *piece* it holds, of
the tensor laid out flat, into a file of its own, whose header says where each piece begins and what shape the whole
has. A reader asks for a tensor, or for any part of one, and never needs to know how many had written it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from engine.exits import UnusableError
from engine.models.weights import misfit, save_tensors, trained_tensors

WEIGHTS, OPTIMIZER = "weights", "optimizer"
WEIGHTS_FILE, OPTIMIZER_FILE = f"{WEIGHTS}.safetensors", f"{OPTIMIZER}.safetensors"
PIECES = "pieces"
"""Key of a file's metadata: {tensor: [where its piece begins, the shape of the whole]} as JSON."""
STEP = "step"
MOMENTS = (STEP, "exp_avg", "exp_avg_sq")
"""AdamW's state of a weight: how many updates it has had, and its two moments."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a tensor laid out flat: `values` [n] begin at `start`; `shape` is the whole tensor's."""

    start: int
    values: Tensor
    shape: tuple[int, ...]


def save_pieces(folder: Path, kind: str, rank: int, world: int, pieces: Mapping[str, Piece]) -> None:
    """Write what process `rank` of `world` holds of the `kind` "weights" or "optimizer". Raises CannotWriteError."""
    layout = {name: [piece.start, list(piece.shape)] for name, piece in pieces.items()}
    path = folder / f"{kind}-{rank + 1:05d}-of-{world:05d}.safetensors"
    save_tensors({name: piece.values for name, piece in pieces.items()}, path, {PIECES: json.dumps(layout)})


class Stored:
    """The weights and moments in a checkpoint's folder, read when asked for.

    Asking raises UnusableError for files that are missing or cannot be read, and for what they lack.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._opened: dict[str, dict[str, list[_Place]]] = {}

    def _places(self, kind: str) -> dict[str, list["_Place"]]:
        """Where each tensor of a kind stands; its files are opened when first asked for."""
        if kind not in self._opened:
            places: dict[str, list[_Place]] = {}
            for path in _files(self.folder, kind):
                for name, place in _places_in(path):
                    places.setdefault(name, []).append(place)
            self._opened[kind] = places
        return self._opened[kind]

    def names(self) -> set[str]:
        """The weights that are here."""
        return set(self._places(WEIGHTS))

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of a weight."""
        return self._found(WEIGHTS, name)[0].shape

    def weight(self, name: str) -> Tensor:
        """A weight, fp32."""
        return self._whole(WEIGHTS, name)

    def weight_part(self, name: str, start: int, count: int) -> Tensor:
        """[count] numbers of a weight laid out flat, from `start`."""
        return self._part(WEIGHTS, name, start, count)

    def moments(self, name: str) -> dict[str, Tensor]:
        """AdamW's state of a weight by `MOMENTS`; empty for one that no gradient had reached."""
        known = [key for key in MOMENTS if f"{name}.{key}" in self._places(OPTIMIZER)]
        return {key: self._whole(OPTIMIZER, f"{name}.{key}") for key in known}

    def moments_part(self, name: str, start: int, count: int) -> dict[str, Tensor]:
        """As `moments`, of a part of a weight: [count] of each moment, and the whole `step`."""
        known = [key for key in MOMENTS if f"{name}.{key}" in self._places(OPTIMIZER)]
        return {
            key: self._whole(OPTIMIZER, f"{name}.{key}")
            if key == STEP
            else self._part(OPTIMIZER, f"{name}.{key}", start, count)
            for key in known
        }

    def _found(self, kind: str, name: str) -> list["_Place"]:
        places = self._places(kind).get(name)
        if not places:
            raise misfit(self.folder, f"its {kind} lack {name}")
        return places

    def _whole(self, kind: str, name: str) -> Tensor:
        shape = self._found(kind, name)[0].shape
        return self._part(kind, name, 0, prod(shape)).view(shape)

    def _part(self, kind: str, name: str, start: int, count: int) -> Tensor:
        """Put together from all pieces that overlap it; none may be missing."""
        out = torch.empty(count)
        filled = 0
        for place in self._found(kind, name):
            first, last = max(start, place.start), min(start + count, place.start + place.count)
            if first < last:
                out[first - start : last - start] = place.read(first - place.start, last - place.start)
                filled += last - first
        if filled < count:
            raise misfit(self.folder, f"{name} is not whole: a file with a piece of it is missing")
        return out


def load_trained(model: nn.Module, folder: Path) -> None:
    """Copies a checkpoint's weights into the model: exactly the trained ones, none missing, none left over.

    Raises UnusableError naming what does not fit.
    """
    parameters, stored = trained_tensors(model), Stored(folder)
    _require_same_names(set(parameters), stored.names(), folder)
    with torch.no_grad():
        for name, parameter in parameters.items():
            if stored.shape(name) != parameter.shape:
                why = f"{name} has shape {list(stored.shape(name))}, the model's has {list(parameter.shape)}"
                raise misfit(folder, why)
            parameter.copy_(stored.weight(name))


def _require_same_names(expected: set[str], found: set[str], folder: Path) -> None:
    missing, foreign = sorted(expected - found), sorted(found - expected)
    if missing:
        raise misfit(folder, f"{len(missing)} of the model's tensors are missing, such as {missing[0]}")
    if foreign:
        raise misfit(folder, f"{len(foreign)} of its tensors are not the model's, such as {foreign[0]}")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a tensor, or a piece of it, stands."""

    file: Any
    name: str
    start: int
    count: int
    shape: tuple[int, ...]

    def read(self, first: int, last: int) -> Tensor:
        """[last - first] of its numbers, in fp32."""
        if self.count == prod(self.shape):
            values: Tensor = self.file.get_tensor(self.name).flatten()[first:last]
        else:
            values = self.file.get_slice(self.name)[first:last]
        return values.float()


def _files(folder: Path, kind: str) -> list[Path]:
    """The one file, or those of all processes."""
    whole = folder / f"{kind}.safetensors"
    if whole.exists():
        return [whole]
    pieces = sorted(folder.glob(f"{kind}-?????-of-?????.safetensors"))
    world = int(pieces[0].stem[-5:]) if pieces and pieces[0].stem[-5:].isdigit() else 1
    if len(pieces) != world:
        raise misfit(folder, f"{len(pieces)} of its {world} files of {kind} are there")
    return pieces


def _places_in(path: Path) -> Iterator[tuple[str, _Place]]:
    try:
        file: Any = safe_open(path, framework="pt")
        layout = json.loads((file.metadata() or {}).get(PIECES, "{}"))
        for name in file.keys():  # noqa: SIM118  (no mapping)
            stored = tuple(file.get_slice(name).get_shape())
            start, shape = layout.get(name, [0, stored])
            yield name, _Place(file, name, int(start), prod(stored), tuple(shape))
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UnusableError:
    return misfit(path, f"it cannot be read ({error})")
