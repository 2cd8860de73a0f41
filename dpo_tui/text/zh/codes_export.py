"""导出的错误与警告：英文句子由引擎给出，这里是中文句子。"""

TEXTS: dict[str, str] = {
    "code.export.cannot_compute": (
        "没有写出导出的模型：{detail}。请换一个 --dtype；用 --no-verify（[export] 中 verify = false）可以"
        "照样写出"
    ),
    "code.export.gguf_base": (
        "适配器是在从 {file} 解包的权重上训练的：用在别的文件或仓库的权重上，结果会略有不同。"
        "--no-adapter 导出合并后的模型"
    ),
    "code.export.nf4_base": (
        "适配器是在 4 比特（nf4，双重量化）的基础模型上训练的：请像模型卡中那样加载基础模型；用在未量化的基础模型"
        "上，就是另一个模型。--no-adapter 导出合并后的模型"
    ),
    "code.export.nf4_merged": (
        "适配器合并进了训练时所用的权重，即 4 比特解包后的数值：这正是训练所得的模型，也带有 4 比特的舍入。若要把"
        "适配器用在未量化的基础模型上（那是没有人训练或测量过的另一个模型），请用 --adapter 导出"
    ),
    "code.export.code_missing": (
        "config.json 提到的代码不在基础模型的文件旁边（{files}）：靠作者代码运行基础模型的服务也需要把这些文件放在"
        "这里。--layout native 写出不需要任何代码的模型"
    ),
    "code.export.family_adapter": (
        "适配器里的权重用的是 {name} 的名称：它适合 dpo-tui 读入的基础模型（见模型卡），不适合由作者代码读入的那个。"
        "--no-adapter 导出合并后的模型"
    ),
    "code.export.local_base": (
        "适配器需要它的基础模型（{base}），而它只知道本地的名称或路径：在别处加载它的人也要有那个模型。"
        "--no-adapter 导出合并后的模型"
    ),
    "code.export.modelscope_base": (
        "适配器的基础模型是 ModelScope 上的 {base}，而工具会到 Hugging Face Hub 上找这个名称：在别处加载它的人也要有"
        "那个模型。--no-adapter 导出合并后的模型"
    ),
    "code.export.not_whole": (
        "{path}：没有写出导出的模型：读回时不完整（{problem}）。请检查磁盘，然后重新导出"
    ),
    "code.export.bad_target": "不会写入 {path}。请用 --to 选择一个新的或空的文件夹",
    "code.export.bad_target.root": (
        "{path} 是根目录或用户主目录：不会写入那里。请用 --to 选择一个新的或空的文件夹"
    ),
    "code.export.bad_target.git": "{path} 是 git 仓库：不会写入那里。请用 --to 选择一个新的或空的文件夹",
    "code.export.bad_target.file": "{path} 是文件：不会写入那里。请用 --to 选择一个新的或空的文件夹",
    "code.export.bad_target.full": (
        "{path} 不是空的，也不是 dpo-tui 的导出（其中有“{name}”）：不会写入那里。请用 --to 选择一个新的或"
        "空的文件夹"
    ),
    "code.export.bad_target.added": (
        "{path} 是先前的导出，但其中加入了“{name}”：不会写入那里。请用 --to 选择一个新的或空的文件夹"
    ),
    "code.export.replaced": (
        "{path} 中原有一个导出（第 {step} 步，{held}，{dtype}，基础模型 {base}），已被这次的取代。若要都保留，请用 "
        "--to 各给一个文件夹"
    ),
    "code.word.held.adapter": "适配器",
    "code.word.held.merged model": "合并后的模型",
    "code.export.busy": "{path}：另一个导出正在写入这里。请等它结束，或用 --to 选择其他文件夹",
    "code.export.unproved": (
        "{path}：没有写出导出的模型：文件内容与训练所得不符：{problem}。请重新导出：磁盘或内存的偶发故障"
        "不会重复。若再次出现，--no-verify（[export] 中 verify = false）可以不经验证写出"
    ),
    "code.export.proof_memory": (
        "{path}：没有写出导出的模型：用来验证的进程内存不足（文件共 {size:.1f} GB）。请腾出内存后重新导出"
        "，或用 --no-verify（[export] 中 verify = false）不经验证写出"
    ),
    "code.export.no_adapter": "{run} 训练的是全部权重：没有适配器可以导出。请去掉 --adapter",
    "code.export.adapter_layout": (
        "--layout {layout} 指的是完整的模型，而单独的适配器没有布局。请去掉 --layout，或用 "
        "--no-adapter 导出合并后的模型"
    ),
    "code.export.no_checkpoint": "{run} 还没有检查点",
    "code.export.no_best": "{run} 的检查点都没有评估过，因此没有最好的。现有检查点：{known}",
    "code.export.no_such_checkpoint": "{run} 没有第 {step} 步的检查点。现有检查点：{known}",
    "code.export.tokenizer_changed": (
        "{run} 训练时所用的 tokenizer 或模板（{changed}）已经改变。请把旧文件放回去，或删除 {note} 以用现"
        "在的文件导出"
    ),
    "code.export.base_changed": (
        "{id} 已不是 {run} 训练时的那个模型：它的权重变了。请在 [model] 中用 revision 固定它，或把旧文件"
        "放回去"
    ),
    "code.export.merge_differs": (
        "把适配器合并进基础模型后，logits 改变了 {moved:.2g}，而舍入只能解释 {allowed:.2g}：合并后的模型"
        "不是训练所得的模型。请用 --adapter 导出"
    ),
    "code.export.done": "导出已完成",
    "code.export.interrupted": "导出在完成之前被停止",
    "code.export.out_of_memory": "导出时内存不足：请腾出内存，或换一台更大的机器",
    "code.export.crashed": "导出意外出错：{kind}: {problem}",
    "code.export.no_answers": "没有可以比较的回答：{problem}",
    "code.answers.no_export": "{path}：这里没有导出的模型。请先导出这次运行",
    "code.answers.no_pairs": "{run} 已经没有准备好的偏好对：不知道该问什么",
    "code.word.problem.too little memory": "内存不足",
    "code.export.bad_checkpoint": "--checkpoint 应为 latest、best 或步数，例如 300",
    "code.export.nothing_public": "--public 需要 --push REPO：没有它就不会上传",
    "code.word.changed.chat template": "对话模板",
    "code.word.changed.tokenizer's EOS": "tokenizer 的 EOS",
    "code.word.changed.tokenizer's vocabulary": "tokenizer 的词表",
    "code.word.changed.tokenizer's way to split": "tokenizer 的切分方式",
}
