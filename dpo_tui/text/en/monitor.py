"""Texts of a run's monitor and its log."""

TEXTS: dict[str, str] = {
    "key.log.up": "Up",
    "key.log.up.tip": "One line up; the log stops following",
    "key.log.down": "Down",
    "key.log.down.tip": "One line down; at the end the log follows again",
    "key.log.page_up": "Page up",
    "key.log.page_up.tip": "A screenful up",
    "key.log.page_down": "Page down",
    "key.log.page_down.tip": "A screenful down",
    "key.log.top": "First line",
    "key.log.top.tip": "Go to the beginning of the log",
    "key.log.end": "Follow",
    "key.log.end.tip": "Go to the end of the log and follow it",
    "key.log.left": "Left",
    "key.log.left.tip": "Show what is further left in long lines",
    "key.log.right": "Right",
    "key.log.right.tip": "Show what is further right in long lines",
    "key.log.find": "Find",
    "key.log.find.tip": "Find a word in the log; upper and lower case are alike",
    "key.log.next": "Next match",
    "key.log.next.tip": "Go to the next line that holds the word",
    "key.log.previous": "Previous match",
    "key.log.previous.tip": "Go to the line before that holds the word",
    "key.log.next_rank": "Next rank",
    "key.log.next_rank.tip": "Show the log of the next training process",
    "key.log.previous_rank": "Previous rank",
    "key.log.previous_rank.tip": "Show the log of the training process before",
    "key.log.unfind": "End the search",
    "key.log.unfind.tip": "Leave the search where it is",
    "log.title": "Log",
    "log.find": "Find in the log …",
    "log.ranks": "rank {rank} of {ranks}   [ ] other ranks",
    "log.empty": "nothing yet",
    "log.reading": "reading {share}",
    "log.following": "following   / find",
    "log.line": "line {line} of {total}   End follows",
    "log.searching": "“{query}”  searching … {found}",
    "log.match": "“{query}”  {rank} of {found}   n next  N previous",
    "log.matches": "“{query}”  {found} found   n next  N previous",
    "log.help": (
        "# Log\n\n"
        "What the training processes and the libraries they use print. `train.log` is of the supervisor and rank 0; "
        "with several ranks `[` and `]` show the others.\n\n"
        "The log follows its end. Scroll up to stay where you are, press `End` to follow again. `/` finds a word, `n` "
        "and `N` go on from there. `←` and `→` show the rest of long lines."
    ),
}
