"""From a checkpoint to an ordinary Hugging Face model: a folder that any tool of the field loads."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from engine.config.local import expanded
from engine.data.report.tallies import Notice
from engine.exits import HubError
from engine.export.expected import Expected
from engine.export.files import check_written, write_model, write_words
from engine.export.folder import export_folder, require_target, reserved, staged
from engine.export.original import missing_code
from engine.export.proof import Proof, prove
from engine.export.reading import Request
from engine.export.record import holds, recorded_proof, replaced
from engine.export.source import Checkpoint, Layout, Source, find_source, identity, tokenizer_of
from engine.export.stages import Tell, nobody, stage
from engine.export.weights import Policy, trained_policy
from engine.freed import give_back
from engine.models.hub import require_repo_id, upload
from engine.rundir.paths import RunDir


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A folder that was written, or that held all of it already."""

    path: Path
    proof: Proof | None
    """None where nobody asked for one."""
    reused: bool = False
    """Whether an earlier export was found there, unchanged, and only uploaded."""
    notices: tuple[Notice, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Where it is, how large, and what was proved: the values of an `export` event."""
        return {
            "path": str(self.path),
            "proof": self.proof.to_json() if self.proof else None,
            "bytes": sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file()),
            "reused": self.reused,
        }


def export(
    run: RunDir,
    *,
    checkpoint: Checkpoint = "latest",
    to: Path | None = None,
    dtype: str | None = None,
    adapter: bool = False,
    layout: Layout | None = None,
    push: str | None = None,
    private: bool = True,
    verify: bool = True,
    tell: Tell = nobody,
) -> Exported:
    """Writes the model of a checkpoint to a folder, and uploads that to `push` if given.

    With `verify` a fresh process loads the folder, before it takes its place, and must find bit for bit what was
    trained. `tell` hears of each stage. Raises UsageError (a folder that is not ours or is being written,
    no such checkpoint), UnusableError (a checkpoint that does not verify or fit), CannotWriteError (also: the proof
    failed), EnvironmentUnfitError (no memory for it), HubError; the folder is whole or untouched in every case, and
    stays when only the upload fails: the same call then uploads it, and writes nothing.
    """
    target = require_target(to or run.export_dir)
    if push:
        require_repo_id(push)
    with stage(tell, "checkpoint"):
        source = find_source(run, checkpoint, dtype, adapter, target, push, layout)
    with reserved(target):
        tokenizer = tokenizer_of(source)
        done = push and _written_before(source, tokenizer, verify)
        exported = done or _write(source, tokenizer, verify, tell)
        if push:
            with stage(tell, "push"):
                _push(target, push, private, _again(source, checkpoint, private, verify))
    return exported


def _written_before(source: Source, tokenizer: PreTrainedTokenizerBase, verify: bool) -> Exported | None:
    """What an upload that failed has left: the very same export, proved if a proof is asked for, and unchanged."""
    proof = recorded_proof(source.target)
    if (verify and proof is None) or not holds(source.target, identity(source, tokenizer)):
        return None
    return Exported(path=source.target, proof=proof, reused=True)


def _write(source: Source, tokenizer: PreTrainedTokenizerBase, verify: bool, tell: Tell) -> Exported:
    with stage(tell, "policy"):
        policy = trained_policy(source, tokenizer, verify)
    expected, facts = policy.expected, identity(source, tokenizer)
    earlier = replaced(source.target, facts)
    with staged(source.target) as (folder, scratch):
        with stage(tell, "write"):
            types = write_model(folder, policy.model, tokenizer, source)
            _let_go(policy)  # the reader needs the memory
            check_written(folder, source, types)
        proof = None
        if expected is not None:
            with stage(tell, "proof"):
                proof = prove(expected, _request(folder, source, expected), scratch, source.target)
        write_words(folder, source, facts, proof)
    notices = (*([earlier] if earlier else []), *_notices(source))
    return Exported(path=source.target, proof=proof, notices=notices)


def _let_go(policy: Policy) -> None:
    """Gives the model's memory back to the system: the reader needs as much."""
    del policy.model
    give_back()


def _request(folder: Path, source: Source, expected: Expected) -> Request:
    base = source.base
    place = base.path / base.gguf_file if base.gguf_file else base.path
    return Request(
        folder=str(folder),
        base=str(place) if source.adapter else None,
        quantization=source.config.model.quantization if source.adapter else None,
        prompts=expected.prompts.ids,
        texts=expected.prompts.texts,
        attention=expected.attention,
        threads=expected.threads,
        trust_remote_code=base.trust_remote_code,
    )


def _notices(source: Source) -> Iterator[Notice]:
    """What somebody who is handed the export must be told."""
    base, quantized = source.base, source.config.model.quantization is not None
    if source.keeps_layout and (files := missing_code(source)):
        yield Notice(
            "export.code_missing",
            f"config.json names code that was not beside the base's files ({', '.join(files)}): a server that runs "
            "the base by its authors' code needs those files here too. --layout native writes a model that needs none.",
            {"files": files},
        )
    if not source.adapter:
        if quantized:
            yield Notice(
                "export.nf4_merged",
                "The adapter is merged into the base's weights as it was trained on them: in 4 bits, unpacked. That is "
                "the model that was trained, and it carries the rounding of 4 bits. To put the adapter on the "
                "unquantised base, another model that nobody has trained or measured, export it with --adapter.",
                {},
            )
        return
    if quantized:
        yield Notice(
            "export.nf4_base",
            "The adapter was trained on its base in 4 bits (nf4, doubly quantised): load the base so, as the model "
            "card shows; on the unquantised base it is another model. --no-adapter exports the merged model.",
            {},
        )
    if source.family:
        yield Notice(
            "export.family_adapter",
            f"The adapter's weights have the names of a {source.family.native_name}: it fits the base as dpo-tui "
            "reads it (see the card), not as its authors' code does. --no-adapter exports the merged model.",
            {"name": source.family.native_name},
        )
    if base.gguf_file:
        yield Notice(
            "export.gguf_base",
            f"The adapter was trained on weights unpacked from {base.gguf_file}: on those of another file or repo it "
            "computes a little differently. --no-adapter exports the merged model.",
            {"file": base.gguf_file},
        )
    elif base.source == "modelscope":
        yield Notice(
            "export.modelscope_base",
            f"The adapter's base is {base.public_id} of ModelScope, and tools look for its name on the Hugging Face "
            "hub: whoever loads the adapter elsewhere must be given that model too. --no-adapter exports the merged "
            "model.",
            {"base": base.public_id},
        )
    elif base.source == "local":
        known = f"folder {base.path}" if source.repo is None else f'name "{base.public_id}"'
        yield Notice(
            "export.local_base",
            f"The adapter needs its base, which it knows by the {known} only: whoever loads it elsewhere must be "
            "given that model too. --no-adapter exports the merged model.",
            {"base": base.public_id},
        )


def _again(source: Source, checkpoint: Checkpoint, private: bool, verify: bool) -> str:
    """The command that does the same export once more: what the run's config does not say stands in it."""
    settings = source.config.export
    words = ["dpo-tui", "export", str(source.run.root), "--push", str(source.repo)]
    if not private:
        words += ["--public"]
    if source.target != expanded(export_folder(source.run, source.config)).resolve():
        words += ["--to", str(source.target)]
    if checkpoint != settings.checkpoint:
        words += ["--checkpoint", str(checkpoint)]
    if source.dtype != (settings.dtype or source.config.model.exported_dtype):
        words += ["--dtype", source.dtype]
    if source.adapter != settings.adapter:
        words += ["--adapter" if source.adapter else "--no-adapter"]
    if source.layout != settings.layout:
        words += ["--layout", source.layout]
    if verify != settings.verify:
        words += ["--verify" if verify else "--no-verify"]
    return shlex.join(words)


def _push(folder: Path, repo: str, private: bool, again: str) -> None:
    try:
        upload(folder, repo, private=private)
    except HubError as error:
        text = f"{error.text} The export is in {folder}; to upload it again: {again}"
        raise HubError(error.code, text, **{**error.params, "path": str(folder)}) from error
