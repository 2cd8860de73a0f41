"""What the tests of the engine share: a model, pairs, and tokenizers made on the spot.

The tokenizers are byte-level BPE of a few hundred tokens, so that words merge and boundaries move.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from engine.config.schema import Config
from engine.data.prepare import make_pairs
from engine.data.prepared.prepared_set import Prepared
from tests.engine.hub_here import hub_here
from tests.engine.preparing import Prepare, row, write
from tests.engine.runs import write_pairs
from tests.engine.scope_here import scope_here
from tests.engine.tiny_folder import write_folder
from tests.hub_server import HubServer
from tests.modelscope_server import ScopeServer

CORPUS = [
    "The sky is blue by day and black by night.",
    "What colour is the sky? It is blue, I think; green is the grass.",
    "Tell me a story about the sea. The sea is deep and the sea is blue.",
]
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WITH_BOS = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "[{{ message['role'] }}] {{ message['content'] | trim }}{% if message['role'] == 'assistant' %}</s>{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's folder, to read only."""
    return write_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 30 pairs, to read only."""
    return write_pairs(tmp_path_factory.mktemp("pairs") / "pairs.jsonl")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hugging Face hub without repos, on this machine."""
    with hub_here(tmp_path, monkeypatch) as hub:
        yield hub


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScopeServer]:
    """A ModelScope without repos, on this machine."""
    with scope_here(tmp_path, monkeypatch) as server:
        yield server


def _trained(special: list[str]) -> Tokenizer:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(CORPUS, trainer)
    return backend


@pytest.fixture(scope="session")
def tiny_tokenizer() -> PreTrainedTokenizerBase:
    """ChatML, EOS is the end of a turn, a newline after it; no BOS."""
    backend = _trained(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
    )
    tokenizer.chat_template = CHATML
    return tokenizer


@pytest.fixture(scope="session")
def tiny_tokenizer_with_bos() -> PreTrainedTokenizerBase:
    """Puts <s> before a text, as its template does; the template refuses system messages."""
    backend = _trained(["<unk>", "<s>", "</s>"])
    start = backend.token_to_id("<s>")
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", start)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    tokenizer.chat_template = WITH_BOS
    return tokenizer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of 40 rows of plain text."""
    return write(tmp_path / "rows.jsonl", [row(n) for n in range(40)])


@pytest.fixture
def prepare(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase) -> Prepare:
    """Prepares a config for a run of a name."""

    def run(config: Config, name: str, tokenizer: PreTrainedTokenizerBase = tiny_tokenizer) -> Prepared:
        return make_pairs(config, tokenizer, tmp_path / name)

    return run
