"""The libraries without their progress bars and remarks: the engine says what matters itself."""

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from transformers.utils import logging as transformers_logging

LIBRARIES = r"(transformers|peft|accelerate|deepspeed|torch|huggingface_hub)\b"


def quiet_libraries() -> None:
    """For the rest of the process: nothing about what libraries will change, or about a CPU being a CPU."""
    warnings.filterwarnings("ignore", category=FutureWarning, module=LIBRARIES)
    # A filter, since deepspeed sets the level of its logger itself.
    logging.getLogger("DeepSpeed").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Setting accelerator to CPU")


@contextmanager
def talk_on_stderr() -> Iterator[None]:
    """Within it all that is written to file descriptor 1, by whatever library, goes to stderr.

    Stdout is data: a command prints its result after this.
    """
    if sys.stdout is None or sys.stderr is None:  # closed: the numbers may be those of other files by now
        yield
        return
    sys.stdout.flush()
    result = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(result, 1)
        os.close(result)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Within it transformers draws no bars and logs errors only."""
    bars, level = transformers_logging.is_progress_bar_enabled(), transformers_logging.get_verbosity()
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        if bars:
            transformers_logging.enable_progress_bar()
