from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.library.parts import Library, open_library


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with open_library(tmp_path / "data") as opened:
        yield opened
