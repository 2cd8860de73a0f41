"""What to do about the errors and warnings of data."""

TEXTS: dict[str, str] = {
    "advice.data.many_dropped": (
        "A row that is dropped teaches nothing. The report names each reason and the first places: look "
        "at one of them. Often the format, the columns or max_length are wrong, not the rows."
    ),
    "advice.data.many_prompts_cut": (
        "A cut prompt loses its beginning: the system message and the first turns. Raise "
        'data.max_prompt_length, or set data.too_long = "drop".'
    ),
    "advice.data.many_completions_cut": (
        "The model never sees how a cut answer ends, and may learn not to stop. Raise data.max_length, "
        'or set data.too_long = "drop".'
    ),
    "advice.data.many_duplicates": (
        "Repeated pairs weigh more than the others, and may be in training and evaluation alike if their "
        "prompts differ. Remove them if that is not meant."
    ),
    "advice.data.chosen_longer": (
        "DPO likes to learn that longer is better. Compare the length of answers before and after; a "
        'higher beta, loss = "ipo" or balanced pairs help.'
    ),
    "advice.data.no_eval": (
        "Without held-out pairs nothing tells learning from memorising, and there is no best checkpoint. "
        "Add pairs, or raise data.eval_fraction."
    ),
    "advice.data.text_for_chat_model": (
        "A chat model that is trained on text without its template learns an odd dialect. Right only for "
        "plain text completion."
    ),
    "advice.data.tools_not_rendered": "The model would learn to call tools that it was never told of.",
    "advice.data.cache_unwritable": (
        "The run goes on. Only the next run with this data has to prepare it again."
    ),
    "advice.data.nothing_left": (
        "Each row was dropped for a reason that the data report names. Check the format and the columns "
        "first, then data.max_length."
    ),
    "advice.data.too_few_pairs": (
        "A step needs that many pairs at once. A smaller train.pairs_per_step works as well, with a "
        "slightly lower learning rate."
    ),
    "advice.data.too_few_visits": "Weights below 1 leave pairs out of an epoch.",
    "advice.data.bad_row": (
        "A row that cannot be understood stops the run, since nobody can tell what else is wrong. Open "
        "the file at that place."
    ),
    "advice.data.unreadable": (
        "Open the file at that place. A download that was cut off, or another encoding, are the most "
        "common causes."
    ),
    "advice.data.format_unknown": (
        "Name the columns by hand: which one holds the prompt, which the chosen and which the rejected "
        "answer."
    ),
    "advice.data.format_ambiguous": (
        "Choose the format by hand. `dpo-tui data` shows what each would make of the rows."
    ),
    "advice.data.format_refused": (
        "These rows hold no preference between two answers. Choose a preference dataset, or make pairs "
        "of it first."
    ),
    "advice.data.column_missing": "Look at the columns that are there, and correct `columns` of this source.",
    "advice.data.exclude_column": "Look at the columns that are there, and correct `exclude` of this source.",
    "advice.preview.all_excluded": "`dpo-tui data CONFIG` reads all of it, and shows what is left.",
    "advice.data.all_excluded": "What is left out is decided by `exclude` of this source.",
    "advice.data.exclude_unmatched": (
        "Most often the value is misspelled, and rows that were to be left out are trained on. Text needs quotes, "
        "numbers and true or false have none."
    ),
    "advice.data.for_reward_model": (
        "POLAR compares answers with a reference; DPO needs only which one is better. Nothing is lost if that is meant."
    ),
    "advice.data.no_rows": "The file is empty, or the split is.",
    "advice.data.no_scores": "min_margin compares scores, and these rows bring none.",
    "advice.data.no_eos": "Without an end token the model cannot learn where an answer ends.",
    "advice.data.no_chat_template": (
        "A base model has no chat template. Give it one with data.chat_template, or start from the chat "
        "model of the same family."
    ),
    "advice.data.bad_chat_template": (
        "The template must render a list of messages. Take the one of a model of the same family."
    ),
    "advice.data.hub_unusable": (
        "The dataset's page shows its files and known problems. Its rows may also be had as Parquet: "
        'revision = "refs/convert/parquet".'
    ),
    "advice.data.hub_no_space": "Datasets go to HF_HOME. data.sources.streaming = true keeps no copy.",
    "advice.data.no_split": 'Most preference datasets have "train"; the dataset\'s page lists the splits.',
    "advice.data.no_subset": "The dataset's page lists the subsets.",
    "advice.data.file_missing": "A relative path starts at the directory in which dpo-tui was started.",
    "advice.data.changed": "Somebody still writes to it. Start again when it is complete.",
    "advice.data.store_broken": "The prepared pairs were damaged, most likely by a full disk.",
    "advice.data.scratch": "Joining rows needs some room on the disk for a while.",
    "advice.data.stopped": "Nothing was trained yet. Resume prepares the data again.",
    "advice.config.input_missing": "Nothing was written. Correct the paths and start again.",
}
