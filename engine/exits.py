"""Exit codes, and the errors that carry them from anywhere in the engine to the process's last line."""

from enum import IntEnum
from typing import Any, ClassVar


class Exit(IntEnum):
    """What a finished command means to the shell, to CI and to the supervisor."""

    DONE = 0
    TRAINING_FAILED = 1
    USAGE = 2
    UNUSABLE = 3
    HUB = 4
    STOPPED = 5
    CANNOT_WRITE = 6
    NON_FINITE = 7
    ENVIRONMENT = 8
    INTERRUPTED = 130


COMMON_ENDS = frozenset({Exit.DONE, Exit.STOPPED, Exit.NON_FINITE})
"""Ends that all ranks of a run come to alike, each by itself; rank 0, which may still be saving, tells of them."""


class EngineError(Exception):
    """A failure the user can act on: `code` and `params` are what the catalogues translate, `text` the English.

    `code` is a dotted lower-case key ("data.file_missing"); `text` names the file, line or row, what was
    expected and what to do about it.
    """

    exit: ClassVar[Exit] = Exit.TRAINING_FAILED

    def __init__(self, code: str, text: str, **params: Any) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.params = params


class GateFailed(EngineError):
    """The training went well, and its result is not what `[gates]` asks for."""


class UsageError(EngineError):
    """A command or a config that cannot be carried out as written."""

    exit = Exit.USAGE


class UnusableError(EngineError):
    """Data or a model that cannot be trained on."""

    exit = Exit.UNUSABLE


class HubError(EngineError):
    """The hub refused, is unreachable, or wants a login."""

    exit = Exit.HUB


class StopRequested(EngineError):
    """Somebody asked the run to stop, and it did."""

    exit = Exit.STOPPED


class CannotWriteError(EngineError):
    """No space, no permission, or a file system that fails."""

    exit = Exit.CANNOT_WRITE


class NonFiniteError(EngineError):
    """NaN or infinity where a number was needed: the weights of the last checkpoint are still good."""

    exit = Exit.NON_FINITE


class EnvironmentUnfitError(EngineError):
    """The machine lacks what the config asks for."""

    exit = Exit.ENVIRONMENT
