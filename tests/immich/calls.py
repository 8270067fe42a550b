"""What the lists of calls are made of."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from immich_sidecar.immich.api import Api

ASSET = "10609c53-8003-426f-9417-c2bd60614493"
OTHER = "02342cba-46f9-42f0-b2f0-0900a981a273"
THING = "1430da17-40b1-453b-8649-52e7879beb81"
MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC)

Call = Callable[[Api], Awaitable[Any]]

BULK = [{"id": ASSET, "success": True}, {"id": OTHER, "success": False, "error": "duplicate"}]

#: The call; method, path and body of the request; the answer; something of the result and what it must be.
Expected = tuple[Call, tuple[str, str, Any], tuple[int, Any], Callable[[Any], Any], Any]
