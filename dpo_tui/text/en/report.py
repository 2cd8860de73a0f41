"""Reasons of the data report: what was dropped, and what was cut."""

TEXTS: dict[str, str] = {
    "report.dropped.excluded": "left out by exclude",
    "report.dropped.empty_chosen": "the chosen completion is empty",
    "report.dropped.empty_rejected": "the rejected completion is empty",
    "report.dropped.equal": "chosen and rejected are the same",
    "report.dropped.no_prompt": "no prompt comes before the completions",
    "report.dropped.histories_differ": "the two histories differ",
    "report.dropped.prompts_differ": "a completion does not begin with the assistant",
    "report.dropped.not_assistant": "the last message is not the assistant's",
    "report.dropped.template_refused": "the chat template refuses the conversation",
    "report.dropped.too_long": "longer than the limits",
    "report.dropped.oversized": "far more text than the limits let in",
    "report.dropped.no_room": "the prompt leaves no room for a completion",
    "report.dropped.equal_after_cut": "the same once cut to length",
    "report.dropped.tie": "annotators called it a tie",
    "report.dropped.margin": "the scores are closer than min_margin",
    "report.dropped.no_score": "no score to compare with min_margin",
    "report.dropped.unpaired": "no row with the opposite label has this prompt",
    "report.cut.prompt": "prompts lost their beginning",
    "report.cut.chosen": "chosen completions lost their end",
    "report.cut.rejected": "rejected completions lost their end",
}
