"""针对数据的错误与警告的建议。"""

TEXTS: dict[str, str] = {
    "advice.data.many_dropped": (
        "被丢弃的行不起任何作用。报告写明了每个原因和最先出现的位置：看看其中一处。往往不是数据有错，而是"
        "格式、列名或 max_length 不对。"
    ),
    "advice.data.many_prompts_cut": (
        "被截断的 prompt 会失去开头，也就是系统消息和最初几轮对话。请提高 data.max_prompt_length，或设 "
        'data.too_long = "drop"。'
    ),
    "advice.data.many_completions_cut": (
        "模型看不到被截断的回答如何结束，可能学不会停下来。请提高 data.max_length，或设 data.too_long = "
        '"drop"。'
    ),
    "advice.data.many_duplicates": (
        "重复的偏好对比其他的权重更大；如果 prompt 不同，还可能同时出现在训练集和评估集里。若非有意，请去"
        "掉重复。"
    ),
    "advice.data.chosen_longer": (
        'DPO 很容易学成“越长越好”。请比较训练前后回答的长度；提高 beta、用 loss = "ipo"，或让偏好对长度均'
        "衡，都有帮助。"
    ),
    "advice.data.no_eval": (
        "没有留出的偏好对，就分不清模型是在学习还是在死记，也没有最好的检查点。请增加偏好对，或提高 "
        "data.eval_fraction。"
    ),
    "advice.data.text_for_chat_model": (
        "对话模型若用不带模板的文本训练，会学到与对话不一致的写法。只有做纯文本续写时才应如此。"
    ),
    "advice.data.tools_not_rendered": "模型会学着调用从未告诉过它的工具。",
    "advice.data.cache_unwritable": "运行照常继续。只是下一次使用这些数据的运行需要重新准备。",
    "advice.data.nothing_left": (
        "每一行都因某个原因被丢弃，数据报告中有说明。请先检查格式和列，再看 data.max_length。"
    ),
    "advice.data.too_few_pairs": (
        "一步需要同时用到这么多偏好对。train.pairs_per_step 小一些也可以，学习率可略微降低。"
    ),
    "advice.data.too_few_visits": "小于 1 的权重会让一轮里跳过一部分偏好对。",
    "advice.data.bad_row": "无法理解的行会使运行停止，因为无从得知还有什么问题。请打开文件的那个位置查看。",
    "advice.data.unreadable": "请打开文件的那个位置查看。最常见的原因是下载不完整，或编码不同。",
    "advice.data.format_unknown": "请手动指定列：哪一列是 prompt，哪一列是 chosen，哪一列是 rejected。",
    "advice.data.format_ambiguous": "请手动选择格式。`dpo-tui data` 会显示按某种格式读取的结果。",
    "advice.data.format_refused": "这些行里没有对两个回答的偏好。请选用偏好数据集，或先把它整理成偏好对。",
    "advice.data.column_missing": "请查看实际有哪些列，并改正这个来源的 columns。",
    "advice.data.exclude_column": "请查看实际有哪些列，并改正这个来源的 exclude。",
    "advice.preview.all_excluded": "`dpo-tui data CONFIG` 会读完全部，并显示还剩什么。",
    "advice.data.all_excluded": "排除哪些行由这个来源的 exclude 决定。",
    "advice.data.exclude_unmatched": (
        "多半是值写错了，本应排除的行会被拿去训练。文本要加引号，数值和 true、false 不加。"
    ),
    "advice.data.for_reward_model": (
        "POLAR 把回答与参考回答比较；DPO 只需要知道哪个更好。如果本意如此，则没有损失。"
    ),
    "advice.data.no_rows": "文件或划分是空的。",
    "advice.data.no_scores": "min_margin 比较的是分数，而这些行没有分数。",
    "advice.data.no_eos": "没有结束 token，模型就学不会回答在哪里结束。",
    "advice.data.no_chat_template": (
        "基础模型没有对话模板。请用 data.chat_template 给它一个，或从同系列的对话模型开始。"
    ),
    "advice.data.bad_chat_template": "模板必须能渲染消息列表。可以取用同系列模型的模板。",
    "advice.data.hub_unusable": (
        '数据集页面上有它的文件和已知问题。也可以用 Parquet 版本：revision = "refs/convert/parquet"。'
    ),
    "advice.data.hub_no_space": "数据集存放在 HF_HOME 下。data.sources.streaming = true 不保留副本。",
    "advice.data.no_split": '多数偏好数据集有 "train"；数据集页面列出了所有划分。',
    "advice.data.no_subset": "数据集页面列出了所有子集。",
    "advice.data.file_missing": "相对路径从启动 dpo-tui 时所在的目录算起。",
    "advice.data.changed": "它仍在被写入。请等它完整之后重新开始。",
    "advice.data.store_broken": "准备好的偏好对已损坏，多半是磁盘满了。",
    "advice.data.scratch": "合并行时需要暂时占用一些磁盘空间。",
    "advice.data.stopped": "还没有训练任何东西。继续会重新准备数据。",
    "advice.config.input_missing": "什么也没有写入。请改正路径后重新开始。",
}
