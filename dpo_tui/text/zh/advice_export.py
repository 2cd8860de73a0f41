"""针对导出的错误与警告的建议。"""

TEXTS: dict[str, str] = {
    "advice.export.cannot_compute": "权重在这个类型下无法计算。bfloat16 的数值范围与训练时相同。",
    "advice.export.gguf_base": "若要给别人使用，请导出合并后的模型。",
    "advice.export.local_base": "若要给别人使用，请导出合并后的模型。",
    "advice.export.not_whole": "检查点是完好的，失败的只是导出。",
    "advice.export.bad_target": "导出绝不会覆盖不属于它的东西。",
    "advice.export.busy": "两个导出写到同一个文件夹会把文件混在一起。",
    "advice.export.unproved": "导出的模型再次加载后，计算结果与训练所得不同。检查点是完好的。",
    "advice.export.proof_memory": "验证时要再加载一次模型。检查点是完好的。",
    "advice.export.no_checkpoint": "运行在 train.save_every 步之后或结束时保存第一个检查点。",
    "advice.export.no_best": "评估需要 data.eval_fraction 大于 0。最新的检查点总是可以导出。",
    "advice.export.tokenizer_changed": "模型必须与训练时的 tokenizer 一起使用。",
    "advice.export.base_changed": "适配器只适合训练它时的基础模型。",
    "advice.export.merge_differs": "单独的适配器能保留准确的结果。",
    "advice.checkpoint.damaged": "这次运行的其他检查点可能是完好的。通常的原因是磁盘损坏。",
    "advice.export.interrupted": "不会留下半成品；随时可以重新导出。",
    "advice.export.out_of_memory": "导出时模型会在内存里放一到两份。--no-verify 需要得少一些。",
    "advice.export.crashed": "这本不该发生。检查点是完好的；日志中有 traceback。",
    "advice.export.no_answers": "失败的只是回答的对比；导出是完整的。",
    "advice.answers.no_pairs": "问题取自这次运行留出的偏好对。",
}
