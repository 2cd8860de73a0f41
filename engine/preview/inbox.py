"""Requests on their way from the thread that reads them to the one that answers: the newest of a kind wins."""

from collections import deque
from collections.abc import Callable
from threading import Condition
from typing import BinaryIO

from engine.preview.protocol import (
    MAX_LINE,
    BadRequest,
    Id,
    Line,
    Request,
    answered,
    cancelled,
    failed,
    read_request,
)

Tell = Callable[[Line], None]


class Inbox:
    """The requests that wait, and the one that is worked on. `tell` gets the last line of those that never are."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._waiting: deque[Request] = deque()
        self._current: Request | None = None
        self._closed = False
        self._changed = Condition()

    def put(self, request: Request) -> None:
        """Queue a request; one of the same kind that waits or is worked on is cancelled."""
        with self._changed:
            self._cancel(lambda other: other.ask == request.ask)
            self._waiting.append(request)
            self._changed.notify()

    def cancel(self, number: Id) -> bool:
        """Cancel the request of this id; whether there was one."""
        with self._changed:
            return self._cancel(lambda other: other.id == number)

    def _cancel(self, meant: Callable[[Request], bool]) -> bool:
        dropped = [request for request in self._waiting if meant(request)]
        for request in dropped:
            self._waiting.remove(request)
            self._tell(cancelled(request))
        if self._current is None or not meant(self._current):
            return bool(dropped)
        self._current.cancelled = True
        return True

    def close(self) -> None:
        """Nobody waits for anything any more."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            if self._current:
                self._current.cancelled = True
            self._changed.notify()

    def take(self) -> Request | None:
        """The next request, waited for; None when there will be none."""
        with self._changed:
            self._current = None
            self._changed.wait_for(lambda: self._waiting or self._closed)
            self._current = self._waiting.popleft() if self._waiting else None
            return self._current


def read_requests(stream: BinaryIO, inbox: Inbox, tell: Tell) -> None:
    """Put every request of the stream into the inbox, to its end; what is none gets an error for an answer."""
    while line := stream.readline(MAX_LINE + 1):
        try:
            _read(line, stream, inbox, tell)
        except BadRequest as error:
            tell(failed(error.id, error))


def _read(line: bytes, stream: BinaryIO, inbox: Inbox, tell: Tell) -> None:
    if len(line) > MAX_LINE:
        while line and not line.endswith(b"\n"):
            line = stream.readline(MAX_LINE)
        raise BadRequest(f"expected a line of at most {MAX_LINE:,} bytes")
    if not line.strip():
        return
    request = read_request(line)
    if request.ask == "cancel":
        of = request.fields.get("of")
        tell(answered(request, {"found": isinstance(of, int | str) and inbox.cancel(of)}))
    else:
        inbox.put(request)
