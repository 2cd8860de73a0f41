"""What to do about the errors of models and the hub."""

TEXTS: dict[str, str] = {
    "advice.lora.bad_target": '"all-linear" fits every model and is the usual choice.',
    "advice.model.no_quantizer": (
        "It is large and only QLoRA needs it. Without quantization the frozen model is kept as it is."
    ),
    "advice.model.nothing_quantized": "LoRA works on it as it is; train.gradient_checkpointing saves memory.",
    "advice.model.little_quantized": "It trains all the same, in more memory than 4 bits for each weight would take.",
    "advice.model.builtin_missing": (
        "The built-in model is a package of its own, so that nobody downloads it who does not want it."
    ),
    "advice.model.no_tokenizer": (
        "The model's files are incomplete. Copy the tokenizer's files from the model it was made from."
    ),
    "advice.model.broken_file": (
        "A download was cut off, or a disk failed. What is whole is kept when you fetch it again."
    ),
    "advice.model.unknown_weights": (
        "Without them the model would compute something else. Check that config.json is its own."
    ),
    "advice.model.missing_weights": (
        "Training would start from random numbers in part. Fetch the model again, or check that "
        "config.json is its own."
    ),
    "advice.model.missing_package": "Install the package that the message names into the same environment.",
    "advice.model.bad_model": (
        "The files are there and cannot be read as this model. Fetch them again, or try a newer transformers."
    ),
    "advice.model.bad_tokenizer": (
        "The files are there and cannot be read as a tokenizer. Fetch them again, or try a newer "
        "transformers."
    ),
    "advice.model.not_causal": (
        "DPO compares the probability of two answers, which needs a model that writes from left to "
        "right, such as Qwen, Llama or Mistral."
    ),
    "advice.model.unknown_type": "The model may be newer than the transformers installed here.",
    "advice.model.no_safetensors": "Choose a version of the model with .safetensors files.",
    "advice.model.not_found": "A relative path starts at the directory in which dpo-tui was started.",
    "advice.model.is_adapter": "Merge it first, for example with `model.merge_and_unload()` of peft.",
    "advice.model.bad_config": "The folder is no whole model. Fetch it again.",
    "advice.model.no_config": "Give the folder that holds config.json and the weights, or a .gguf file.",
    "advice.model.quantized": (
        "Quantised weights have no gradients. Train the full model; if memory is short, with LoRA and "
        'quantization = "nf4", which quantises it here.'
    ),
    "advice.model.remote_code": (
        "Code from a repo runs with your rights. It also needs a fixed commit in model.revision."
    ),
    "advice.model.code_elsewhere": "Trust is in one repo at one commit; this code could change under you.",
    "advice.model.many_gguf": "Set model.id to one of the .gguf files.",
    "advice.model.gguf_rope": "Its safetensors repo holds the whole model.",
    "advice.model.gguf_split_unknown": "With wrong token ids the model would learn noise.",
    "advice.model.gguf_unreadable": "Compare the file's size with the one on its page.",
    "advice.model.float32": (
        "Both types train the same model. float32 is the more precise, and its activations take twice the memory."
    ),
    "advice.model.no_sizes": "It can be trained all the same; only its memory is not told beforehand.",
    "advice.model.no_checkpointing": "To save memory, lower train.tokens_per_pack instead.",
    "advice.model.vocabulary": "The tokenizer is of another model. Use the one that came with the weights.",
    "advice.model.positions": "Beyond its positions a model computes nonsense.",
    "advice.hub.offline": (
        "Without a network only what was downloaded before can be used. The built-in model and data need "
        "none."
    ),
    "advice.hub.gated": "Open the page in a browser, accept the terms, then log in here.",
    "advice.hub.not_found": "Check the spelling, capitals included. A private repo needs a login.",
    "advice.hub.no_revision": "Leave the revision out to take the newest.",
    "advice.hub.no_file": "The repo is being changed, or is damaged.",
    "advice.hub.auth": "Tokens are made on huggingface.co under Settings, Access Tokens.",
    "advice.hub.rate_limit": "Wait some minutes. Logged in, the limit is higher.",
    "advice.hub.down": "Nothing is wrong here. Try again later; complete files are kept.",
    "advice.hub.refused": "The hub said no. Its own words tell why.",
    "advice.hub.timeout": "The network is slow or blocked. Behind a firewall, set HF_ENDPOINT to a mirror.",
    "advice.hub.broken": "Try again: complete files are kept.",
    "advice.hub.unreachable": (
        "Check the network. Where huggingface.co is blocked, set HF_ENDPOINT to a mirror, such as "
        "https://hf-mirror.com."
    ),
    "advice.hub.no_hub": (
        "A proxy or a login page of the network answers instead of the hub, or HF_ENDPOINT is wrong."
    ),
    "advice.hub.no_xet": "Mirrors often lack Xet storage.",
    "advice.hub.cache_unwritable": "Downloads go to HF_HOME; `hf cache` shows what could be deleted.",
    "advice.hub.public": "A repo that is public stays public, whatever is uploaded to it.",
    "advice.hub.no_token": "Writing needs a token with write access.",
}
