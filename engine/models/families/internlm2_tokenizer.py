"""InternLM2's tokenizer out of its tokenizer.model, by the rules its own code has.

The vocabulary is SentencePiece's BPE with bytes for what it lacks. Some pieces were left unused for names that came
later: "[UNUSED_TOKEN_146]" is "<|im_start|>" since tokenizer_config.json says so, and both names are read. Where a
text is the same to both, the ids are those of the `sentencepiece` library, which is asked once for each loading.
"""

import json
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, normalizers, processors
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import import_protobuf
from transformers.tokenization_utils_base import generate_merges

from engine.exits import UnusableError

VOCABULARY, CONFIG, TOKENS = "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"
ADDED = "added_tokens.json"
SPACE = "\u2581"
BPE_MODEL, CONTROL, USER_DEFINED = 2, 3, 4
"""Numbers in SentencePiece's own file format: a kind of model, and two kinds of pieces."""
OLD_NAMES = {"[UNUSED_TOKEN_146]": "<|im_start|>", "[UNUSED_TOKEN_145]": "<|im_end|>"}
"""What chats are marked with, in a folder whose tokenizer_config.json does not say."""
PROBES = (
    "The sky is blue,  isn't it?\n\n\tdef f(x):\n    return x ** 2 # 1234567",
    " leading and trailing ",
    "\u6614\u8005\u5e84\u5468\u68a6\u4e3a\u8774\u8776\uff0c"
    "\u6829\u6829\u7136\u8774\u8776\u4e5f\u3002 \U0001f98b\U0001f98b na\u00efve \u00fcber \u2161",
    "\ufb01\u00a0\u3000\u200b\x07e\u0301",
)
"""Texts in which every rule of splitting shows."""
SPECIAL = ("bos_token", "eos_token", "unk_token", "pad_token", "additional_special_tokens")


class InternLM2Tokenizer(PreTrainedTokenizerFast):  # type: ignore[misc]
    """Reads a renamed token under its old name, too."""

    old_names: Mapping[str, str] = {}

    def _encode_plus(self, text: Any, text_pair: Any = None, **kwargs: Any) -> Any:
        return super()._encode_plus(self._renamed(text), self._renamed(text_pair), **kwargs)

    def _renamed(self, text: Any) -> Any:
        if isinstance(text, list | tuple):
            return type(text)(self._renamed(part) for part in text)
        if isinstance(text, str):
            for old, new in self.old_names.items():
                text = text.replace(old, new)
        return text


def load_internlm2_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder with InternLM2's files.

    Raises UnusableError for a tokenizer.model that is missing, unreadable, or splits by rules that are not known.
    """
    proto = _proto(folder / VOCABULARY)
    settings = _settings(folder)
    names = _names(proto, settings)
    backend = _backend(proto, names, settings)
    _add_more(backend, settings, folder)
    tokenizer = InternLM2Tokenizer(
        tokenizer_object=backend,
        name_or_path=str(folder),  # where its generation config is looked for
        clean_up_tokenization_spaces=False,
        model_max_length=settings.get("model_max_length") or None,
        **_tokens(settings),
    )
    pieces = {piece.piece: names.get(number, piece.piece) for number, piece in enumerate(proto.pieces)}
    tokenizer.old_names = {old: new for old, new in pieces.items() if old != new}
    template = folder / "chat_template.jinja"
    if template.is_file():
        tokenizer.chat_template = template.read_text(encoding="utf-8")
    _require_same_ids(backend, folder / VOCABULARY)
    return tokenizer


def _proto(path: Path) -> Any:
    if not path.is_file():
        raise UnusableError(
            "model.no_tokenizer",
            f"{path.parent} has no tokenizer: expected tokenizer.model, as InternLM2 has it. Copy it there.",
            id=str(path.parent),
        )
    proto = import_protobuf().ModelProto()
    try:
        proto.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's DecodeError has no name that outlives its releases
        raise _unreadable(path, "it is no SentencePiece model") from error
    if proto.trainer_spec.model_type != BPE_MODEL or not proto.pieces:
        raise _unreadable(path, "it is not of the BPE kind that InternLM2 has")
    return proto


def _settings(folder: Path) -> dict[str, Any]:
    """What the folder says of its tokenizer. Where tokenizer_config.json does not number the tokens added, the numbers
    in added_tokens.json hold, and the names of the special ones in special_tokens_map.json, as they do to transformers.
    """
    settings = _table(folder / CONFIG)
    if "added_tokens_decoder" in settings:
        return settings
    named = _table(folder / TOKENS)
    for name, value in named.items():
        if isinstance(value, list):
            value = list(dict.fromkeys(map(_content, [*(settings.get(name) or ()), *value])))
        settings[name] = value
    if added := _table(folder / ADDED):
        special = _contents(settings.get(name) for name in SPECIAL)
        settings["added_tokens_decoder"] = _numbered(added, special, folder / ADDED)
    return settings


def _numbered(added: Mapping[str, Any], special: Set[str], path: Path) -> dict[str, Any]:
    """Tokens by their numbers, as tokenizer_config.json writes them since transformers 4.34."""
    for name, number in added.items():
        if type(number) is not int:
            raise _unreadable(path, f"{name!r} has the number {number!r}, which is none")
    return {str(number): {"content": name, "special": name in special} for name, number in added.items()}


def _contents(tokens: Iterable[Any]) -> set[str]:
    """The texts of tokens and of lists of tokens."""
    lists = [token if isinstance(token, list) else [token] for token in tokens]
    return {content for tokens in lists for content in map(_content, tokens) if isinstance(content, str)}


def _table(path: Path) -> dict[str, Any]:
    """The values of a JSON file; none where it is missing."""
    try:
        values = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, str(error)) from error
    if not isinstance(values, dict):
        raise _unreadable(path, "it is not a table of settings")
    return values


def _names(proto: Any, settings: Mapping[str, Any]) -> dict[int, str]:
    """The pieces that have another name than their own, by id."""
    declared = settings.get("added_tokens_decoder")
    pieces = [piece.piece for piece in proto.pieces]
    names = {i: OLD_NAMES[piece] for i, piece in enumerate(pieces) if piece in OLD_NAMES}
    for number, token in declared.items() if isinstance(declared, dict) else ():
        content = token.get("content") if isinstance(token, dict) else token
        if str(number).isdigit() and int(number) < len(pieces) and isinstance(content, str):
            names[int(number)] = content
    return {number: name for number, name in names.items() if name != pieces[number]}


def _tokens(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Special tokens as the folder names them: text, or a table with its content."""
    found = {name: settings[name] for name in (*SPECIAL, "chat_template") if settings.get(name) is not None}
    plain = {
        name: list(map(_content, value)) if isinstance(value, list) else _content(value)
        for name, value in found.items()
    }
    return {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", **plain}


def _content(token: Any) -> Any:
    """A token's text, which may stand in a table."""
    return token["content"] if isinstance(token, dict) else token


def _backend(proto: Any, names: Mapping[int, str], settings: Mapping[str, Any]) -> Tokenizer:
    vocabulary = {names.get(number, piece.piece): number for number, piece in enumerate(proto.pieces)}
    backend = Tokenizer(
        BPE(
            vocab=vocabulary,
            merges=generate_merges(_ranks(proto)),
            unk_token=proto.trainer_spec.unk_piece,
            fuse_unk=True,
            byte_fallback=proto.trainer_spec.byte_fallback,
        )
    )
    backend.normalizer = normalizers.Sequence(_normalizers(proto.normalizer_spec))
    backend.decoder = decoders.Sequence(_decoders(proto.normalizer_spec))
    backend.add_tokens(
        [
            AddedToken(
                names.get(number, piece.piece), normalized=False, special=_special(number, piece, names)
            )
            for number, piece in enumerate(proto.pieces)
            if piece.type in (CONTROL, USER_DEFINED) or number == proto.trainer_spec.unk_id
        ]
    )
    backend.post_processor = _framed(proto, settings)
    return backend


def _framed(proto: Any, settings: Mapping[str, Any]) -> processors.TemplateProcessing:
    """What stands before and after the ids of a text, or of two in a row: of itself the token that begins it."""
    spec = proto.trainer_spec
    before = [spec.bos_id] if settings.get("add_bos_token", True) else []
    after = [spec.eos_id] if settings.get("add_eos_token", False) else []
    marks = {number: proto.pieces[number].piece for number in (*before, *after)}

    def around(texts: str) -> str:
        return " ".join([*(marks[number] for number in before), texts, *(marks[number] for number in after)])

    return processors.TemplateProcessing(
        single=around("$A"),
        pair=around("$A $B"),
        special_tokens=[(name, number) for number, name in marks.items()],
    )


def _add_more(backend: Tokenizer, settings: Mapping[str, Any], folder: Path) -> None:
    """Tokens that somebody put behind the vocabulary: left out, their text would fall into pieces."""
    declared = settings.get("added_tokens_decoder")
    numbered = (
        {int(number): token for number, token in declared.items() if str(number).isdigit()}
        if isinstance(declared, dict)
        else {}
    )
    size = backend.get_vocab_size()
    for number in sorted(number for number in numbered if number >= size):
        token = numbered[number]
        known = token if isinstance(token, dict) else {"content": str(token)}
        flags = {name: bool(known.get(name)) for name in ("single_word", "lstrip", "rstrip", "special")}
        backend.add_tokens([AddedToken(str(known.get("content")), normalized=False, **flags)])
        if backend.token_to_id(str(known.get("content"))) != number:
            raise _unreadable(
                folder / CONFIG,
                f"no token can have the number {number}, for those before it lack",
            )


def _ranks(proto: Any) -> dict[str, int]:
    """The pieces by the order they are merged in: of the score, whatever their ids are."""
    pieces = sorted(proto.pieces, key=lambda piece: -piece.score)
    return {piece.piece: rank for rank, piece in enumerate(pieces)}


def _special(number: int, piece: Any, names: Mapping[int, str]) -> bool:
    """What decoding may leave out: marks of the format, not pieces that may stand in a text."""
    return piece.type != USER_DEFINED or number in names


def _normalizers(spec: Any) -> list[Any]:
    steps: list[Any] = []
    if spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(spec.precompiled_charsmap))
    if spec.add_dummy_prefix:
        steps.append(normalizers.Prepend(SPACE))
    return [*steps, normalizers.Replace(" ", SPACE)]


def _decoders(spec: Any) -> list[Any]:
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    return [*steps, decoders.Strip(" ", 1, 0)] if spec.add_dummy_prefix else steps


def _require_same_ids(backend: Tokenizer, path: Path) -> None:
    """Raises UnusableError where the original library splits a text otherwise: by a rule that is not known here."""
    from sentencepiece import SentencePieceProcessor

    original = SentencePieceProcessor(model_file=str(path))
    for text in PROBES:
        if original.encode(text) != backend.encode(text, add_special_tokens=False).ids:
            raise _unreadable(path, f"it splits {text[:24]!r} by rules that InternLM2 does not have")


def _unreadable(path: Path, why: str) -> UnusableError:
    return UnusableError(
        "model.bad_tokenizer",
        f"The tokenizer of {path.parent} cannot be loaded: {path.name}: {why}",
        id=str(path.parent),
        detail=f"{path.name}: {why}",
    )
