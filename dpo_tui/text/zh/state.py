"""Words for the state of a run."""

TEXTS: dict[str, str] = {
    "state.queued": "排队中",
    "state.starting": "启动中",
    "state.running": "训练中",
    "state.training": "训练中",
    "state.stopping": "停止中",
    "state.evaluating": "评估中",
    "state.saving": "保存中",
    "state.exporting": "导出中",
    "state.verifying": "校验中",
    "state.uploading": "上传中",
    "state.finishing": "收尾中",
    "state.done": "已完成",
    "state.failed": "失败",
    "state.stopped": "已停止",
    "state.broken": "已损坏",
    "state.unknown": "未知",
}
