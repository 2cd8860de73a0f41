"""Checks between fields: pure functions of a config, each yielding what does not go together."""

import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches

from engine.config.conflict import Conflict
from engine.config.launch_checks import devices, job
from engine.config.problems import KeyPath, shown_text
from engine.config.schema import HUBS, Config, Export, Model, Source
from engine.shipped import BUILTIN_DATA, BUILTIN_MODELS

COMMIT = re.compile(r"[0-9a-f]{40}")
SMOOTHED = ("sigmoid", "robust")
SMOOTHING = "objective.label_smoothing"
HUB_ONLY = {"subset": "have subsets", "split": "have splits", "streaming": "can be streamed"}
STREAMED = ("hub",)
"""Of the sources that are downloaded, those that can be read over the network as well."""
_SCOPE_ID = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*", re.ASCII)
_REPO_ID = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*", re.ASCII)


def conflicts(config: Config) -> Iterator[Conflict]:
    """Everything in `config` that contradicts something else in it."""
    for check in CHECKS:
        yield from check(config)


def lengths(config: Config) -> Iterator[Conflict]:
    """A completion needs room behind the prompt, and the longest possible pair must fit into one pack."""
    data, pack = config.data, config.train.tokens_per_pack
    if data.max_prompt_length >= data.max_length:
        yield Conflict(
            (("data", "max_prompt_length"), ("data", "max_length")),
            f"must be smaller than max_length, {data.max_length}, to leave room for a completion; "
            f"found {data.max_prompt_length}",
            "lengths.prompt",
            {"max_length": data.max_length, "found": data.max_prompt_length},
        )
    if pack != "auto" and pack < 2 * data.max_length:
        yield Conflict(
            (("train", "tokens_per_pack"), ("data", "max_length")),
            f"must be at least {2 * data.max_length}, twice data.max_length, so that the longest pair fits "
            f"into one pack; found {pack}",
            "lengths.pack",
            {"least": 2 * data.max_length, "found": pack},
        )


def objective(config: Config) -> Iterator[Conflict]:
    """Label smoothing is defined for some losses alone, and one of them is another loss without it."""
    loss, smoothing = config.objective.loss, config.objective.label_smoothing
    if loss == "robust" and smoothing == 0 and SMOOTHING not in (config.launch.job.array or ()):
        yield Conflict(
            (("objective", "loss"), ("objective", "label_smoothing")),
            "'robust' with label_smoothing = 0 is 'sigmoid': set label_smoothing to the share of pairs labelled the "
            "wrong way round, like 0.1, or loss to 'sigmoid'",
            "objective.not_smoothed",
        )
    if smoothing > 0 and loss not in SMOOTHED:
        yield Conflict(
            (("objective", "label_smoothing"), ("objective", "loss")),
            f"only works with loss = {' or '.join(map(repr, SMOOTHED))}, and loss is '{loss}'; "
            "leave it out or set it to 0",
            "objective.smoothing",
            {"loss": loss},
        )


def model_origin(config: Config) -> Iterator[Conflict]:
    """The model's name fits its source."""
    yield from _origin(config.model, config.model.id, ("model",), "id", BUILTIN_MODELS)


def data_origin(config: Config) -> Iterator[Conflict]:
    """Each data source's path fits its source, the hub's keys stand only where the hub is, and `exclude` has values."""
    for index, source in enumerate(config.data.sources):
        place = ("data", "sources", index)
        yield from _origin(source, source.path, place, "path", BUILTIN_DATA)
        for key, text in HUB_ONLY.items():
            fits = STREAMED if key == "streaming" else HUBS
            if source.source not in fits and getattr(source, key) != Source.model_fields[key].default:
                hub = "Hugging Face hub" if key == "streaming" else "hub"
                yield Conflict(
                    ((*place, key), (*place, "source")),
                    f"only {hub} datasets {text}; leave it out",
                    "source.hub_only",
                    {"case": key},
                )
        if source.streaming and "[" in source.split:
            yield Conflict(
                ((*place, "split"), (*place, "streaming")),
                f"a part of a split cannot be streamed, found {shown_text(source.split)}; "
                "set limit, or streaming = false",
                "source.streamed_part",
                {"found": shown_text(source.split)},
            )
        for column, values in (source.exclude or {}).items():
            if not values:
                yield Conflict(
                    ((*place, "exclude", column),),
                    "names no value, so no row would be left out; write the values of such rows, or leave it out",
                    "source.no_value",
                )


def remote_code(config: Config) -> Iterator[Conflict]:
    """Code from the hub runs only at a commit somebody has looked at: a branch may change under it."""
    model = config.model
    if not model.trust_remote_code:
        return
    if model.source != "hub":
        yield Conflict(
            (("model", "trust_remote_code"), ("model", "source")),
            f"only works with source = 'hub', and source is '{model.source}'; leave it out",
            "remote_code.source",
            {"source": model.source},
        )
    elif not COMMIT.fullmatch(model.revision or ""):
        yield Conflict(
            (("model", "trust_remote_code"), ("model", "revision")),
            "needs the commit whose code you have read: set revision to its 40 hexadecimal digits",
            "remote_code.commit",
        )


def adapters(config: Config) -> Iterator[Conflict]:
    """An adapter can be exported only if one is trained, and its weights have the same names in any case."""
    lora = config.model.lora
    if config.export.adapter and config.export.layout != Export.model_fields["layout"].default:
        yield Conflict(
            (("export", "layout"), ("export", "adapter")),
            f"'{config.export.layout}' is the layout of a whole model, and export.adapter = true exports the adapter "
            "alone; leave one of them out",
            "export.adapter_layout",
            {"layout": config.export.layout},
        )
    if config.export.adapter and lora is None:
        yield Conflict(
            (("export", "adapter"), ("model", "lora")),
            "there is no adapter to export without a [model.lora] table",
            "export.no_lora",
        )
    if lora is not None and lora.targets == []:
        text = "names no module; leave it out for all linear layers"
        yield Conflict((("model", "lora", "targets"),), text, "lora.no_target")


def quantization(config: Config) -> Iterator[Conflict]:
    """Weights in 4 bits stay whole on each device: their scales lie beside them, and DeepSpeed would cut without."""
    launch = config.launch
    if not config.model.quantization:
        return
    if launch.strategy == "zero3":
        yield Conflict(
            (("launch", "strategy"), ("model", "lora", "quantization")),
            "'zero3' cannot divide weights in 4 bits among the devices: set it to 'zero2', which divides all that is "
            "trained, or leave out quantization",
            "quantization.zero3",
        )
    elif launch.offload == "all":
        yield Conflict(
            (("launch", "offload"), ("model", "lora", "quantization")),
            "'all' offloads weights, which weights in 4 bits cannot be; set it to 'optimizer', or leave out "
            "quantization",
            "quantization.offload",
        )


def evaluation(config: Config) -> Iterator[Conflict]:
    """Evaluation, and the best checkpoint by it, need pairs held out."""
    if config.data.eval_fraction > 0:
        return
    if config.train.eval_every is not None:
        yield Conflict(
            (("train", "eval_every"), ("data", "eval_fraction")),
            "there is nothing to evaluate with data.eval_fraction = 0; leave it out",
            "evaluation.every",
        )
    if config.export.checkpoint == "best":
        yield Conflict(
            (("export", "checkpoint"), ("data", "eval_fraction")),
            "the best checkpoint is the one of the smallest eval loss, and data.eval_fraction is 0",
            "evaluation.best",
        )
    for gate in ("min_accuracy", "min_margin", "max_loss"):
        if getattr(config.gates, gate) is not None:
            yield Conflict(
                (("gates", gate), ("data", "eval_fraction")),
                "is judged on held-out pairs, and data.eval_fraction is 0; leave one of them out",
                "evaluation.gate",
            )


def upload(config: Config) -> Iterator[Conflict]:
    """What is uploaded must be exported, and the repo must be one the hub can have."""
    export = config.export
    if export.push is None:
        return
    if not export.enabled:
        yield Conflict(
            (("export", "push"), ("export", "enabled")),
            "nothing is uploaded while export.enabled is false; leave one of them out",
            "upload.disabled",
        )
    if not is_repo_id(export.push):
        yield Conflict(
            (("export", "push"),),
            f"expected a repo id like 'you/name', found {shown_text(export.push)}",
            "upload.repo_id",
            {"found": shown_text(export.push)},
        )


def is_repo_id(text: str) -> bool:
    """Whether the hub can have a repo of this name: `name` or `owner/name`."""
    fits = _REPO_ID.fullmatch(text) is not None and len(text) <= 96
    return fits and not re.search(r"--|\.\.|[.-]$|[.-]/|\.git$", text)


def is_scope_id(text: str) -> bool:
    """Whether ModelScope can have a repo of this name: `owner/name`."""
    return _SCOPE_ID.fullmatch(text) is not None and len(text) <= 200 and ".." not in text


def _origin(
    of: Model | Source, name: str, place: KeyPath, key: str, builtin: tuple[str, ...]
) -> Iterator[Conflict]:
    keys = ((*place, key), (*place, "source"))
    unfit = (of.source == "hub" and not is_repo_id(name)) or (
        of.source == "modelscope" and not is_scope_id(name)
    )
    if unfit:
        yield Conflict(
            keys,
            f"expected a repo id like 'owner/name', found {shown_text(name)}. "
            "For a file or folder, set source = 'local'",
            "origin.repo_id",
            {"found": shown_text(name)},
        )
    if of.source == "builtin" and name not in builtin:
        close = get_close_matches(name, builtin, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        yield Conflict(
            keys,
            f"expected {' or '.join(map(repr, builtin))}, found {shown_text(name)}.{hint}",
            "origin.builtin",
            {"expected": [*map(repr, builtin)], "found": shown_text(name)}
            | ({"case": "meant", "meant": close[0]} if close else {}),
        )
    if of.source not in HUBS and of.revision is not None:
        yield Conflict(
            ((*place, "revision"), (*place, "source")),
            f"only a hub has revisions, and source is '{of.source}'; leave it out",
            "origin.revision",
            {"source": of.source},
        )


CHECKS: tuple[Callable[[Config], Iterator[Conflict]], ...] = (
    model_origin,
    remote_code,
    adapters,
    quantization,
    lengths,
    devices,
    job,
    data_origin,
    objective,
    evaluation,
    upload,
)
