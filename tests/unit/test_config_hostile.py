"""Whatever a file holds, the answer is a config or a located ConfigError, soon."""

import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.load import load_config
from engine.config.problems import MOST_SHOWN, ConfigError


def refusal(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    return str(caught.value).replace(f"{tmp_path}/", "")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"x = " + b"[" * 50_000, "c.toml:1: nested more than 16 levels deep"),
        (b"\nx = " + b"{a=" * 50_000, "c.toml:2: nested more than 16 levels deep"),
        (b"\n" + b"a." * 300_000 + b"b = 1", "c.toml:2: nested more than 16 levels deep"),
        (b"\n[" + b"a." * 300_000 + b"b]", "c.toml:2: nested more than 16 levels deep"),
        (b"\nx = " + b"9" * 5_000, "c.toml:2: a value without quotes of more than 128 characters"),
        (b"\xef\xbb\xbf[model]", "c.toml:1: the file starts with a byte order mark"),
        (b"[model]\nid = '\xff'", "c.toml:2: not UTF-8: byte 0xff"),
        (b"[model]\nid = '\x00'", "c.toml:2: not TOML: "),
        (b"[model]\nid = '\x1b[2J'", "c.toml:2: not TOML: "),
        (b"[model]\nid = 'x'\rx = 1", "c.toml:2: not TOML: "),
        (b"#" * (20 << 20), "c.toml: larger than 1 MiB"),
        (b'x = "' + b"\\\\" * 500_000, "c.toml"),
        (b"'" * 1_000_000, "c.toml"),
        (b"[[a]]\n" * 100_000, "c.toml"),
    ],
)
def test_hostile_files_are_refused(tmp_path: Path, content: bytes, expected: str) -> None:
    assert refusal(tmp_path, content).startswith(expected)


def test_a_flood_of_problems_is_cut_short(tmp_path: Path) -> None:
    lines = refusal(tmp_path, b"".join(b"k%d=1\n" % number for number in range(10_000))).splitlines()
    assert len(lines) == MOST_SHOWN + 1
    assert lines[-1] == "... and 9952 more problems"


def test_a_missing_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigError, match=r"no such file|cannot be read: Is a directory"):
            load_config(path)


def test_a_template_s_name_in_place_of_a_file_is_explained() -> None:
    with pytest.raises(ConfigError, match="templates cp quickstart"):
        load_config(Path("quickstart"))


PIECES = st.sampled_from(
    ["[", "]", "[[", "]]", "{", "}", "=", ",", ".", "\n", " ", "#", '"', "'", '"""', "'''", "\\", "\r\n",
     "model", "data", "sources", "id", "path", "x", "1", "-1.5e3", "nan", "true", "2026-01-01", "é", "\x1b", "\ud800"]
)  # fmt: skip


@settings(deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=60))
def test_any_text_is_a_config_or_a_config_error(text: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "c.toml"
        path.write_bytes(text.encode(errors="surrogatepass"))
        with suppress(ConfigError):
            load_config(path)


@settings(deadline=None)
@given(st.text(max_size=40) | st.lists(PIECES, max_size=12).map("".join), st.text(max_size=20))
def test_any_override_is_a_config_or_a_config_error(key: str, value: str) -> None:
    path = Path(__file__).parents[2] / "templates" / "quickstart.toml"
    with suppress(ConfigError):
        load_config(path, [f"{key}={value}", f"model.id={value}", f"data.sources.0.{key}={value}"])
