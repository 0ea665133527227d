"""What is known of a backend's config before anybody fills it in: the words of the generated table `_backends`."""

from __future__ import annotations

import re

_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"


class Key:
    """One key of a config.

    Args:
        type: what a text from the environment is turned into: `text`, `boolean` or `number`.
        unit: put behind a bare number from the environment.
        is_secret: it goes to the agent's memory, and is never written down.
        is_required: without it the backend cannot be used.
        is_credential: it is no secret, but says with one who asks.
        variables: names of variables that give it; the first that is set counts.
    """

    __slots__ = ("is_credential", "is_required", "is_secret", "type", "unit", "variables")

    def __init__(
        self,
        *,
        type: str = "text",
        unit: str = "",
        is_secret: bool = False,
        is_required: bool = False,
        is_credential: bool = False,
        variables: tuple[str, ...] = (),
    ) -> None:
        self.type = type
        self.unit = unit
        self.is_secret = is_secret
        self.is_required = is_required
        self.is_credential = is_credential or is_secret
        self.variables = variables

    def from_text(self, text: str) -> str | bool | float:
        """Returns a variable's text as the key takes it. One of which nothing can be made stays a text."""
        is_number = self.type != "boolean" and re.fullmatch(_NUMBER, text) is not None
        if self.type == "boolean" and text.lower() in ("1", "true", "yes", "on"):
            return True
        if self.type == "boolean" and text.lower() in ("0", "false", "no", "off"):
            return False
        if self.type == "number" and is_number:
            return int(text) if text.lstrip("+-").isdigit() else float(text)
        return f"{text} {self.unit}" if self.unit and is_number else text


class Backend:
    """A backend as its plugin describes it.

    Args:
        version: the plugin's.
        keys: of its config, by name.
        address: the key that `backend_url` gives; `""` where there is none.
        credential: the key that `api_key` gives.
        alternatives: groups of ways to say one thing: who gives a key of one way gets none of another.
    """

    __slots__ = ("address", "alternatives", "credential", "keys", "version")

    def __init__(
        self,
        *,
        version: str,
        keys: dict[str, Key],
        address: str = "",
        credential: str = "",
        alternatives: tuple[tuple[tuple[str, ...], ...], ...] = (),
    ) -> None:
        self.version = version
        self.keys = keys
        self.address = address
        self.credential = credential
        self.alternatives = alternatives

    def is_ruled_out(self, key: str, given: set[str]) -> bool:
        """Tells whether `given` says in another way what `key` would."""
        return any(
            any(key in way for way in ways) and any(key not in way and given.intersection(way) for way in ways)
            for ways in self.alternatives
        )
