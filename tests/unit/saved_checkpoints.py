"""Checkpoints of a few bytes, saved as the training saves them."""

import os
from pathlib import Path

from engine.rundir.checkpoints import CheckpointIndex


def save(index: CheckpointIndex, step: int, content: bytes = b"weights", **metrics: float) -> Path:
    staging = index.staging(step)
    with index.writing(step):
        descriptor = os.open(staging / "weights.bin", os.O_WRONLY | os.O_CREAT)
        os.write(descriptor, content)
        os.close(descriptor)
        (staging / "shards").mkdir()
        (staging / "shards" / "optimizer.bin").write_bytes(b"o" * 10)
    return index.commit(
        step,
        epoch=step / 10,
        metrics=metrics,
        config_digest="c",
        data_digest="d",
        model_digest="m",
        world_size=1,
        versions={"torch": "2"},
    )


def newest_good(index: CheckpointIndex) -> int | None:
    return index.newest_verified(lambda *_: None)
