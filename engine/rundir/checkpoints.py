"""The checkpoints of a run: complete and verified, or not there.

A checkpoint is staged in a hidden directory, flushed, described by a manifest with the size and hash of
every file, and only then renamed into place. A process killed at any moment leaves those before it intact.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from engine.exits import CannotWriteError
from engine.rundir.files import read_json, sync_path, write_synced, write_whole, writing
from engine.rundir.manifest import MANIFEST, Manifest, UnreadableManifestError, describe, files_of, mismatch

_STEP = re.compile(r"step-(0|[1-9][0-9]{0,17})")
_LATEST = "latest"
_STAGING, _REPLACED, _PRUNED = ".staging-", ".replaced-", ".pruned-"


class CheckpointIndex:
    """The `checkpoints` directory of a run. One process writes; readers need no lock.

    Writers raise CannotWriteError when the disk refuses.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @property
    def directory(self) -> Path:
        """The directory they are in; it appears with the first."""
        return self._directory

    def staging(self, step: int) -> Path:
        """A fresh, empty directory to write the files of `step` into."""
        staging = self._directory / f"{_STAGING}{step}"
        with self.writing(step):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _remove(staging)
            staging.mkdir(mode=0o700)
        return staging

    @contextmanager
    def writing(self, step: int, needed: int | None = None) -> Iterator[None]:
        """Name a disk's refusal inside the block, and leave no half of `step` on it.

        `needed` defaults to the bytes of the checkpoint before.
        """
        try:
            with writing(self.path(step), self._usual_bytes() if needed is None else needed):
                yield
        except CannotWriteError:
            shutil.rmtree(self._directory / f"{_STAGING}{step}", ignore_errors=True)
            raise

    def commit(
        self,
        step: int,
        *,
        epoch: float,
        metrics: Mapping[str, float],
        config_digest: str,
        data_digest: str,
        model_digest: str,
        world_size: int,
        versions: Mapping[str, str],
    ) -> Path:
        """Make the staged files of `step` a checkpoint, and the `latest`; returns its directory."""
        staging, final = self._directory / f"{_STAGING}{step}", self.path(step)
        with self.writing(step):
            for file in files_of(staging):
                sync_path(file)
            manifest = Manifest(
                step=step,
                epoch=epoch,
                metrics=dict(metrics),
                config_digest=config_digest,
                data_digest=data_digest,
                model_digest=model_digest,
                world_size=world_size,
                versions=dict(versions),
                files={file.relative_to(staging).as_posix(): describe(file) for file in files_of(staging)},
            )
            write_synced(staging / MANIFEST, manifest.dumps())
            for directory in [*(path for path in staging.rglob("*") if path.is_dir()), staging]:
                sync_path(directory)
            self._put_in_place(staging, final, self._directory / f"{_REPLACED}{step}")
        write_whole(self._directory / _LATEST, f"{final.name}\n".encode())
        return final

    def steps(self) -> list[int]:
        """Steps that have a checkpoint with a manifest, ascending; nothing is verified."""
        return [step for step in self._numbered() if _is_checkpoint(self.path(step))]

    def path(self, step: int) -> Path:
        """Where the checkpoint of `step` is, or would be."""
        return self._directory / f"step-{step}"

    def manifest(self, step: int) -> Manifest:
        """The manifest of a checkpoint. Raises UnreadableManifestError, a ValueError."""
        return Manifest.loads(read_json(self.path(step) / MANIFEST))

    def verify(self, step: int) -> str | None:
        """None when every byte of the checkpoint is as it was written; else what is wrong, in words."""
        path = self.path(step)
        if not _is_checkpoint(path):
            return f"{path}: is no checkpoint: it has no {MANIFEST}"
        try:
            manifest = self.manifest(step)
        except UnreadableManifestError as error:
            return f"{path / MANIFEST}: {error}"
        if manifest.step != step:
            return f"{path / MANIFEST}: is of step {manifest.step}"
        return mismatch(path, manifest)

    def newest_verified(self, on_bad: Callable[[int, str], None]) -> int | None:
        """The newest step that verifies; `on_bad` hears of each newer one that does not, and why."""
        for step in reversed(self._numbered()):
            problem = self.verify(step)
            if problem is None:
                return step
            on_bad(step, problem)
        return None

    def best(self) -> int | None:
        """The step with the smallest `eval_loss` in its manifest, the first of equals; None without any."""
        losses = {step: loss for step in self.steps() if (loss := self._eval_loss(step)) is not None}
        return min(losses, key=lambda step: (losses[step], step), default=None)

    def latest(self) -> int | None:
        """The newest step; nothing is verified."""
        return max(self.steps(), default=None)

    def prune(self, keep: int, verified: int | None = None) -> None:
        """Remove all but the best and the `keep` newest, counted from the newest that verifies.

        `verified` is a step that was just found good: no newer one is looked for.
        """
        newest = self.newest_verified(lambda *_: None) if verified is None else verified
        best = self.best()
        good = [step for step in self.steps() if newest is not None and step <= newest]
        for step in good[: -max(1, keep)]:
            if step != best:
                hidden = self._directory / f"{_PRUNED}{step}"
                with writing(self.path(step)):
                    _remove(hidden)
                    os.rename(self.path(step), hidden)  # half a removal must not look like a checkpoint
                    _remove(hidden)

    def recover(self) -> None:
        """Clear up after a killed writer. Nobody may be writing: the supervisor calls it at its start."""
        if not self._directory.is_dir():
            return
        for entry in sorted(self._directory.iterdir()):
            with writing(entry):
                if entry.name.startswith(_REPLACED):
                    self._restore(entry)
                elif entry.name.startswith((_STAGING, _PRUNED)):
                    _remove(entry)

    def _put_in_place(self, staging: Path, final: Path, replaced: Path) -> None:
        """Rename, with a checkpoint of the same step moved out of the way and, if killed between, back."""
        if os.path.lexists(final):
            _remove(replaced)
            os.rename(final, replaced)
        os.rename(staging, final)
        sync_path(self._directory)
        _remove(replaced)

    def _restore(self, replaced: Path) -> None:
        original = self._directory / f"step-{replaced.name.removeprefix(_REPLACED)}"
        if os.path.lexists(original):
            _remove(replaced)
        else:
            os.rename(replaced, original)

    def _numbered(self) -> list[int]:
        """Steps with a directory named like a checkpoint, whatever it holds, ascending."""
        if not self._directory.is_dir():
            return []
        names = (_STEP.fullmatch(entry.name) for entry in self._directory.iterdir())
        return sorted(int(match[1]) for match in names if match)

    def _eval_loss(self, step: int) -> float | None:
        try:
            return self.manifest(step).metrics.get("eval_loss")
        except UnreadableManifestError:
            return None

    def _usual_bytes(self) -> int | None:
        for step in reversed(self.steps()):
            try:
                return sum(int(file["bytes"]) for file in self.manifest(step).files.values())
            except UnreadableManifestError:
                continue
        return None


def _is_checkpoint(path: Path) -> bool:
    return not path.is_symlink() and path.is_dir() and (path / MANIFEST).is_file()


def _remove(path: Path) -> None:
    """Remove a directory, or a link without following it; nothing there is fine."""
    if path.is_symlink():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)
