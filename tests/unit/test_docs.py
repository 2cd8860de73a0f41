"""The written pages: those made from the code are as it is, and what the others show works."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

from dpo_tui.settings import load_settings
from engine.config.load import load_config
from engine.exits import Exit

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", ["config.md", "formats.md"])
def test_a_page_made_from_the_code_is_what_the_code_says(name: str) -> None:
    pages = runpy.run_path(str(DOCS / "generate.py"))["pages"]()
    assert (DOCS / name).read_text(encoding="utf-8") == pages[name], "run: make docs"


def test_every_toml_in_the_pages_is_part_of_a_valid_config(tmp_path: Path) -> None:
    model = '[model]\nsource = "builtin"\nid = "smollm2-135m-instruct"\n'
    data = '[[data.sources]]\nsource = "builtin"\npath = "quickstart"\n'
    for page in [*(page for page in DOCS.glob("*.md") if page.name != "app.md"), *ROOT.glob("README*.md")]:
        for block in re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            stated = tomllib.loads(block)
            rest = "".join(part for key, part in (("model", model), ("data", data)) if key not in stated)
            config = tmp_path / "config.toml"
            config.write_text(block + "\n" + rest, encoding="utf-8")
            load_config(config)


def test_the_settings_in_the_page_of_the_app_are_settings(tmp_path: Path) -> None:
    block = re.findall(r"```toml\n(.*?)```", (DOCS / "app.md").read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "settings.toml").write_text(block[0], encoding="utf-8")
    assert len(block) == 1
    assert load_settings(tmp_path / "settings.toml").keys


def test_the_page_for_ci_knows_every_exit_code() -> None:
    table = re.findall(r"^\| (\d+) \|", (DOCS / "ci.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(code) for code in table] == [int(code) for code in Exit]


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in [*DOCS.glob("*.md"), *ROOT.glob("README*.md")]:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"
