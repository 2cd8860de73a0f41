"""What reaches the chat template besides messages, and what is told when it does not show it."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from engine.data.encoding import render
from engine.data.encoding.render import BadRow
from engine.data.prepare import make_pairs
from engine.data.report.report import Report
from engine.data.rows.messages import ChatPreference
from engine.exits import UnusableError
from tests.engine.encodings import assistant, encoded, parts, user
from tests.engine.preparing import chat_row, config_for, row, texts, write

SHOWS_ALL = (
    "{% if tools %}{% for tool in tools %}[{{ tool.function.name }}]{% endfor %}{% endif %}"
    "{% if thinking %}(thinking){% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for call in m.tool_calls or [] %}{{ call.function.name }}({{ call.function.arguments | tojson }}){% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


def preference(**more: Any) -> ChatPreference:
    return ChatPreference([user("The sky?")], [assistant("blue")], [assistant("green")], **more)


def prompt_of(asked: ChatPreference, tokenizer: PreTrainedTokenizerBase, template: str = SHOWS_ALL) -> str:
    return parts(encoded(asked, tokenizer, chat_template=template).pair, tokenizer)[0]


def test_tools_and_what_a_row_hands_over_reach_the_template(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    asked = "<|im_start|>user\nThe sky?<|im_end|>\n<|im_start|>assistant\n"
    assert prompt_of(preference(), tiny_tokenizer) == asked
    assert prompt_of(preference(tools=[TOOL]), tiny_tokenizer) == "[weather]" + asked
    everything = preference(tools=[TOOL], template_kwargs={"thinking": True})
    assert prompt_of(everything, tiny_tokenizer) == "[weather](thinking)" + asked


def test_tools_that_the_template_does_not_show_are_told(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    assert encoded(preference(tools=[TOOL]), tiny_tokenizer).tools_lost
    assert not encoded(preference(tools=[TOOL]), tiny_tokenizer, chat_template=SHOWS_ALL).tools_lost
    assert not encoded(preference(), tiny_tokenizer).tools_lost


@pytest.mark.parametrize(
    "name", ["add_generation_prompt", "messages", "tokenize", "eos_token", "chat_template"]
)
def test_a_row_may_not_set_what_training_sets(tiny_tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    with pytest.raises(BadRow) as caught:
        encoded(preference(template_kwargs={name: "x"}), tiny_tokenizer)
    assert f'may not set "{name}"' in caught.value.problem


def test_such_a_row_is_named(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    rows = [chat_row(n) for n in range(300)]
    rows[290]["chat_template_kwargs"] = {"eos_token": "x"}
    file = write(tmp_path / "rows.jsonl", rows)
    with pytest.raises(UnusableError, match=r'rows\.jsonl:291: a row may not set "eos_token"'):
        make_pairs(config_for(file), tiny_tokenizer, tmp_path / "out")


def test_calls_of_tools_are_rendered_and_learnt(tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    call = {"type": "function", "function": {"name": "weather", "arguments": {"day": 1}}}
    calling = [{**assistant(""), "tool_calls": [call]}]
    asked = ChatPreference([user("The sky?")], calling, [assistant("green")], tools=[TOOL])  # type: ignore[arg-type]
    _, chosen, _ = parts(encoded(asked, tiny_tokenizer, chat_template=SHOWS_ALL).pair, tiny_tokenizer)
    assert chosen == 'weather({"day": 1})<|im_end|>'


def report_on(rows: list[dict[str, Any]], folder: Path, tokenizer: PreTrainedTokenizerBase) -> Report:
    return make_pairs(config_for(write(folder / "a.jsonl", rows)), tokenizer, folder / "out").report


def codes(report: Report) -> dict[str, Any]:
    return {notice.code: notice.params for notice in report.warnings() if notice.code != "data.no_eval"}


def test_the_report_warns_of_lost_tools(tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase) -> None:
    rows = [chat_row(0), chat_row(1, tools=[TOOL]), chat_row(2, tools=json.dumps([TOOL]))]
    report = report_on(rows, tmp_path, tiny_tokenizer)
    assert codes(report) == {"data.tools_not_rendered": {"count": 2, "total": 3}}
    assert report.tools_lost.places == [f"{tmp_path}/a.jsonl:2", f"{tmp_path}/a.jsonl:3"]
    assert "2 pairs bring tools, and the chat template does not show them" in report.render()


def test_the_report_warns_of_plain_text_for_a_chat_model(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    report = report_on([row(0), row(1), row(2, chosen="")], tmp_path, tiny_tokenizer)
    assert codes(report)["data.text_for_chat_model"] == {"count": 2, "total": 2}
    assert 'format = "prompt-pairs"' in report.render()


def test_chats_and_models_without_a_template_are_no_reason_to_warn(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert codes(report_on([chat_row(0)], tmp_path, tiny_tokenizer)) == {}
    monkeypatch.setattr(tiny_tokenizer, "chat_template", None)
    assert codes(report_on([row(0)], tmp_path, tiny_tokenizer)) == {}


def test_questions_and_answers_become_chats_when_the_format_says_so(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    file = write(tmp_path / "a.jsonl", [row(0)])
    config = config_for(file, eval_fraction=0)
    source = config.data.sources[0].model_copy(update={"format": "prompt-pairs"})
    chats = config.model_copy(update={"data": config.data.model_copy(update={"sources": [source]})})
    made = make_pairs(chats, tiny_tokenizer, tmp_path / "out")
    assert texts(made.train, tiny_tokenizer)[0].startswith("<|im_start|>user\nThe sky 0<|im_end|>\n")
    assert codes(made.report) == {}


def test_a_template_that_takes_too_long_for_a_row_stops_with_the_row(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "RENDER_SECONDS", 0.2)
    template = tmp_path / "slow.jinja"
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    template.write_text("{% if messages[0].content == 'slow' %}" + endless + "{% endif %}" + SHOWS_ALL)
    file = write(tmp_path / "a.jsonl", [chat_row(0), chat_row(1, prompt=[user("slow")])])
    with pytest.raises(UnusableError, match=r"a\.jsonl:2: the chat template takes longer than 0\.2 s for it"):
        make_pairs(config_for(file, chat_template=str(template)), tiny_tokenizer, tmp_path / "out")


def test_a_template_that_makes_too_much_of_a_row_stops_with_the_row(
    tiny_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "RENDER_CHARACTERS", 1 << 20)
    with pytest.raises(BadRow, match="more than 1 MiB of text"):
        encoded(preference(), tiny_tokenizer, chat_template="{% if messages[0].content == 'The sky?' %}"
                "{{ 'x' * 2000000 }}{% endif %}" + SHOWS_ALL)  # fmt: skip


def test_a_row_of_far_more_text_than_the_limits_let_in_is_dropped_untouched(
    tmp_path: Path, tiny_tokenizer: PreTrainedTokenizerBase
) -> None:
    report = report_on([chat_row(0), chat_row(1, prompt=[user("sea " * 300_000)])], tmp_path, tiny_tokenizer)
    assert report.kept == 1
    assert report.dropped["oversized"].detail == "1,200,006 characters"
