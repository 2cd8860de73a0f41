"""Requests to a run: files that rank 0 looks for between two steps. They work over NFS and through Slurm."""

from pathlib import Path

from engine.rundir.files import writing


class Control:
    """A run's `control` directory: anybody may ask, rank 0 answers, the supervisor clears it at its start."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stop = directory / "stop"
        self._checkpoint = directory / "checkpoint"

    def request_stop(self) -> None:
        """Ask for a checkpoint and the end of the run. Raises CannotWriteError."""
        self._leave(self._stop)

    def request_checkpoint(self) -> None:
        """Ask for a checkpoint after the current step. Raises CannotWriteError."""
        self._leave(self._checkpoint)

    def stop_requested(self) -> bool:
        """Whether somebody asked the run to stop."""
        return self._stop.exists()

    def take_checkpoint_request(self) -> bool:
        """Whether somebody asked for a checkpoint; the request is then gone."""
        try:
            self._checkpoint.unlink()
        except OSError:
            return False
        return True

    def clear(self) -> None:
        """Forget all requests: those left over from an attempt before."""
        for request in (self._stop, self._checkpoint):
            with writing(request):
                request.unlink(missing_ok=True)

    def _leave(self, request: Path) -> None:
        with writing(request):
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            request.touch(mode=0o600)
