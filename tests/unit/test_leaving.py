"""How a process of the engine ends: by its exit code, whatever its libraries do when an interpreter unwinds."""

import subprocess
import sys

from engine.exits import Exit

LEAVING = """
import atexit, os
from engine.exits import Exit
from engine.process import leave
atexit.register(os.abort)
print("the last word", end="")
leave(Exit.STOPPED)
"""


def test_a_library_that_aborts_at_the_end_changes_neither_exit_code_nor_output() -> None:
    ended = subprocess.run([sys.executable, "-c", LEAVING], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (Exit.STOPPED, "the last word")
