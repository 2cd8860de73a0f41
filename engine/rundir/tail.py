"""Follow a growing file of JSON lines by polling: it works over NFS and never holds up the writer."""

import json
from pathlib import Path
from typing import Any, BinaryIO

import orjson

MAX_LINE = 1 << 20


class Tail:
    """Reads the complete lines that appeared since the last call.

    Nothing of an unfinished last line is kept: it is read again when it is whole. So a writer that cuts its
    torn line and goes on is followed without a gap. `restarts` counts how often the file shrank below what
    had been read: then everything read before is void and reading starts over.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path = path
        self._offset = offset
        self._skipping = False
        self.restarts = 0

    @property
    def offset(self) -> int:
        """Bytes of complete lines read so far."""
        return self._offset

    def read(self, limit_bytes: int = 256 * 1024) -> list[dict[str, Any]]:
        """New events of about `limit_bytes`, in order; an empty list means that there are no more for now.

        A line counts when it is a JSON object with a text `type`; all others are skipped.
        """
        try:
            with self._path.open("rb") as file:
                self._notice_truncation(file)
                return self._read_from(file, limit_bytes)
        except OSError:
            return []

    def _notice_truncation(self, file: BinaryIO) -> None:
        if file.seek(0, 2) < self._offset:
            self._offset = 0
            self._skipping = False
            self.restarts += 1

    def _read_from(self, file: BinaryIO, limit_bytes: int) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        while not events:
            file.seek(self._offset)
            data = file.read(max(1, limit_bytes))
            if data and b"\n" not in data:
                data += file.readline(MAX_LINE)
            complete = data.rfind(b"\n") + 1
            if not complete and len(data) < MAX_LINE:
                return events
            events = self._take(data, complete)
        return events

    def _take(self, data: bytes, complete: int) -> list[dict[str, Any]]:
        """The events among the complete lines; bytes of a line beyond `MAX_LINE` are passed over."""
        lines = data[:complete].split(b"\n")[:-1]
        if self._skipping and lines:
            lines = lines[1:]
        self._skipping = not complete
        self._offset += complete or len(data)
        return [event for line in lines if (event := parse(line)) is not None]


def parse(line: bytes) -> dict[str, Any] | None:
    """The event in one line, or None when it is no event. An integer beyond 64 bits is read as a float."""
    try:
        event = orjson.loads(line)
    except ValueError:  # it is stricter than those who write, of half a surrogate pair and of NaN
        event = _patiently(line)
    return event if isinstance(event, dict) and isinstance(event.get("type"), str) else None


def _patiently(line: bytes) -> Any:
    """What Python's own parser makes of a line; None when it is no JSON."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
