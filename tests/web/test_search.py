"""Search: by words without a model, by what is in the picture with one, and always one's own photos only."""

import pytest

from immich_sidecar.analysis.findings import Findings, Tag, Words
from immich_sidecar.library import photo_words
from immich_sidecar.library.tables import PhotoRow
from tests.web.conftest import Build, Front
from tests.web.finding import MODEL, KnowingModels, direction, seen
from tests.web.neighbours import neighbours


async def with_words(front: Front, photo: PhotoRow, findings: Findings | None = None) -> None:
    """As the steps of the work leave it."""
    async with front.home.database.transaction() as session:
        row = await session.get_one(PhotoRow, (photo.owner_id, photo.sha256))
        if findings is not None:
            row.analysis = {"findings": findings.model_dump(mode="json")}
        await photo_words.put(session, row)


async def test_words_find_photos_without_any_model(front: Front) -> None:
    names = ("Harbour at Dusk.jpg", "IMG_4711.jpg", "straße.jpg")
    photos = [await front.shelf.put(seed=n, file_name=name) for n, name in enumerate(names)]
    described = Findings(tags=(Tag(word="Lighthouse", score=0.8),), words=Words(description="Two dogs at the harbour."))
    for photo, findings in zip(photos, (None, described, None), strict=True):
        await with_words(front, photo, findings)
    for text, wanted in (
        ("harbour", [1, 0]),
        ("HARBOUR dusk", [0]),
        ("lighthouse dogs", [1]),
        ("4711", [1]),
        ("STRASSE", [2]),
        ("%", []),
        ("harbour nothing", []),
    ):
        told = await front.json("GET", "/api/search", params={"text": text})
        assert [item["photo"]["id"] for item in told["items"]] == [photos[n].sha256 for n in wanted], text
        assert {(item["found_by"], item["score"]) for item in told["items"]} <= {("words", None)}
        assert told["model"] is None
        assert "SIDECAR_PROFILE" in told["why_no_model"]
    page = await front.page("/search?text=harbour")
    assert page.count('class="card ') == 2
    assert "No model for search: this service runs without models (SIDECAR_PROFILE)." in page
    assert "Nothing found" in await front.page("/search?text=nothing")
    assert "Find a photo" in await front.page("/search")


async def test_a_model_finds_what_is_in_the_picture(build: Build) -> None:
    front = await build(models=KnowingModels())
    photos = [await front.shelf.put(seed=n, file_name=f"{n}.jpg") for n in range(4)]
    await with_words(front, photos[3], Findings(tags=(Tag(word="a red bicycle", score=0.9),)))
    near, far = direction("a red bicycle"), direction("fog")
    for photo, share in zip(photos, (0.2, 0.9, 0.5, 0.0), strict=True):
        await seen(front.shelf, photo.sha256, share * near + (1 - share) * far)
    told = await front.json("GET", "/api/search", params={"text": "A red  bicycle"})
    order = [item["photo"]["id"] for item in told["items"]]
    # What says so in words comes first, then what looks like it.
    assert order == [photos[n].sha256 for n in (3, 1, 2, 0)]
    assert [item["found_by"] for item in told["items"]] == ["words", *["likeness"] * 3]
    scores = [item["score"] for item in told["items"]]
    assert scores[1] > scores[2] > scores[3]
    assert (told["model"], told["why_no_model"]) == (MODEL, None)
    assert len((await front.json("GET", "/api/search?text=a red bicycle&limit=2"))["items"]) == 2
    page = await front.page("/search?text=a red bicycle", headers={"HX-Request": "true"})
    assert page.count('class="card ') == 4
    assert "<html" not in page
    assert MODEL in page


@pytest.mark.parametrize(
    ("models", "why"),
    [
        (KnowingModels(frozenset(), "Its weights are not here."), "its weights are not here"),
        (KnowingModels(hangs=True), "the model did not understand the words within 30 s"),
        (KnowingModels(), "has looked at none of your photos yet"),
    ],
)
async def test_without_the_model_words_do_and_the_reason_is_said(build: Build, models: KnowingModels, why: str) -> None:
    front = await build(models=models)
    photo = await front.shelf.put(file_name="bridge.jpg")
    await with_words(front, photo)
    told = await front.json("GET", "/api/search?text=bridge")
    assert [item["photo"]["id"] for item in told["items"]] == [photo.sha256]
    assert why in told["why_no_model"]
    assert f"No model for search: {told['why_no_model']}." in await front.page("/search?text=bridge")


async def test_more_like_this(build: Build) -> None:
    front = await build(models=KnowingModels(frozenset()))
    photos = [await front.shelf.put(seed=n, file_name=f"photo-{n}.jpg") for n in range(3)]
    for photo, share in zip(photos[:2], (0.4, 0.9), strict=True):
        await seen(front.shelf, photo.sha256, share * direction("sea") + (1 - share) * direction("town"))
    # Vectors that are here need no model to be compared.
    told = await front.json("GET", "/api/search", params={"like": photos[0].sha256})
    assert [item["photo"]["id"] for item in told["items"]] == [photos[1].sha256]
    page = await front.page(f"/search?like={photos[0].sha256}")
    assert "More like" in page
    assert "photo-0.jpg" in page
    told = await front.json("GET", "/api/search", params={"like": photos[2].sha256})
    assert (told["items"], told["why_no_model"]) == ([], "no model is chosen")
    assert f"/search?like={photos[0].sha256}" in await front.page(f"/photos/{photos[0].sha256}")


async def test_what_cannot_be_searched_for_is_refused(front: Front) -> None:
    photo = await front.shelf.put()
    for query, status in (
        ("", 400),
        (f"?text=x&like={photo.sha256}", 400),
        (f"?text={'x' * 201}", 400),
        ("?text=x&limit=0", 400),
        ("?like=xyz", 404),
        (f"?like={'0' * 64}", 404),
    ):
        assert (await front.json("GET", f"/api/search{query}", status=status))["error"]
    await front.page(f"/search?text={'x' * 201}", status=400)
    page = await front.page("/search?text=%3Cscript%3Ealert(1)%3C/script%3E%00")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


async def test_nobody_finds_the_photos_of_others(tmp_path: object) -> None:
    async with neighbours(tmp_path / "data", models=KnowingModels()) as street:  # type: ignore[operator]
        ada, bob = await street.person("Ada"), await street.person("Bob")
        hers, his = await street.photo(ada, 1), await street.photo(bob, 2)
        for asker, photo in ((ada, hers), (bob, his)):
            await seen(street.home.shelf, photo.sha256, direction("secret"), asker.owner)
            async with street.home.database.transaction() as session:
                await photo_words.put(session, await session.get_one(PhotoRow, (asker.owner, photo.sha256)))
        for asker, own, other in ((ada, hers, his), (bob, his, hers)):
            for query in ("text=secret", "text=jpg", f"like={own.sha256}"):
                _, text = await asker.text("GET", f"/api/search?{query}")
                assert other.sha256 not in text
                assert ("like" in query) or own.sha256 in text
            assert (await asker.text("GET", f"/api/search?like={other.sha256}"))[0] == 404
