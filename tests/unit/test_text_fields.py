"""Every key of the config is explained in both languages, and the explanations follow the schema."""

from collections.abc import Iterator

import pytest

from dpo_tui.text import LANGUAGES, Language, catalogue, use
from dpo_tui.text.fields import comments, field_guide, field_help, field_label, field_paths
from engine.config.schema import Config

PATHS = list(field_paths())
TABLES = ["run", "model", "model.lora", "data", "data.sources", "objective", "optimizer", "train", "launch",
          "gates", "export"]  # fmt: skip


@pytest.fixture(params=LANGUAGES)
def spoken(request: pytest.FixtureRequest) -> Iterator[Language]:
    use(request.param)
    yield request.param
    use("en")


def test_the_paths_are_those_of_the_schema() -> None:
    assert {path.partition(".")[0] for path in PATHS} == set(Config.model_fields)
    assert {"model.lora.rank", "data.sources.path", "optimizer.learning_rate"} < set(PATHS)
    assert not set(TABLES) & set(PATHS)


@pytest.mark.parametrize("path", [*PATHS, *TABLES])
def test_every_key_has_a_label_and_a_help_line(spoken: Language, path: str) -> None:
    assert field_label(path) != path
    assert field_help(path).strip()
    assert "\n" not in field_help(path)


@pytest.mark.parametrize("path", PATHS)
def test_every_key_has_advice_of_its_own(path: str) -> None:
    told = comments()[path]
    assert not told[0].islower() or told.startswith("true "), told
    assert told.endswith((".", ":")), told
    assert catalogue("zh")[f"guide.{path}"]


def test_the_chinese_help_is_chinese() -> None:
    use("zh")
    try:
        for path in [*PATHS, *TABLES]:
            assert any("一" <= letter <= "鿿" for letter in field_help(path)), path
    finally:
        use("en")


def test_no_key_is_explained_that_the_schema_does_not_have() -> None:
    known = {*PATHS, *TABLES}
    for language in LANGUAGES:
        for key in catalogue(language):
            kind, _, path = key.partition(".")
            if kind in ("label", "field", "guide") and path.partition(".")[0] in TABLES:
                assert path in known, f"{language}: {key}"


def test_a_guide_tells_value_range_and_default(spoken: Language) -> None:
    guide = field_guide("data.max_length")
    assert field_help("data.max_length") in guide
    assert "`1024`" in guide
    assert "8" in guide.partition("`data.max_length`")[2]
    assert "`cosine`" in field_guide("optimizer.schedule")
    assert "`linear`" in field_guide("optimizer.schedule")


def test_a_range_with_two_ends_names_both() -> None:
    assert "Range: above 0, at most 1\n" in field_guide("optimizer.learning_rate")
    assert "Range: at least 0, below 4,294,967,296\n" in field_guide("run.seed")


def test_a_number_or_a_word_tells_the_range_of_the_number() -> None:
    guide = field_guide("train.tokens_per_pack")
    assert "a whole number or `auto`" in guide
    assert "Range: at least 16\n" in guide


def test_a_key_that_must_be_given_has_no_default() -> None:
    assert "Default: none, it must be given" in field_guide("model.id")


def test_a_path_that_the_schema_does_not_have_says_nothing_of_it() -> None:
    assert field_label("train.nonsense") == "train.nonsense"
    assert field_help("train.nonsense") == ""
