"""What an owner approves is learned from rows, shown on the account page, and can be switched off."""

from typing import Any

import numpy as np

from immich_sidecar.library import embeddings, photos
from immich_sidecar.pipeline import tasting
from tests.web.conftest import Front
from tests.web.shelf import SUGGESTIONS

FULL = SUGGESTIONS[1]["parameters"]["ev"]


async def decide(front: Front, count: int, part: float, *, owner: str = "local") -> list[str]:
    """An owner who sets every exposure to a part of what is suggested, and approves it."""
    commands, made = front.home.context.commands, []
    for number in range(count):
        photo = await front.shelf.put(owner=owner, seed=100 + number, size=(60, 40))
        row = photo
        if part != 1.0:
            patch = {"exposure": {"ev": FULL * part}}
            row = await commands.change(owner, photo.sha256, photo.version, patch)
        await commands.approve(owner, photo.sha256, row.version)
        made.append(photo.sha256)
    return made


async def factor(front: Front, owner: str = "local") -> float:
    return (await tasting.taste_of(front.home.database, owner)).factor("exposure", (0.0,) * 6)


async def test_half_strengths_are_learned_shown_and_switched_off(front: Front) -> None:
    assert "After 10 decisions" in await front.page("/account")
    made = await decide(front, 11, 0.5)
    assert abs(await factor(front) - 0.5) < 0.1
    page = await front.page("/account")
    assert "you keep about 50 %" in page
    assert "closer to your wishes" in page
    async with front.home.database.reading() as session:
        photo = await photos.get(session, "local", made[0])
    taste, shows = await tasting.for_photo(front.home.database, photo)
    assert taste is not None
    assert shows is None
    async with front.client.post("/account/taste", data={"to": "off"}, allow_redirects=False) as response:
        assert response.status == 303
    assert await tasting.for_photo(front.home.database, photo) == (None, None)
    assert ">off<" in await front.page("/account")
    async with front.client.post("/account/taste", data={"to": "on"}, allow_redirects=False) as response:
        assert response.status == 303
    assert (await tasting.for_photo(front.home.database, photo))[0] == taste
    async with front.client.post("/account/taste", data={"to": "maybe"}, allow_redirects=False) as response:
        assert response.status == 400


async def test_programs_read_it_and_switch_it(front: Front) -> None:
    nothing = {"on": True, "decisions": 0, "fewest": 10, "steps": [], "approval_gain": 0}
    assert await front.json("GET", "/api/taste") == nothing
    await decide(front, 11, 0.5)
    told = await front.json("GET", "/api/taste")
    (step,) = told["steps"]
    assert (told["on"], told["decisions"], step["operation"]) == (True, 11, "exposure")
    assert abs(step["kept"] - 0.5) < 0.1
    assert 0 < step["gain"] <= 1
    async with front.client.put("/api/taste", json={"on": False}) as response:
        assert await response.json() == told | {"on": False}
    assert ">off<" in await front.page("/account")
    for wrong in ({}, {"on": 1}, {"on": False, "decisions": 3}, [], "off"):
        async with front.client.put("/api/taste", json=wrong) as response:
            assert response.status == 422, wrong
    assert (await front.json("GET", "/api/taste"))["on"] is False


async def test_nothing_is_learned_from_who_takes_suggestions_as_they_are(front: Front) -> None:
    await decide(front, 12, 1.0)

    assert (await tasting.taste_of(front.home.database, "local")).is_neutral
    assert "nothing is changed" in await front.page("/account")


async def test_it_is_each_owners_own_and_follows_what_is_undone(front: Front) -> None:
    made = await decide(front, 10, 0.4)
    await decide(front, 10, 1.0, owner="ada")
    assert await factor(front, "ada") == 1.0
    assert await factor(front) < 0.6
    before: Any = await tasting.taste_of(front.home.database, "local")
    assert before == await tasting.taste_of(front.home.database, "local")
    async with front.home.database.reading() as session:
        photo = await photos.get(session, "local", made[3])
    await front.home.context.commands.undo("local", made[3], photo.version)
    after = await tasting.taste_of(front.home.database, "local")
    assert after.decisions == 9
    assert after.is_neutral


async def test_embeddings_of_the_same_model_are_looked_at(front: Front) -> None:
    made = await decide(front, 14, 0.5)
    rng = np.random.default_rng(2)
    async with front.home.database.transaction() as session:
        for number, sha256 in enumerate(made):
            dim, model = (8, "old") if number == 0 else (12, "new")
            await embeddings.store(session, "local", sha256, model, "1", rng.normal(size=dim).astype(np.float32))
    assert abs(await factor(front) - 0.5) < 0.1
