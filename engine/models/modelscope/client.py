"""Questions to ModelScope: none waits for ever, and a passing fault is met with a few more attempts."""

import importlib.util
import os
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from engine.models.hub_client import (
    ATTEMPT_WAITS,
    CONNECT_SECONDS,
    LONGEST_WAIT,
    PASSING,
    READ_SECONDS,
    seconds_to_wait,
)
from engine.models.hub_errors import Action, Repo
from engine.models.modelscope.errors import NoHubError, RefusedError, not_installed
from engine.modelscope_home import server

LIBRARY = "modelscope_hub"

ANONYMOUS = "0" * 32
"""In place of the number by which ModelScope's tools know an installation again, and which they keep at home."""


def require_library(repo: Repo, action: Action) -> None:
    """Raises EnvironmentUnfitError where nothing could be transferred, before anybody waits for a list."""
    if importlib.util.find_spec(LIBRARY) is None:
        raise not_installed(repo, action)


def token() -> str:
    """The token of the environment, the only place that is looked at; empty where there is none."""
    return os.environ.get("MODELSCOPE_API_TOKEN", "").strip()


def ask(path: str, params: Mapping[str, str]) -> Any:
    """The data of an answer. Raises RefusedError, NoHubError, or what `requests` raises."""
    import requests

    with requests.Session() as session:
        if token():  # the older of ModelScope's servers know the cookie alone; neither goes to another host
            session.headers["Authorization"] = f"Bearer {token()}"
            session.cookies.set("m_session_id", token(), domain=urlsplit(server()).hostname or "", path="/")
        for wait in (*ATTEMPT_WAITS, None):
            try:
                response = session.get(
                    f"{server()}/api/v1/{path}", params=params, timeout=(CONNECT_SECONDS, READ_SECONDS)
                )
            except requests.RequestException as error:
                if wait is None or not _broke_off(error):
                    raise
                time.sleep(wait)
                continue
            given = seconds_to_wait(response)
            if wait is None or response.status_code not in PASSING or (given or 0) > LONGEST_WAIT:
                return _data(response)
            time.sleep(wait if given is None else given)
    raise AssertionError("the last attempt answers or raises")


def _broke_off(error: Exception) -> bool:
    """Of a connection that stood. A server that is not there at all is not asked again: a cached copy may do."""
    names = {type(cause).__name__ for cause in (error, *error.args)}
    return bool(names & {"ChunkedEncodingError", "ReadTimeout", "ProtocolError"})


def _data(response: Any) -> Any:
    """What ModelScope's envelope holds: a refusal may come in one that says 200."""
    try:
        body = response.json()
    except ValueError:
        body = None
    said = str(body.get("Message") or "") if isinstance(body, dict) else ""
    if response.status_code >= 400:
        raise RefusedError(response.status_code, said)
    if not isinstance(body, dict) or "Data" not in body:
        raise NoHubError
    code = body.get("Code", 200)
    if body.get("Success") is False or code != 200:
        raise RefusedError(code if isinstance(code, int) and 400 <= code < 600 else 400, said)
    return body["Data"]


def library() -> Any:
    """ModelScope's library as we use it: our cache, the environment's token, and nothing written at home.

    Left to itself it would open a pickle with the cookies of a login, and keep a number there that it sends along.
    """
    import logging

    from modelscope_hub import HubApi, HubConfig

    class Config(HubConfig):
        """Says nothing of this installation."""

        def get_session_id(self) -> str:
            return ANONYMOUS

    from engine.modelscope_home import cache_dir

    logging.getLogger(LIBRARY).setLevel(logging.CRITICAL)  # its failures are told by their errors
    place = cache_dir()
    return HubApi(Config(endpoint=server(), cache_dir=place, config_dir=place / ".none", token=token()))
