"""Texts of a run's monitor and its log."""

TEXTS: dict[str, str] = {
    "key.log.up": "上移",
    "key.log.up.tip": "上移一行；日志停止跟随",
    "key.log.down": "下移",
    "key.log.down.tip": "下移一行；到末尾后恢复跟随",
    "key.log.page_up": "上一页",
    "key.log.page_up.tip": "向上翻一屏",
    "key.log.page_down": "下一页",
    "key.log.page_down.tip": "向下翻一屏",
    "key.log.top": "首行",
    "key.log.top.tip": "跳到日志开头",
    "key.log.end": "跟随",
    "key.log.end.tip": "跳到日志末尾并持续跟随",
    "key.log.left": "向左",
    "key.log.left.tip": "查看长行左侧的内容",
    "key.log.right": "向右",
    "key.log.right.tip": "查看长行右侧的内容",
    "key.log.find": "查找",
    "key.log.find.tip": "在日志中查找文字，不区分大小写",
    "key.log.next": "下一处",
    "key.log.next.tip": "跳到下一处匹配",
    "key.log.previous": "上一处",
    "key.log.previous.tip": "跳到上一处匹配",
    "key.log.next_rank": "下一个 rank",
    "key.log.next_rank.tip": "查看下一个训练进程的日志",
    "key.log.previous_rank": "上一个 rank",
    "key.log.previous_rank.tip": "查看上一个训练进程的日志",
    "key.log.unfind": "结束查找",
    "key.log.unfind.tip": "退出查找，停留在当前位置",
    "log.title": "日志",
    "log.find": "在日志中查找…",
    "log.ranks": "rank {rank}，共 {ranks} 个   [ ] 切换",
    "log.empty": "暂无内容",
    "log.reading": "读取中 {share}",
    "log.following": "跟随中   / 查找",
    "log.line": "第 {line} / {total} 行   End 恢复跟随",
    "log.searching": "“{query}”  查找中… {found}",
    "log.match": "“{query}”  第 {rank} / {found} 处   n 下一处  N 上一处",
    "log.matches": "“{query}”  共 {found} 处   n 下一处  N 上一处",
    "log.help": (
        "# 日志\n\n"
        "训练进程及其所用库的输出。`train.log` 属于监督进程和 rank 0；有多个 rank 时，用 `[` 和 `]` 切换。\n\n"
        "日志默认跟随末尾。向上滚动即停在当前位置，按 `End` 恢复跟随。`/` 查找文字，`n` 和 `N` 跳到下一处和上一处。"
        "`←` 和 `→` 查看长行的其余部分。"
    ),
}
