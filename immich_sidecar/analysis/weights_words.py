"""How models stand, in words for people and in the shape that scripts see."""

from typing import Any

from immich_sidecar.analysis.weights import Standing, State


def to_json(standing: Standing) -> dict[str, Any]:
    """A model as scripts see it."""
    entry = standing.entry
    return {
        "name": entry.name,
        "title": entry.title,
        "about": entry.about,
        "job": entry.job.value,
        "default": entry.default,
        "licence": entry.licence,
        "commercial": entry.commercial,
        "source": entry.source,
        "format": entry.format.value,
        "size": entry.size,
        "about_mb": entry.about_mb,
        "memory_mb": entry.memory_mb,
        "state": standing.state.value,
        "usable": standing.usable,
        "reason": standing.reason,
        "digest": standing.known.value if standing.known else None,
        "here": standing.size,
        "broken_off": standing.broken_off,
        "needs_consent": standing.needs_consent,
        "consented": standing.consented is not None,
        "revision": standing.revision,
    }


def size_words(standing: Standing) -> str:
    """How large a model is, as exactly as is known."""
    entry = standing.entry
    if standing.state is State.READY:
        return decimal_size(standing.size)
    if entry.size is not None:
        return decimal_size(entry.size)
    return f"about {decimal_size(entry.about_mb * 1_000_000)}" if entry.about_mb is not None else "not known"


def state_words(standing: Standing) -> str:
    """How a model stands, in a few words."""
    words = {
        "missing": "not here",
        "unverified": "here, not verified",
        "damaged": "damaged",
        "ready": {"pinned": "here, digest pinned", "recorded": "here, digest recorded at first download"}.get(
            standing.known.value if standing.known else "", "here"
        ),
    }[standing.state.value]
    if standing.broken_off:
        words = "broken off, can be resumed"
    if standing.needs_consent is not None:
        words += "; needs consent"
    return words


def decimal_size(size: int) -> str:
    """A number of bytes in powers of 1000, as sources of weights list them."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
