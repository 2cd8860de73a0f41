"""The words a command of the engine is called with, and what is said of wrong ones."""

import argparse
from typing import NoReturn

from engine.sanitize import brief, visible


class Parser(argparse.ArgumentParser):
    """An argument parser that repeats no control character of a word it refuses, and no more than a line of it."""

    def error(self, message: str) -> NoReturn:
        """Usage and the message on stderr, and exit code 2."""
        super().error(brief(visible(message)))
