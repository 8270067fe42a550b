"""Dates as Immich writes them."""

from datetime import UTC, datetime


def moment(text: object) -> datetime | None:
    """A date of Immich's, aware; None where it is missing or no date."""
    if not isinstance(text, str):
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
