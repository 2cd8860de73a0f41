"""The app as a process of its own in a terminal: bytes go in as from a keyboard, and out into a terminal in memory."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pyte

KEYS = {
    "enter": b"\r", "escape": b"\x1b", "down": b"\x1b[B", "up": b"\x1b[A", "tab": b"\t", "f1": b"\x1bOP",
    "ctrl+n": b"\x0e", "ctrl+p": b"\x10", "ctrl+q": b"\x11", "ctrl+s": b"\x13",
}  # fmt: skip

ENTERED = (b"\x1b[?1049h", b"\x1b[?1000h")
LEFT = (b"\x1b[?1049l", b"\x1b[?1000l")
"""What a terminal is told when the alternate screen and the mouse are taken, and given back."""


def _environment() -> dict[str, str]:
    """This process's, without the size of its own terminal, which wins over the size of any other."""
    return {name: value for name, value in os.environ.items() if name not in ("LINES", "COLUMNS")}


class Terminal:
    """`python -P -m dpo_tui ...` on a pseudo-terminal. Use as a context: the process does not outlive it."""

    def __init__(
        self,
        arguments: Sequence[str] = (),
        *,
        cwd: Path,
        size: tuple[int, int] = (120, 40),
        env: Mapping[str, str] | None = None,
        script: Sequence[str] = ("-m", "dpo_tui"),
    ) -> None:
        self.screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = bytearray()
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-P", *script, *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=cwd,
            env={**_environment(), "TERM": "xterm-256color", "COLORTERM": "truecolor", **(env or {})},
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.hang_up()

    def press(self, *keys: str) -> None:
        """Type keys, by their names or as text."""
        for key in keys:
            os.write(self._ours, KEYS.get(key) or key.encode())

    def hang_up(self) -> None:
        """Close the terminal's window."""
        with suppress(OSError):
            os.close(self._ours)
        self._ours = -1

    def text(self) -> str:
        """What the terminal shows now."""
        self._read(0)
        return "\n".join(line.rstrip() for line in self.screen.display)

    def wait_for(self, *wanted: str, seconds: float = 60.0) -> str:
        """The screen once it shows all of `wanted`; fails the test when it does not in time."""
        return self.until(lambda text: all(word in text for word in wanted), seconds)

    def until(self, condition: Callable[[str], object], seconds: float = 60.0) -> str:
        """The screen once `condition` of it is true."""
        deadline = time.monotonic() + seconds
        while not condition(text := self.text()):
            assert time.monotonic() < deadline, f"not so within {seconds} s:\n{text}"
            assert self.process.poll() is None, f"the app ended ({self.process.returncode}):\n{text}"
            self._read(0.05)
        return text

    def ended(self, seconds: float = 30.0) -> int:
        """The exit code, once the process has ended and all it wrote was read."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end:\n{self.text()}"
            self._read(0.05)
        self._read(0.05)
        return self.process.returncode

    def send(self, number: signal.Signals) -> None:
        """A signal to the app alone."""
        self.process.send_signal(number)

    def _read(self, seconds: float) -> None:
        while self._ours >= 0 and select.select([self._ours], [], [], seconds)[0]:
            try:
                data = os.read(self._ours, 1 << 16)
            except OSError:
                return
            if not data:
                return
            self.raw += data
            self._stream.feed(data)
            seconds = 0
