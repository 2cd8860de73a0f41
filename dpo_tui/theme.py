"""Colours: two themes of ours beside Textual's own, and one hue for each metric in all of them."""

from textual.theme import Theme

DARK = Theme(
    name="dpo-dark",
    primary="#7aa2f7",
    secondary="#7dcfff",
    accent="#7aa2f7",
    foreground="#c8d0e0",
    background="#14161c",
    surface="#14161c",
    panel="#1d212b",
    success="#9ece6a",
    warning="#e0af68",
    error="#f7768e",
    dark=True,
    variables={
        "footer-background": "#14161c",
        "footer-key-foreground": "#7aa2f7",
        "footer-description-foreground": "#8b93a7",
        "block-cursor-background": "#2a3146",
        "block-cursor-foreground": "#e6ebf5",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#1f2432",
    },
)

LIGHT = Theme(
    name="dpo-light",
    primary="#2f5fd0",
    secondary="#007197",
    accent="#2f5fd0",
    foreground="#2b303b",
    background="#fafafa",
    surface="#fafafa",
    panel="#eceef2",
    success="#3f7d20",
    warning="#96690a",
    error="#c4314b",
    dark=False,
    variables={
        "footer-background": "#fafafa",
        "footer-key-foreground": "#2f5fd0",
        "footer-description-foreground": "#5d6577",
        "block-cursor-background": "#d9e2f8",
        "block-cursor-foreground": "#1a1e27",
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": "#e8ebf2",
        "metric-loss": "#2f5fd0",
        "metric-chosen": "#3f7d20",
        "metric-rejected": "#c4314b",
        "metric-margin": "#96690a",
        "metric-accuracy": "#7c3fb0",
        "metric-rate": "#007197",
        "metric-other": "#6b7280",
    },
)

METRIC_HUES = {
    "metric-loss": "#7aa2f7",
    "metric-chosen": "#9ece6a",
    "metric-rejected": "#f7768e",
    "metric-margin": "#e0af68",
    "metric-accuracy": "#bb9af7",
    "metric-rate": "#7dcfff",
    "metric-other": "#8b93a7",
}
"""For themes that know nothing of metrics."""

METRIC_HUES_ANSI = {
    "metric-loss": "ansi_blue",
    "metric-chosen": "ansi_green",
    "metric-rejected": "ansi_red",
    "metric-margin": "ansi_yellow",
    "metric-accuracy": "ansi_magenta",
    "metric-rate": "ansi_cyan",
    "metric-other": "ansi_bright_black",
}
"""For themes made of the terminal's own sixteen colours."""

THEMES = (DARK, LIGHT)
DEFAULT = DARK.name
