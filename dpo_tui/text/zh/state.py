"""Words for the state of a run."""

TEXTS: dict[str, str] = {
    "state.queued": "排队中",
    "state.starting": "启动中",
    "state.running": "训练中",
    "state.training": "训练中",
    "state.stopping": "停止中",
    "state.done": "已完成",
    "state.failed": "失败",
    "state.stopped": "已停止",
    "state.broken": "已损坏",
    "state.unknown": "未知",
}
