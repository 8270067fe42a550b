"""A plain crop is made by Immich itself, and can be undone: no new asset, and nothing of the owner's replaced."""

import io
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from PIL import Image

from immich_sidecar.errors import ImmichAwayError
from immich_sidecar.immich.api import Crop, Mirror, Rotate
from immich_sidecar.immich.native_edits import as_json, edits_of_plan
from immich_sidecar.library.tables import Publish, Review
from immich_sidecar.pipeline.wanted import NOTHING, Edits, Primary, wanted
from immich_sidecar.recipe.plan import ColourPlan, DecodePlan, DetailPlan, GeometryPlan, OutputPlan, Plan, UprightPlan
from immich_sidecar.settings import Mode
from tests.immich_server import Asset
from tests.photos.make import scene
from tests.pipeline.house import developed
from tests.pipeline.test_annotating import decide, done, seen
from tests.pipeline.world import World, open_world

pytestmark = pytest.mark.usefixtures("soon")

CROP = {"x": 0.25, "y": 0.1, "width": 0.5, "height": 0.8}
OTHER_CROP = {"x": 0.0, "y": 0.0, "width": 0.5, "height": 0.5}


@pytest.fixture(params=["2.5.6", "2.7.5", "3.1.0"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, Mode.REVIEW, version=request.param, native_edits=True) as opened:
        yield opened


@pytest.fixture
async def recent(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, Mode.REVIEW, native_edits=True) as opened:
        yield opened


async def cropped(world: World, crop: dict[str, float] = CROP) -> tuple[str, Asset]:
    """A photo in Immich whose owner wants a crop and nothing else."""
    content = developed()
    original = world.immich.add_asset(world.user, content, "beach.jpg")
    sha = await seen(world, original, content)
    await change(world, sha, crop)
    return sha, original


async def change(world: World, sha: str, crop: dict[str, float] | None, **more: dict[str, float]) -> None:
    photo = await world.house.photo(sha)
    (recipe,) = [row for row in await world.house.recipes(sha) if row.id == photo.recipe_id]
    others = {operation["type"]: None for operation in recipe.operations}
    await world.house.commands.change("local", sha, photo.version, {**others, "crop": crop, **more})
    await done(world)


def edits(asset: Asset) -> list[tuple[str, dict[str, int]]]:
    return [(edit["action"], edit["parameters"]) for edit in asset.edits]


#: What the crop is of the 240 x 160 pixels of the picture.
PIXELS = [("crop", {"x": 60, "y": 16, "width": 120, "height": 128})]


# ---- what Immich can do


def test_only_crops_and_quarter_turns_can_be_done_by_immich() -> None:
    size = (400, 200)
    assert edits_of_plan(Plan(), size) is None
    plan = Plan(geometry=GeometryPlan(crop=(0.25, 0.5, 0.5, 0.5)))
    assert edits_of_plan(plan, size) == (Crop(100, 100, 200, 100),)
    assert edits_of_plan(plan, (0, 0)) is None
    for more in (
        {"colour": ColourPlan(ev=0.1)},
        {"detail": DetailPlan(luma=1)},
        {"decode": DecodePlan()},
        {"output": OutputPlan(longest_edge=100)},
        {"output": OutputPlan(profile="srgb")},
        {"geometry": GeometryPlan(degrees=0.5, crop=(0.25, 0.5, 0.5, 0.5))},
        {"geometry": GeometryPlan(upright=UprightPlan(1.0))},
    ):
        assert edits_of_plan(Plan(**{"geometry": plan.geometry, **more}), size) is None
    heic = Plan(geometry=plan.geometry, output=OutputPlan("heic", 60))
    assert edits_of_plan(heic, size) == edits_of_plan(plan, size), "no file is made"


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("mirror", [False, True])
@pytest.mark.parametrize("crop", [(0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.5, 0.25), (0.25, 0.5, 0.25, 0.5)])
def test_a_crop_after_a_turn_is_told_as_one_before_it(
    turns: int, mirror: bool, crop: tuple[float, float, float, float]
) -> None:
    """Held to pixels of the engine: Immich crops first, turns clockwise then, and mirrors last."""
    import numpy as np

    from immich_sidecar.develop.geometry import placed

    picture = np.arange(8 * 16 * 3, dtype=np.uint16).reshape(8, 16, 3)
    geometry = GeometryPlan(quarter_turns=turns, mirror=mirror, crop=crop)
    found = edits_of_plan(Plan(geometry=geometry), (16, 8))
    if geometry == GeometryPlan():
        assert found is None
        return
    assert found is not None
    assert len({type(edit) for edit in found}) == len(found), "at most one of each"
    result = picture
    for edit in found:
        match edit:
            case Crop(x, y, width, height):
                assert edit is found[0]
                result = result[y : y + height, x : x + width]
            case Rotate(angle):
                result = np.rot90(result, -angle // 90)
            case Mirror(axis):
                assert axis == "horizontal"
                result = result[:, ::-1]
    assert (result == placed(picture, 1, geometry)).all()


@pytest.mark.parametrize("review", Review)
def test_what_is_wanted_where_immich_does_it(review: Review) -> None:
    for mode, first, edited, by_this in itertools.product(Mode, *[(True, False)] * 3):
        found = wanted(
            mode,
            review,
            current=True,
            first=first,
            kept=True,
            uploaded=False,
            native=True,
            edited=edited,
            edited_by_this=by_this and edited,
        )
        assert {found.upload, found.stack, found.mark} == {False}
        if review is Review.APPROVED:
            assert found.edits is Edits.MAKE
        elif edited and (by_this or review is Review.REJECTED):
            assert found.edits is Edits.TAKE_AWAY
        else:
            assert found == NOTHING


def test_where_immich_does_not_do_it_its_edits_go_before_a_version_comes() -> None:
    def one(review: Review, **more: bool) -> Edits:
        return wanted(Mode.STACK, review, current=True, first=False, kept=True, uploaded=False, **more).edits

    assert one(Review.APPROVED, edited=True) is Edits.TAKE_AWAY
    assert one(Review.REJECTED, edited=True) is Edits.TAKE_AWAY
    # What its owner approved before stays until the next is decided about.
    assert one(Review.PENDING, edited=True) is Edits.KEEP
    assert one(Review.PENDING, edited=True, edited_by_this=True) is Edits.TAKE_AWAY
    assert one(Review.APPROVED) is Edits.KEEP
    earlier = wanted(
        Mode.STACK, Review.APPROVED, current=False, first=True, kept=True, uploaded=True, native=True, edited=True
    )
    assert earlier.primary is Primary.RESTORE


# ---- in Immich


async def test_a_crop_is_an_edit_of_the_original_and_can_be_undone(world: World) -> None:
    sha, original = await cropped(world)
    assert edits(original) == []
    await decide(world, sha, "approve")
    assert edits(original) == PIXELS
    assert original.is_edited
    assert not world.immich.uploads
    assert world.mark(original.id)["review"] == "approved"
    photo = await world.house.photo(sha)
    assert photo.native_edits == [{"action": "crop", "parameters": PIXELS[0][1]}]
    *_, version = await world.house.versions(sha)
    assert (version.publish, version.immich_asset_id, version.due_at) == (Publish.MARKED, None, None)

    for what, review, there in (
        ("reject", "rejected", []),
        ("undo", "approved", PIXELS),
        ("undo", "pending", []),
        ("approve", "approved", PIXELS),
    ):
        await decide(world, sha, what)
        assert edits(original) == there, what
        assert original.is_edited is bool(there)
        assert world.mark(original.id)["review"] == review
    assert not world.immich.uploads
    assert (await world.house.photo(sha)).state == "kept", "our own edit is not taken for its owner's"


async def test_a_turned_and_mirrored_photo_is_shown_so_by_immich(world: World) -> None:
    sha, original = await cropped(world)
    await change(world, sha, CROP, orientation={"quarter_turns": 1, "mirror": True})
    await decide(world, sha, "approve")
    # 240 x 160 pixels lie 160 x 240 then, and the crop is of those.
    assert edits(original) == [
        ("crop", {"x": 24, "y": 40, "width": 192, "height": 80}),
        ("rotate", {"angle": 270}),
        ("mirror", {"axis": "horizontal"}),
    ]
    assert not world.immich.uploads
    await decide(world, sha, "reject")
    assert edits(original) == []


async def test_another_crop_takes_the_place_when_it_is_approved(recent: World) -> None:
    world = recent
    sha, original = await cropped(world)
    await decide(world, sha, "approve")
    await change(world, sha, OTHER_CROP)
    assert edits(original) == PIXELS
    await decide(world, sha, "approve")
    assert edits(original) == [("crop", {"x": 0, "y": 0, "width": 120, "height": 80})]
    await decide(world, sha, "reject")
    assert edits(original) == []


async def test_more_than_a_crop_is_a_version_and_the_edit_goes(recent: World) -> None:
    world = recent
    sha, original = await cropped(world)
    await decide(world, sha, "approve")
    await change(world, sha, CROP, exposure={"ev": 1.0})
    assert edits(original) == PIXELS
    await decide(world, sha, "approve")
    assert edits(original) == []
    assert (await world.house.photo(sha)).native_edits is None
    *_, version = await world.house.versions(sha)
    assert await world.stack(sha) == (version.immich_asset_id, original.id)


async def test_a_version_that_is_beneath_already_makes_way_for_the_edit(tmp_path: Path) -> None:
    async with open_world(tmp_path, Mode.STACK, native_edits=True) as world:
        content = developed()
        original = world.immich.add_asset(world.user, content, "beach.jpg")
        sha = await seen(world, original, content)
        await decide(world, sha, "approve")
        assert (await world.stack(sha))[0] != original.id
        await change(world, sha, CROP)
        await decide(world, sha, "approve")
        assert edits(original) == PIXELS
        assert (await world.stack(sha))[0] == original.id
        first, _ = await world.house.versions(sha)
        assert world.mark(first.immich_asset_id)["review"] == "superseded"
        assert world.asset(first.immich_asset_id).deleted_at is None
        await decide(world, sha, "reject")
        assert edits(original) == []


async def test_what_its_owner_edited_is_not_replaced(recent: World) -> None:
    world = recent
    sha, original = await cropped(world)
    await world.connection.api.edit_asset(original.id, [Mirror("vertical")])
    await decide(world, sha, "approve")
    assert edits(original) == [("mirror", {"axis": "vertical"})]
    *_, version = await world.house.versions(sha)
    assert version.publish is Publish.BLOCKED
    assert "edited in Immich" in (version.blocked_reason or "")
    assert (await world.house.photo(sha)).native_edits is None
    # Once its owner has undone that, it goes on.
    await world.connection.api.remove_edits(original.id)
    await decide(world, sha, "retry")
    assert edits(original) == PIXELS


async def test_what_its_owner_made_of_our_edit_is_theirs(recent: World) -> None:
    world = recent
    sha, original = await cropped(world)
    await decide(world, sha, "approve")
    mine = [Crop(0, 0, 10, 10), Mirror("vertical")]
    await world.connection.api.edit_asset(original.id, mine)
    await decide(world, sha, "reject")
    assert [edit[0] for edit in edits(original)] == ["crop", "mirror"]
    assert (await world.house.photo(sha)).native_edits is None


async def test_an_edit_that_its_owner_took_away_is_not_made_again(recent: World) -> None:
    world = recent
    sha, original = await cropped(world)
    await decide(world, sha, "approve")
    await world.connection.api.remove_edits(original.id)
    async with world.house.database.transaction() as session:
        from immich_sidecar.pipeline import decisions

        await decisions.reopen_publishing(session, await world.house.photo(sha))
    world.house.publish_queue.wake()
    await done(world)
    assert edits(original) == []


async def test_an_edit_is_known_to_be_ours_after_a_crash(recent: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = recent
    sha, original = await cropped(world)
    editor = world.target.publisher.native
    made, times = editor.make, 0

    async def cut_off(*args: object, **more: object) -> object:
        nonlocal times
        times += 1
        result = await made(*args, **more)  # type: ignore[arg-type]  # as it was called
        if times == 1:
            raise ImmichAwayError("the answer was lost")
        return result

    monkeypatch.setattr(editor, "make", cut_off)
    await decide(world, sha, "approve")
    await world.house.until(lambda: times == 2)
    await done(world)
    assert edits(original) == PIXELS
    assert (await world.house.versions(sha))[-1].publish is Publish.MARKED
    await decide(world, sha, "reject")
    assert edits(original) == []


async def test_where_immich_does_not_edit_it_a_version_is_uploaded(recent: World) -> None:
    world = recent
    sha, original = await cropped(world)
    await world.immich.settled()
    # Immich lost its size, and so refuses.
    original.exif = {**original.exif, "exifImageWidth": None}
    await decide(world, sha, "approve")
    assert edits(original) == []
    *_, version = await world.house.versions(sha)
    assert await world.stack(sha) == (version.immich_asset_id, original.id)


async def test_a_key_that_may_not_edit_uploads(recent: World) -> None:
    world = recent
    sha, original = await cropped(world)
    from immich_sidecar.immich.compatibility import permissions_for

    world.immich.set_permissions(world.key, list(permissions_for()))
    await decide(world, sha, "approve")
    assert edits(original) == []
    assert len(await world.stack(sha)) == 2


async def test_it_is_done_only_where_it_was_chosen(recent: World) -> None:
    world = recent
    world.choose(native_edits=False)
    sha, original = await cropped(world)
    await decide(world, sha, "approve")
    assert edits(original) == []
    assert len(await world.stack(sha)) == 2


async def test_a_photo_that_is_left_alone_again_is_as_it_was(recent: World) -> None:
    world, buffer = recent, io.BytesIO()
    Image.fromarray(scene(240, 160, seed=1)).save(buffer, "JPEG", quality=92)
    content = buffer.getvalue()
    original = world.immich.add_asset(world.user, content, "plain.jpg")
    sha = await seen(world, original, content)
    assert (await world.house.photo(sha)).state == "left_alone"
    await decide(world, sha, "develop_anyway")
    await change(world, sha, CROP)
    await decide(world, sha, "approve")
    assert edits(original)
    for _ in range(3):
        await world.house.commands.undo("local", sha, (await world.house.photo(sha)).version)
    await done(world)
    assert edits(original) == []
    assert (await world.house.photo(sha)).state == "left_alone"


def test_edits_are_kept_as_immich_is_told_them() -> None:
    assert as_json([Crop(1, 2, 3, 4), Rotate(90), Mirror("vertical")]) == [
        {"action": "crop", "parameters": {"x": 1, "y": 2, "width": 3, "height": 4}},
        {"action": "rotate", "parameters": {"angle": 90}},
        {"action": "mirror", "parameters": {"axis": "vertical"}},
    ]
