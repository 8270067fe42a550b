"""Writing into Immich from the page: offered only where there is something to write and somewhere to write it."""

from tests.web.conftest import Front
from tests.web.test_findings import FINDINGS, with_findings


async def test_without_immich_it_is_not_offered_and_refused_with_a_reason(front: Front) -> None:
    photo = await with_findings(front.shelf, FINDINGS, immich_asset_id="asset-1")
    assert "Write into Immich" not in await front.page(f"/photos/{photo.sha256}")
    path = f"/api/photos/{photo.sha256}/tell-immich"
    told = await front.json("POST", path, {"what": ["tags"]}, status=409)
    assert told["error"] == "There is no connection to Immich; see the account page."
    for body in ({}, {"what": []}, {"what": "tags"}, {"what": ["albums"]}, ["tags"]):
        await front.json("POST", path, body, status=400)
    headers = {"HX-Request": "true"}
    async with front.client.post(
        f"/photos/{photo.sha256}/tell-immich", data={"what": "tags"}, headers=headers
    ) as answer:
        assert answer.status == 409
