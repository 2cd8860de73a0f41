"""What `dpo-tui import` says of a config of XTuner's, and writes beside the values of ours."""

TEXTS: dict[str, str] = {
    "import.header": "From XTuner's config {path}. Behind a value stands where it was written there.",
    "import.story": "{path}: a DPO config of XTuner's, read without running it",
    "import.heading.mapped": "mapped",
    "import.heading.differs": "means something else here",
    "import.heading.lost": "not mapped",
    "import.heading.skipped": "not read",
    "import.idle": "\nnot needed here: {names}",
    "import.more": "... and {count} more",
    "import.origin": "{name}, {line}",
    "import.line": "line {line}",
    "import.line.of": "{file} line {line}",
    "import.why.expression": "an expression that is not worked out",
    "import.why.type": "a value of another kind than expected",
    "import.why.name": "the file does not say what `{what}` is",
    "import.why.call": "a call of `{what}`, and nothing is called",
    "import.why.long": "longer, larger or deeper than a config needs",
    "import.why.deep": "nested too deeply",
    "import.why.statement": "`{what}`, a statement that is not carried out",
    "import.why.changed": "`{what}` may have been changed by a statement that was not read",
    "import.why.base": "the config `{what}` that this one starts from is not beside it, or cannot be read",
    "import.why.definition": "`{what}` is defined here, and not run",
    "import.differs.remote_code": (
        "XTuner ran Python code of the model's repo; here it stays off, and InternLM2 needs none. For a model that "
        "does: set it, and `revision` to a commit you have read"
    ),
    "import.differs.float16": (
        "XTuner computes in float16 with a scaled loss; here the weights trained are fp32, computing is in bfloat16, "
        "and no loss is scaled"
    ),
    "import.differs.checkpointing": (
        "XTuner recomputes activations unless told not to; here it is off, which is faster with the same result: set "
        "it to true if memory runs out"
    ),
    "import.differs.four_bits": 'needs one package more: pip install "dpo-tui[qlora]"',
    "import.differs.targets": (
        "InternLM2's layers have Llama's names here: wqkv is q_proj, k_proj and v_proj, each with an adapter of its own"
    ),
    "import.differs.template": (
        "XTuner's prompt_template shapes only its sample chats; pairs are rendered there and here by the model's own "
        "chat template"
    ),
    "import.differs.ipo": (
        "the mean is over all tokens of a completion; XTuner leaves out those with id 0, and gets NaN for a completion "
        "with none left"
    ),
    "import.differs.kto_pair": (
        "its KL terms are means over all pairs of the step; XTuner's are over each device's batch_size, a much noisier "
        "estimate"
    ),
    "import.differs.robust": "without label smoothing XTuner's 'robust' is 'sigmoid', and here is called so",
    "import.differs.smoothing": "left out: {loss} knows no label smoothing, and XTuner ignored it",
    "import.differs.decay": "norms and biases are not decayed here; XTuner decays them too",
    "import.differs.unclipped": "XTuner's file clips no gradients; 1.0 is usual",
    "import.differs.warmup": "a share of all steps, from a rate of 0; XTuner gives the end in epochs or iterations",
    "import.differs.iterations": (
        "optimizer steps; XTuner counts iterations, of which accumulative_counts = {counts} make a step"
    ),
    "import.differs.batch": (
        "over all devices; XTuner's batch_size is of each device, so that N of them took {pairs} x N pairs a step: "
        "multiply to repeat such a run"
    ),
    "import.differs.packed_batch": (
        "pairs, over all devices; XTuner counts packs here, each of as many pairs as fit max_packed_length, on each "
        "device: {pairs} is the least it took. `dpo-tui data` tells the tokens of a pair, and so how many fit"
    ),
    "import.differs.sequence": (
        "the fewest that can share a sequence; XTuner is told its devices at the start. Set it to yours"
    ),
    "import.differs.prompt": (
        "XTuner cuts only the end of prompt + completion, and a prompt that fills max_length leaves nothing to learn; "
        "here a longer prompt keeps its end, and {left} tokens stay free for completions"
    ),
    "import.differs.packing": (
        "pairs are always packed, as many tokens as fit the memory, and a prompt is computed once for both "
        "completions; the result does not depend on it"
    ),
    "import.differs.held_out": "XTuner trains on every pair; 0.05 would hold some out, and measure on them",
    "import.differs.folder": "every data file of the folder is read, also those of other endings (csv, parquet, ...)",
    "import.lost.unread": "{why}",
    "import.lost.tokenizer": "another tokenizer than that of {model}; here it is always the model's own",
    "import.lost.reference": "another reference than {model}; here it is always the model as it starts",
    "import.lost.dtype": "no type to compute in is called {found}",
    "import.lost.adapter": "no such kind of adapter can be trained",
    "import.lost.pattern": "a pattern of module names; list the names instead",
    "import.lost.quantization": "only four bits of type nf4 can be trained on",
    "import.lost.quantized_whole": "only with adapters: a quantized model cannot be trained as a whole",
    "import.lost.weights": (
        "weights from a .pth file: convert it with `xtuner convert pth_to_hf`, and set model.source to local and "
        "model.id to the folder"
    ),
    "import.lost.optimizer": "the optimizer is AdamW on fp32 weights, not {found}: check the learning rate",
    "import.lost.betas": "AdamW's betas are 0.9 and 0.999",
    "import.lost.epsilon": "AdamW's epsilon is 1e-8, not {found}",
    "import.lost.clipping": "gradients are clipped by their L2 norm, 1.0 unless optimizer.max_grad_norm is set",
    "import.lost.warmup": "its end is no known share of the training; 0.1 unless optimizer.warmup_ratio is set",
    "import.lost.schedule": "{found} is not there; cosine unless optimizer.schedule is set",
    "import.lost.ends_early": "the course goes on to the last step",
    "import.lost.ends_above": "the learning rate ends at 0",
    "import.lost.save_epochs": "saving goes by optimizer steps: set train.save_every",
    "import.lost.keep_all": "the newest two and the best are kept unless train.keep is set",
    "import.lost.chat": (
        "no sample chats during training; an export shows the model's answers to the same questions before and after"
    ),
    "import.lost.hook": "a hook that is not there",
    "import.lost.visualizer": "curves are drawn by `dpo-tui attach`, from events.jsonl of the run",
    "import.lost.resume": "a run of XTuner's cannot be gone on with; `--resume` goes on with runs of its own",
    "import.lost.strategy": "launch.strategy chooses among DDP and ZeRO by the memory; set it to choose yourself",
    "import.lost.runs": "runs are in ./runs unless run.dir is set",
    "import.lost.sources": "the first {most} places are taken",
    "import.lost.lengths": "one length holds for all data; that of the first is taken",
    "import.lost.counts": "not a number of iterations; taken as 1",
    "import.lost.order": "pairs are always shuffled, by run.seed",
    "import.lost.reader": "only load_dataset and load_jsonl_dataset are known, not {found}",
    "import.lost.folder": "every data file of the folder is read, by its ending (jsonl, json, csv, parquet, arrow)",
    "import.lost.rows": (
        "rows are read as they are, by a layout that is detected, and {found} is not run: look at them with "
        "`dpo-tui data`"
    ),
    "import.lost.left_over": "nothing corresponds to it",
}
