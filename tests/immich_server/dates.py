"""The two spellings of dates in answers."""

from __future__ import annotations

from datetime import UTC, datetime


def js_date(moment: datetime) -> str:
    """A date as JavaScript prints it: milliseconds (cut, not rounded) and `Z`."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def postgres_date(moment: datetime) -> str:
    """A date as Postgres prints it inside JSON: up to microseconds without trailing zeros, and `+00:00`."""
    utc = moment.astimezone(UTC)
    fraction = f".{utc.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{utc:%Y-%m-%dT%H:%M:%S}{fraction}+00:00"
