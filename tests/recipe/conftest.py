"""A fixed moment for recipes."""

from datetime import UTC, datetime

import pytest


@pytest.fixture
def at() -> datetime:
    return datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
