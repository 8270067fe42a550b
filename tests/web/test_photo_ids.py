"""What has an id on the photo page is found again by it, so each id is there once."""

import re

import pytest

from immich_sidecar.library.tables import Publish, VersionRow
from tests.web.conftest import Front


@pytest.mark.parametrize("status", ["pending", "approved", "failed", "left_alone", "rendering"])
async def test_every_id_is_there_once(front: Front, status: str) -> None:
    row = await front.shelf.put(status, original_publish=Publish.BLOCKED, original_publish_error="The quota.")
    async with front.home.database.transaction() as session:
        if (version := await session.get(VersionRow, 1)) is not None:
            version.publish, version.blocked_reason = Publish.BLOCKED, "The quota in Immich is exhausted."
            session.add(version)
    text = await front.page(f"/photos/{row.sha256}")
    found = re.findall(r'\sid="([^"]*)"', text)
    assert sorted(found) == sorted(set(found))
    buttons = re.findall(r"<button[^>]*>", text[text.index('id="side"') :])
    unnamed = [button for button in buttons if 'class="switch"' in button and "id=" not in button]
    assert not unnamed
    assert ("retry-1-" in text) == (version is not None)
    assert f"retry-original-{row.sha256[:12]}" in text
