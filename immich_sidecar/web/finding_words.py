"""How what models found is said to people."""

from collections.abc import Callable
from typing import Any


def cosine(value: float) -> str:
    """A cosine with two digits; a negative one with a real minus."""
    return f"{value:.2f}".replace("-", "−")


FINDING_FILTERS: dict[str, Callable[..., Any]] = {"cosine": cosine}
