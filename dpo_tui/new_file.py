"""A file that a command makes: nothing is overwritten, and what could not be written whole is not left behind."""

from pathlib import Path

from engine.exits import CannotWriteError, UsageError
from engine.sanitize import one_line


def write_new(content: bytes, destination: Path | None, name: str, again: str) -> Path:
    """Write to `destination`, or to the file `name` in it if it is a directory, or to `name` here.

    Returns the path written. `again` is the command that gives the file another name. Raises UsageError rather than
    overwrite anything, CannotWriteError if the file system refuses.
    """
    path = destination or Path(name)
    shown = one_line(str(path))
    try:
        if path.is_dir():
            path = path / name
            shown = one_line(str(path))
        file = path.open("xb")
    except FileExistsError:
        message = f"{shown} exists and is not overwritten. Give another name: {again}"
        raise UsageError("file.exists", message, path=str(path), again=again) from None
    except FileNotFoundError:
        message = f"{shown} cannot be written: its directory does not exist"
        raise UsageError("file.no_directory", message, path=str(path)) from None
    except OSError as error:
        raise _refused(path, shown, error) from error
    try:
        with file:
            file.write(content)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise _refused(path, shown, error) from error
    return path


def _refused(path: Path, shown: str, error: OSError) -> CannotWriteError:
    message = f"{shown} cannot be written: {error.strerror}"
    return CannotWriteError("file.cannot_write", message, path=str(path), detail=error.strerror)
