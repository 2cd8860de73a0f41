"""数据的错误与警告：英文句子由引擎给出，这里是中文句子。"""

TEXTS: dict[str, str] = {
    "code.data.stopped": "已按要求在准备数据时停止",
    "code.data.model_with_config": "--model 只用于数据路径。若是配置文件，请写 --set model.id=...",
    "code.data.set_with_path": "--set 用来修改配置，而这里给出的是数据",
    "code.data.bad_word": "命令中的值有误：{detail}",
    "code.data.no_eos": "模型的 tokenizer 没有 EOS token，回答就无法结束。请换一个模型",
    "code.data.no_chat_template": (
        "数据是对话，而模型的 tokenizer 没有对话模板。请在 [data] 中用 chat_template 指定模板文件，或换一"
        "个对话模型"
    ),
    "code.data.bad_chat_template": "对话模板不能使用：{cause}。请指定一个含 Jinja 模板的文本文件",
    "code.data.no_subset": (
        "数据集 {path} 没有这个子集，或需要说明是哪一个。可选的有：{names}。请在 [[data.sources]] 中设置 "
        "subset"
    ),
    "code.data.hub_unusable": "无法使用数据集 {path}（划分 {split}）：{cause}",
    "code.data.hub_path_is_local": '{path} 就在这台机器上。请在 [[data.sources]] 中为它写 source = "local"',
    "code.data.bad_repo_id": '“{path}”不是数据集的 id：应为 owner/name。若是文件，请写 source = "local"',
    "code.data.no_split": "数据集 {path} 没有划分“{split}”，只有：{splits}",
    "code.data.hub_no_space": "没有空间存放数据集 {path}：{detail}。请腾出空间，或把 HF_HOME 设到另一块磁盘",
    "code.data.file_missing": "{path}：没有这个文件或文件夹（相对于 {folder}）",
    "code.data.file_missing.hub": (
        '{path}：没有这个文件或文件夹（相对于 {folder}）。若是 Hub 上的数据集，请写 source = "hub"'
    ),
    "code.data.unknown_builtin": "没有名为“{name}”的内置数据集。可用的有：{known}",
    "code.data.unreadable": "{where}：无法读取：{problem}",
    "code.data.format_refused": "{place}：这是 {format} 格式的数据，不能直接用于偏好训练（{detail}）",
    "code.data.format_unknown": (
        "{place}：没有一种已知格式适合它。数据中的列：{columns}。请在 [[data.sources]] 中用 columns 写明"
        "读取哪些列"
    ),
    "code.data.format_ambiguous": (
        "{place}：前几行同时符合多种格式：{formats}。请在 [[data.sources]] 中用 format 写明是哪一种"
    ),
    "code.data.scratch": "{place}：读取时无法在这里暂存数据：{cause}。请腾出空间，或检查权限",
    "code.data.unknown_format": "没有名为“{name}”的数据格式。可用的有：auto, {known}",
    "code.data.unknown_format.near": "没有名为“{name}”的数据格式。是不是“{near}”？",
    "code.data.nothing_left": "{rows:,} 行中没有一行可以用于训练：{dropped}",
    "code.data.nothing_left.empty": "没有任何一行可以用于训练：数据是空的",
    "code.data.too_few_pairs": (
        "可供训练的偏好对只有 {pairs:,} 个，而一步需要 {pairs_per_step:,} 个。请把 train.pairs_per_step "
        "设为 {pairs:,} 或更小，或增加偏好对"
    ),
    "code.data.too_few_visits": (
        "按各来源的权重，一轮只访问 {pairs:,} 个偏好对中的 {visits:,} 个，而一步需要 {pairs_per_step:,} "
        "个。请提高权重，或把 train.pairs_per_step 设为 {visits:,} 或更小"
    ),
    "code.data.cache_unwritable": "准备好的偏好对没有为其他运行保留：{problem}",
    "code.data.changed": "{path}：读取过程中发生了变化。请等它完整之后重新开始",
    "code.data.store_broken": "{path}：不是可读的已准备偏好对（{detail}）。请删除它：会重新生成",
    "code.data.no_scores": (
        "{path}：设置了 min_margin，但前若干行没有分数。已知的分数列：{columns}。请在这个来源的 columns "
        "中写明，或去掉 min_margin"
    ),
    "code.data.exclude_column": (
        "{path}：exclude 写了列“{column}”，而读取的 {rows:,} 行中没有一行有这一列。实际的列：{columns}"
    ),
    "code.preview.all_excluded": "{path}：exclude 排除了前 {rows:,} 行，而预览只读到这里；训练还会读取其余的行",
    "code.data.all_excluded": "{path}：exclude 排除了读取的全部 {rows:,} 行。请少写一些值，或去掉这个来源",
    "code.data.exclude_unmatched": "{path}：读取的 {rows:,} 行都不是 exclude 所写的 {values}",
    "code.data.exclude_unmatched.near": "{path}：读取的 {rows:,} 行都不是 exclude 所写的 {values}。是不是 {near}？",
    "code.data.for_reward_model": (
        "{path}：各行的 {columns} 是给 POLAR 奖励模型用的，不会读取：训练的是 chosen 对 rejected"
    ),
    "code.data.no_rows": "{path}：没有任何一行。请检查路径和划分",
    "code.data.bad_row": "{where}：{problem}。请修正或删除这一行",
    "code.data.column_missing": "{where}：没有列“{column}”，而 columns 用它作为 {name}",
    "code.data.many_dropped": "{total:,} 行中丢弃了 {count:,} 行",
    "code.data.many_prompts_cut": (
        "{total:,} 个偏好对中有 {count:,} 个的 prompt 被截断；内存允许时请提高 data.max_prompt_length"
    ),
    "code.data.many_completions_cut": (
        "{total:,} 个偏好对中有 {count:,} 个的 chosen 或 rejected 被截断，没有结尾；内存允许时请提高 "
        "data.max_length"
    ),
    "code.data.many_duplicates": "{total:,} 个偏好对中有 {count:,} 个与别的重复；出现几次就算几次",
    "code.data.chosen_longer": (
        "chosen 回答平均长度是 rejected 的 {ratio:.2f} 倍：模型可能学到的是长度，而不是质量。请留意回答的长度"
    ),
    "code.data.no_eval": "没有留出偏好对用于评估：偏好对太少，或 prompt 全都相同",
    "code.data.text_for_chat_model": (
        "{count:,} 个偏好对是纯文本，会照原样训练，不套用模型的对话模板。如果它们是问答，请为其来源写 "
        'format = "prompt-pairs"'
    ),
    "code.data.tools_not_rendered": (
        "{count:,} 个偏好对带有工具，而对话模板没有把它们展示给模型。请在 [data] 中用 chat_template 指定"
        "能展示工具的模板"
    ),
    "code.config.input_missing": (
        "找不到输入：{problems}。请改正路径，或把文件放到那里；相对路径从当前目录算起"
    ),
    "code.word.cause.size": "文件为空，或超过 1 MiB",
}
