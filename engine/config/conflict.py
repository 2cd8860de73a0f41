"""Keys of a config that do not go together."""

from dataclasses import dataclass, field
from typing import Any

from engine.config.problems import KeyPath, Message


@dataclass(frozen=True, slots=True)
class Conflict:
    """`keys` do not go together; the message stands at the first of them."""

    keys: tuple[KeyPath, ...]
    text: str
    code: str
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> Message:
        """What is said of them."""
        return Message(self.text, self.code, self.params)
