"""Fixtures of this room; `house` has the parts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.pipeline.house import House, open_house


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A library whose work runs in threads of this process."""
    async with open_house(tmp_path) as opened:
        yield opened
