"""The data report in the language spoken, on a terminal: what the wizard shows of it, and the first pair."""

import json

from dpo_tui.text import t
from dpo_tui.wizard.report_text import counts_text, lengths_text, warnings_text
from engine.pair_text import pair_text


def data_report(said: str) -> str:
    """The text of a report in JSON, as `python -m engine data --json` prints it."""
    report = json.loads(said)
    parts = [counts_text(report, places=True), lengths_text(report), warnings_text(report)]
    texts = [part.plain for part in parts]
    if example := report.get("example"):
        texts += [t("command.data.pair"), pair_text(example)]
    return "\n\n".join(text for text in texts if text)
