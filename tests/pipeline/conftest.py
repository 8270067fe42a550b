"""Fixtures of this room; `house` has the parts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from immich_sidecar.pipeline import publish_steps
from tests.pipeline.house import House, open_house
from tests.pipeline.world import World, open_world


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A library whose work runs in threads of this process."""
    async with open_house(tmp_path) as opened:
        yield opened


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Come back to what has to wait at once, instead of after a second."""
    monkeypatch.setattr(publish_steps, "EXTRACTION_WAIT", 0.02)


@pytest.fixture(params=["2.7.5", "3.1.0"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    """A house beside an Immich of each line, where versions that were replaced or rejected go to the trash."""
    async with open_world(tmp_path, version=request.param, retire=True) as opened:
        yield opened


@pytest.fixture
async def recent(tmp_path: Path) -> AsyncIterator[World]:
    """The same beside the newest Immich alone."""
    async with open_world(tmp_path, retire=True) as opened:
        yield opened
