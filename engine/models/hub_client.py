"""How requests to the hub behave: none waits for ever, and a passing fault is met with a few more attempts."""

import re
import time
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from huggingface_hub import set_client_factory
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils._http import default_client_factory, hf_raise_for_status

T = TypeVar("T")

HTTPError: type[BaseException] = HfHubHTTPError.__bases__[0]
"""The HTTP client's own base class, whichever client this release of huggingface_hub is built on."""

READ_SECONDS = 30.0
"""Silence after which a question is given up where the library sets no limit itself."""
WRITE_SECONDS = 120.0
"""The same for what the hub has to work on: a commit, a part of an upload."""
CONNECT_SECONDS = 10.0

ATTEMPT_WAITS = (1.0, 4.0)
"""Seconds before the second and the third attempt, unless the hub says how long."""
LONGEST_WAIT = 330
"""The hub counts requests in windows of 300 seconds; a longer wait is the user's to decide on."""

PASSING = (408, 429, 500, 502, 503, 504)
PASSING_BREAKS = frozenset({"ReadTimeout", "WriteTimeout", "ReadError", "WriteError", "RemoteProtocolError"})
"""Of a connection that stood. A hub that is not there at all is not asked again: a cached copy may do."""


@cache
def bound_waiting() -> None:
    """From now on no request of huggingface_hub in this process waits without a limit, on an answer or a quota.

    Without this, listing a repo, creating one, or a commit would hang for as long as the hub is silent, and a
    "retry after an hour" would be obeyed without a word.
    """
    set_client_factory(_bounded_client)


def _bounded_client() -> Any:
    client = default_client_factory()
    hooks = client.event_hooks
    client.event_hooks = {
        "request": [*hooks["request"], _limit_waiting],
        "response": [*hooks["response"], _refuse_long_wait],
    }
    return client


def _limit_waiting(request: Any) -> None:
    seconds = READ_SECONDS if request.method in ("GET", "HEAD") else WRITE_SECONDS
    limits = {"connect": CONNECT_SECONDS, "read": seconds, "write": seconds, "pool": seconds}
    given = request.extensions.get("timeout") or {}
    request.extensions["timeout"] = {phase: given.get(phase) or limit for phase, limit in limits.items()}


def _refuse_long_wait(response: Any) -> None:
    if (seconds_to_wait(response) or 0) > LONGEST_WAIT:
        response.read()
        hf_raise_for_status(response)


def seconds_to_wait(response: Any) -> int | None:
    """What a busy hub says about when to ask again; None when it does not say, or is not busy."""
    status, headers = int(response.status_code), response.headers
    after = str(headers.get("Retry-After") or "").strip()
    if status in (429, 503) and re.fullmatch("[0-9]{1,9}", after):
        return int(after)
    window = re.search("; *r=0; *t=([0-9]{1,9})", str(headers.get("RateLimit") or ""))
    return int(window[1]) if status == 429 and window else None


def retried(call: Callable[[], T]) -> T:
    """`call()`, up to three times while the hub stumbles; what huggingface_hub retries itself is not counted."""
    for wait in ATTEMPT_WAITS:
        try:
            return call()
        except HTTPError as error:
            if not _passing(error):
                raise
            given = seconds_to_wait(error.response) if isinstance(error, HfHubHTTPError) else None
            time.sleep(wait if given is None else given)
    return call()


def _passing(error: BaseException) -> bool:
    if isinstance(error, HfHubHTTPError):
        status = int(error.response.status_code)
        return status in PASSING and (seconds_to_wait(error.response) or 0) <= LONGEST_WAIT
    return not PASSING_BREAKS.isdisjoint(kind.__name__ for kind in type(error).__mro__)
