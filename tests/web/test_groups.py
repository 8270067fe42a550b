"""The page of groups: looked at, put aside, and of one's own photos alone."""

from immich_sidecar.advise.groups import Group, GroupKind
from immich_sidecar.library import groups
from tests.web.conftest import Front


async def test_groups_are_listed_and_put_aside(front: Front) -> None:
    photos = [(await front.shelf.put(seed=n, file_name=f"<b>{n}</b>.jpg")).sha256 for n in range(4)]
    found = [
        Group(GroupKind.BURST, tuple(photos[:3]), True, "3 photos within 1.0 s."),
        Group(GroupKind.DUPLICATES, (photos[3], "0" * 64), False, "They show nearly the same."),
    ]
    async with front.home.database.transaction() as session:
        await groups.replace(session, "local", found)
    page = await front.page("/groups")
    assert "3 photos within 1.0 s." in page
    assert page.count('class="is-best"') == 1
    assert "&lt;b&gt;0&lt;/b&gt;.jpg" in page
    assert "<b>0" not in page
    # From a photo to its groups, and to no others.
    assert f'<a href="/groups?photo={photos[1]}">Burst</a>: 3 photos within 1.0 s.' in await front.page(
        f"/photos/{photos[1]}"
    )
    page = await front.page(f"/groups?photo={photos[1]}")
    assert "3 photos within 1.0 s." in page
    assert "They show nearly the same." not in page
    assert f'href="/photos/{photos[1]}" aria-label="Back to the photo"' in page
    told = await front.json("GET", "/api/groups?kind=burst")
    (burst,) = told["items"]
    assert (burst["photos"], burst["best"], told["next"]) == (photos[:3], photos[0], None)
    first = await front.json("GET", "/api/groups?limit=1")
    second = await front.json("GET", f"/api/groups?limit=1&after={first['next']}")
    assert {first["items"][0]["kind"], second["items"][0]["kind"]} == {"burst", "duplicates"}
    await front.json("POST", f"/api/groups/{burst['id']}/dismiss")
    assert (await front.json("GET", "/api/groups?kind=burst"))["items"] == []
    other = (await front.json("GET", "/api/groups"))["items"][0]["id"]
    headers = {"HX-Request": "true"}
    async with front.client.post(f"/groups/{other}/dismiss", headers=headers) as answer:
        assert (answer.status, await answer.text()) == (200, "")
    assert "No groups" in await front.page("/groups")
    assert "/groups?photo=" not in await front.page(f"/photos/{photos[1]}")
    for path in ("/api/groups?kind=x", "/api/groups?after=x"):
        await front.json("GET", path, status=400)
    async with front.client.get("/groups?photo=%25") as answer:
        assert answer.status == 400
    await front.json("POST", "/api/groups/99/dismiss", status=404)
    await front.json("POST", "/api/groups/x/dismiss", status=404)
