"""数据报告里的丢弃原因、截断，以及报告本身的词。"""

TEXTS: dict[str, str] = {
    "report.dropped.excluded": "被 exclude 排除",
    "report.dropped.empty_chosen": "chosen 回答为空",
    "report.dropped.empty_rejected": "rejected 回答为空",
    "report.dropped.equal": "chosen 与 rejected 相同",
    "report.dropped.no_prompt": "回答之前没有 prompt",
    "report.dropped.histories_differ": "两边的对话历史不同",
    "report.dropped.prompts_differ": "有一个回答不是以 assistant 开头",
    "report.dropped.not_assistant": "最后一条消息不是 assistant 的",
    "report.dropped.template_refused": "对话模板拒绝了这段对话",
    "report.dropped.too_long": "超出长度限制",
    "report.dropped.oversized": "文本远远超过长度限制",
    "report.dropped.no_room": "prompt 没有给回答留下位置",
    "report.dropped.equal_after_cut": "截断之后两者相同",
    "report.dropped.tie": "标注者认为不分高下",
    "report.dropped.margin": "分差小于 min_margin",
    "report.dropped.no_score": "没有可与 min_margin 比较的分数",
    "report.dropped.unpaired": "没有同一 prompt 的相反标签的行",
    "report.cut.prompt": "prompt 被去掉开头",
    "report.cut.chosen": "chosen 回答被去掉结尾",
    "report.cut.rejected": "rejected 回答被去掉结尾",
}
