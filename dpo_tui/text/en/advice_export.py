"""What to do about the errors and warnings of exports."""

TEXTS: dict[str, str] = {
    "advice.export.cannot_compute": (
        "The weights do not work in that type. bfloat16 holds the range that they were trained in."
    ),
    "advice.export.gguf_base": "Export the merged model if others shall use it.",
    "advice.export.nf4_base": "Export the merged model if others shall use it without bitsandbytes.",
    "advice.export.nf4_merged": "The merged model is as large as the base was; it needs no bitsandbytes.",
    "advice.export.code_missing": "They are in the base's repo. Read them before you let anything run them.",
    "advice.export.family_adapter": "Export the merged model if others shall use it.",
    "advice.export.local_base": "Export the merged model if others shall use it.",
    "advice.export.modelscope_base": "Export the merged model if others shall use it.",
    "advice.export.not_whole": "The checkpoint is whole; only the export failed.",
    "advice.export.replaced": "Each checkpoint can be exported again at any time, as long as the run keeps it.",
    "advice.export.bad_target": "An export never overwrites what is not its own.",
    "advice.export.busy": "Two exports to one folder would mix their files.",
    "advice.export.unproved": (
        "The export was loaded once more and did not compute what was trained. The checkpoint is whole."
    ),
    "advice.export.proof_memory": "Proving loads the model a second time. The checkpoint is whole.",
    "advice.export.no_checkpoint": (
        "A run saves its first checkpoint after train.save_every steps, or at its end."
    ),
    "advice.export.no_best": (
        "Evaluation needs data.eval_fraction above 0. The newest checkpoint can be exported in any case."
    ),
    "advice.export.tokenizer_changed": "A model must be used with the tokenizer that it was trained with.",
    "advice.export.base_changed": "An adapter fits the base that it was trained on, and no other.",
    "advice.export.merge_differs": "The adapter alone keeps the exact result.",
    "advice.checkpoint.damaged": (
        "Another checkpoint of the run may be whole. A damaged disk is the usual cause."
    ),
    "advice.export.interrupted": "Nothing half is left behind; export again when you like.",
    "advice.export.out_of_memory": (
        "Exporting holds the model once or twice in memory. --no-verify needs less."
    ),
    "advice.export.crashed": "This should not happen. The checkpoint is whole; the log has the traceback.",
    "advice.export.no_answers": "Only the comparison of answers failed; the export is complete.",
    "advice.answers.no_pairs": "The questions come from the pairs that the run held out.",
}
