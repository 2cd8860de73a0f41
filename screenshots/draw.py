"""Draw the command line as it is: real commands, their real output, one SVG each beside this file.

make screenshots
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
WIDTH = 100

MISTAKES = """\
[model]
source = "builtin"
id = "smollm2-135m-instruct"

[[data.sources]]
source = "builtin"
path = "quickstart"

[optimizer]
lerning_rate = 1e-5
schedule = "cosin"

[train]
tokens_per_pack = 512
"""


def main() -> None:
    """Run each command in a directory of its own, and draw what it says."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.toml").write_text(MISTAKES)
        draw("help", folder, "--help")
        draw("templates", folder, "templates", "ls")
        draw("validate", folder, "validate", "config.toml")
        subprocess.run(command("templates", "cp", "quickstart"), cwd=folder, check=True, capture_output=True)
        draw("data", folder, "data", "quickstart.toml")


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "dpo_tui", *arguments]


def draw(name: str, folder: str, *arguments: str) -> None:
    """One command with its output as an SVG of a terminal."""
    done = subprocess.run(command(*arguments), cwd=folder, text=True, capture_output=True)
    console = Console(width=WIDTH, record=True, file=sys.stderr, force_terminal=False)
    console.print(Text(f"$ dpo-tui {' '.join(arguments)}", style="bold"))
    console.print(Text(done.stdout + done.stderr), end="")
    console.save_svg(str(HERE / f"{name}.svg"), title="dpo-tui")


if __name__ == "__main__":
    main()
