"""Keys: each binding has an id, by which the catalogues name it and a person's settings give it other keys."""

from dataclasses import replace

from textual.binding import ActiveBinding, Binding

from dpo_tui.text import has, t

FORBIDDEN = frozenset(
    {"ctrl+b", "ctrl+a", "ctrl+h", "ctrl+i", "ctrl+j", "ctrl+m", "ctrl+z", "ctrl+left_square_bracket"}
)
"""Keys that never reach an app everywhere: tmux and screen take them, or terminals send them as another key."""


def key(
    id: str,  # noqa: A002 # textual's name of it
    keys: str,
    action: str,
    *,
    show: bool = False,
    priority: bool = False,
    display: str | None = None,
    group: Binding.Group | None = None,
) -> Binding:
    """A binding that the catalogues name: `key.<id>` is what the footer says, `key.<id>.tip` explains it."""
    return Binding(
        keys,
        action,
        description=id,
        tooltip=f"{id}.tip",
        id=id,
        show=show,
        priority=priority,
        key_display=display,
        group=group,
    )


def translated(active: ActiveBinding) -> ActiveBinding:
    """The binding as the language spoken names it; one that is not ours as it is."""
    binding = active.binding
    if binding.id is None or not has(f"key.{binding.id}"):
        return active
    tip = t(f"key.{binding.id}.tip")
    named = replace(binding, description=t(f"key.{binding.id}"), tooltip=tip)
    return active._replace(binding=named, tooltip=tip)
