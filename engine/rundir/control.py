"""Requests to a run: files that rank 0 looks for between two steps. They work over NFS and through Slurm."""

from pathlib import Path

from engine.rundir.files import writing


class Control:
    """A run's `control` directory: anybody may ask, rank 0 answers, the supervisor clears it at its start.

    What the supervisor asks for itself, after a signal, is a file of its own: it is no wish of anybody's.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stop = directory / "stop"
        self._passed_on = directory / "stop.supervisor"
        self._checkpoint = directory / "checkpoint"

    def request_stop(self) -> None:
        """Ask for a checkpoint and the end of the run. Raises CannotWriteError."""
        self._leave(self._stop)

    def pass_on_stop(self) -> None:
        """Ask for the same, as the supervisor. Raises CannotWriteError."""
        self._leave(self._passed_on)

    def request_checkpoint(self) -> None:
        """Ask for a checkpoint after the current step. Raises CannotWriteError."""
        self._leave(self._checkpoint)

    def stop_requested(self) -> bool:
        """Whether the run is to stop."""
        return self.stop_wished() or self._passed_on.exists()

    def stop_wished(self) -> bool:
        """Whether somebody else than its supervisor asked the run to stop."""
        return self._stop.exists()

    def take_checkpoint_request(self) -> bool:
        """Whether somebody asked for a checkpoint; the request is then gone."""
        try:
            self._checkpoint.unlink()
        except OSError:
            return False
        return True

    def clear(self, sent: Path | None = None) -> None:
        """Forget all requests: those left over from an attempt before.

        A wish to stop that is younger than the file `sent` is none of these: it came after what begins now was sent.
        """
        old = [self._passed_on, self._checkpoint]
        if sent is None or not _younger(self._stop, sent):
            old.append(self._stop)
        for request in old:
            with writing(request):
                request.unlink(missing_ok=True)

    def _leave(self, request: Path) -> None:
        with writing(request):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            request.touch(mode=0o600)


def _younger(file: Path, other: Path) -> bool:
    """Whether `file` was touched after `other`, by the clock of the disk they are both on."""
    try:
        return file.stat().st_mtime > other.stat().st_mtime
    except OSError:
        return False
