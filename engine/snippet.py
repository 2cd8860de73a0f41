"""The lines of Python that load an export and let it answer: of its card, and on the screen. Free of torch."""


def loading_snippet(
    place: str,
    *,
    adapter: bool,
    chat: bool,
    own_code: bool = False,
    code_revision: str | None = None,
    family: str | None = None,
    four_bits: str | None = None,
) -> str:
    """A whole program. `place` is a folder or a repo id.

    own_code: whether transformers loads it by code of the base's authors only; code_revision: the commit at which that
    is to be had, where it is in a repo of its own. Of an adapter, family: the `model_type`
    of a base that dpo-tui reads without that code; four_bits: what the base computes in, where it was in 4 bits.
    """
    loader = "AutoPeftModelForCausalLM" if adapter else "AutoModelForCausalLM"
    imports = (
        "from peft import AutoPeftModelForCausalLM\nfrom transformers import AutoTokenizer"
        if adapter
        else "from transformers import AutoModelForCausalLM, AutoTokenizer"
    )
    inputs = (
        'messages = [{"role": "user", "content": "What is the capital of France?"}]\n'
        "inputs = tokenizer.apply_chat_template(\n"
        '    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"\n'
        ")"
        if chat
        else 'inputs = tokenizer("The capital of France is", return_tensors="pt")'
    )
    base, options, given = "", 'dtype="auto"', "**inputs"
    if four_bits:
        imports = f"import torch\n{imports}, BitsAndBytesConfig"
        base, options = _in_4_bits(f"torch.{four_bits}")
        given = "**inputs.to(model.device)"  # which is the GPU, where there is one
    if family:
        imports += f'\n\nfrom engine.models.families import family_of  # of dpo-tui\n\nfamily_of("{family}")'
    trust, pin = ", trust_remote_code=True" if own_code else "", ""
    if own_code and code_revision:
        pin = f'code = {{"trust_remote_code": True, "code_revision": {code_revision!a}}}\n'
        trust = ", **code"
    return (
        f"{imports}\n\n"
        f"path = {place!a}\n"
        f"{pin}"
        f"tokenizer = AutoTokenizer.from_pretrained(path{trust})\n"
        f"{base}"
        f"model = {loader}.from_pretrained(path, {options}{trust})\n"
        f"{inputs}\n"
        f"answer = model.generate({given}, max_new_tokens=100)\n"
        'print(tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))'
    )


def _in_4_bits(dtype: str) -> tuple[str, str]:
    """The lines that say how the base was quantised in training, and the options that have it loaded so."""
    lines = (
        "in_4_bits = BitsAndBytesConfig(\n"
        '    load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,\n'
        f"    bnb_4bit_compute_dtype={dtype},\n"
        ")\n"
    )
    return lines, f"dtype={dtype}, quantization_config=in_4_bits"
