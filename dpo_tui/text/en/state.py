"""Words for the state of a run."""

TEXTS: dict[str, str] = {
    "state.queued": "queued",
    "state.starting": "starting",
    "state.running": "training",
    "state.training": "training",
    "state.stopping": "stopping",
    "state.evaluating": "evaluating",
    "state.saving": "saving",
    "state.exporting": "exporting",
    "state.verifying": "verifying",
    "state.uploading": "uploading",
    "state.finishing": "finishing",
    "state.done": "done",
    "state.failed": "failed",
    "state.stopped": "stopped",
    "state.broken": "damaged",
    "state.unknown": "unknown",
}
