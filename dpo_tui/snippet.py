"""The lines of Python that load an exported model and let it answer."""


def loading_snippet(place: str, *, adapter: bool, chat: bool) -> str:
    """A whole program, as the model card has it. `place` is a folder or a repo id."""
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
    return (
        f"{imports}\n\n"
        f"path = {place!a}\n"
        "tokenizer = AutoTokenizer.from_pretrained(path)\n"
        f'model = {loader}.from_pretrained(path, dtype="auto")\n'
        f"{inputs}\n"
        "answer = model.generate(**inputs, max_new_tokens=100)\n"
        'print(tokenizer.decode(answer[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))'
    )
