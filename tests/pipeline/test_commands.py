"""What people can do: decide, change, take back, stop, retry."""

import json

import pytest

from immich_sidecar.errors import (
    ConflictError,
    InvalidParameterError,
    NotFoundError,
    StaleVersionError,
    UndecodableError,
    UnknownOperationError,
)
from immich_sidecar.events import EventType
from immich_sidecar.library.tables import Review, WorkState
from tests.pipeline.house import House, developed, left_alone


@pytest.fixture
async def kept(house: House) -> str:
    """A photo whose version 1 is pending."""
    sha = await house.drop(developed())
    await house.settled()
    return sha


async def test_approve_and_reject_and_their_undo(house: House, kept: str) -> None:
    before = (await house.photo(kept)).revision
    photo = await house.commands.approve("local", kept, 1)
    assert (photo.review, photo.revision) == (Review.APPROVED, before + 1)
    assert (await house.commands.reject("local", kept, 1)).review is Review.REJECTED
    assert (await house.commands.undo("local", kept, 1)).review is Review.APPROVED
    assert (await house.commands.undo("local", kept, 1)).review is Review.PENDING
    with pytest.raises(ConflictError, match="nothing to undo"):
        await house.commands.undo("local", kept, 1)
    kinds = [(row.kind, row.undone) for row in await house.decisions(kept)]
    assert kinds == [("approve", True), ("reject", True), ("undo", True), ("undo", True)]
    assert (await house.event_types(kept)).count(EventType.REVIEWED) == 4


async def test_approving_twice_is_one_decision(house: House, kept: str) -> None:
    await house.commands.approve("local", kept, 1)
    await house.commands.approve("local", kept, 1)
    assert len(await house.decisions(kept)) == 1


async def test_commands_about_what_is_not_there(house: House, kept: str) -> None:
    with pytest.raises(StaleVersionError):
        await house.commands.approve("local", kept, 2)
    with pytest.raises(NotFoundError):
        await house.commands.approve("ada", kept, 1)
    with pytest.raises(NotFoundError):
        await house.commands.approve("local", "0" * 64, 1)
    assert (await house.photo(kept)).review is Review.PENDING


async def test_a_change_makes_a_new_version_and_undo_brings_the_old_one_back_unrendered(
    house: House, kept: str
) -> None:
    await house.commands.approve("local", kept, 1)
    photo = await house.commands.change("local", kept, 1, {"exposure": {"ev": 1.0}})
    assert (photo.version, photo.state, photo.review) == (2, WorkState.ADVISED, Review.PENDING)
    with pytest.raises(StaleVersionError):
        await house.commands.approve("local", kept, 1)
    await house.settled()
    photo = await house.photo(kept)
    assert (photo.version, photo.state, photo.review) == (2, WorkState.KEPT, Review.PENDING)
    first, second = await house.versions(kept)
    assert first.sha256 != second.sha256
    recipes = {recipe.id: recipe for recipe in await house.recipes(kept)}
    assert recipes[second.recipe_id].user_overrides == {"exposure": {"ev": 1.0}}
    assert recipes[first.recipe_id].user_overrides == {}
    assert recipes[second.recipe_id].ai_metadata == recipes[first.recipe_id].ai_metadata
    copy = json.loads(house.layout.absolute(recipes[second.recipe_id].path).read_text())
    assert copy["operations"] == recipes[second.recipe_id].operations

    renders = house.executor.called("render_file")
    photo = await house.commands.undo("local", kept, 2)
    assert (photo.version, photo.state, photo.review) == (1, WorkState.KEPT, Review.APPROVED)
    assert photo.recipe_id == first.recipe_id
    photo = await house.commands.change("local", kept, 1, {"exposure": {"ev": 2.0}})
    assert photo.version == 3, "a number is never given twice"
    await house.settled()
    assert house.executor.called("render_file") == renders + 1
    assert [version.n for version in await house.versions(kept)] == [1, 2, 3]
    assert await house.is_clean()


async def test_an_undone_version_that_was_never_rendered_keeps_its_number(house: House, kept: str) -> None:
    await house.commands.pause("local")
    await house.commands.change("local", kept, 1, {"exposure": {"ev": 1.0}})
    assert (await house.commands.undo("local", kept, 2)).version == 1
    assert (await house.commands.change("local", kept, 1, {"exposure": {"ev": 1.5}})).version == 3
    await house.commands.resume("local")
    await house.settled()
    assert [version.n for version in await house.versions(kept)] == [1, 3]
    assert await house.is_clean()


async def test_patches_accumulate_and_suggested_goes_back(house: House, kept: str) -> None:
    await house.commands.change("local", kept, 1, {"exposure": None})
    await house.commands.change("local", kept, 2, {"crop": {"x": 0.1, "y": 0.1, "width": 0.5, "height": 0.5}})
    photo = await house.commands.change("local", kept, 3, {"exposure": "suggested"})
    recipes = {recipe.id: recipe for recipe in await house.recipes(kept)}
    recipe = recipes[photo.recipe_id or ""]
    assert list(recipe.user_overrides) == ["crop"]
    assert [operation["type"] for operation in recipe.operations] == ["crop", "exposure"]
    await house.settled()
    first, last = (await house.versions(kept))[0], (await house.versions(kept))[-1]
    assert last.width == pytest.approx(first.width / 2, abs=1)
    photo = await house.commands.reset("local", kept, 4)
    assert photo.version == 5
    with pytest.raises(ConflictError):
        await house.commands.reset("local", kept, 5)
    await house.settled()
    # Without the owner's changes it is what was proposed, to the byte.
    assert (await house.versions(kept))[-1].sha256 == first.sha256
    assert await house.is_clean()


async def test_bad_changes_change_nothing(house: House, kept: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        await house.commands.change("local", kept, 1, {"exposure": {"ev": 99}})
    assert caught.value.field == "exposure.ev"
    with pytest.raises(UnknownOperationError):
        await house.commands.change("local", kept, 1, {"sparkle": {}})
    photo = await house.photo(kept)
    assert (photo.version, photo.state, photo.review) == (1, WorkState.KEPT, Review.PENDING)
    assert len(await house.recipes(kept)) == 1
    assert await house.is_clean()


async def test_a_command_during_a_step_wins(house: House) -> None:
    gate = house.executor.hold("render_file")
    sha = await house.drop(developed())
    await house.until(lambda: house.executor.called("render_file") == 1)
    photo = await house.commands.change("local", sha, 1, {"exposure": {"ev": 0.5}})
    assert photo.version == 2
    gate.set()
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.version, photo.state, photo.review) == (2, WorkState.KEPT, Review.PENDING)
    (version,) = await house.versions(sha)
    assert (version.n, version.recipe_id) == (2, photo.recipe_id)
    assert await house.is_clean()


async def test_a_command_between_rendering_and_keeping_wins(house: House) -> None:
    gate = house.executor.hold("preview_file")
    sha = await house.drop(developed())
    await house.until(lambda: house.executor.called("preview_file") == 1)
    await house.commands.change("local", sha, 1, {"exposure": {"ev": 0.5}})
    gate.set()
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.version, photo.state, photo.review) == (2, WorkState.KEPT, Review.PENDING)
    assert await house.is_clean()
    renders = house.executor.called("render_file")
    photo = await house.commands.undo("local", sha, 2)
    await house.settled()
    assert (await house.photo(sha)).version == 1
    assert house.executor.called("render_file") == renders
    assert await house.is_clean()


async def test_approving_what_is_still_being_rendered(house: House, kept: str) -> None:
    gate = house.executor.hold("render_file")
    await house.commands.change("local", kept, 1, {"exposure": {"ev": 0.5}})
    await house.commands.approve("local", kept, 2)
    gate.set()
    await house.settled()
    photo = await house.photo(kept)
    assert (photo.version, photo.state, photo.review) == (2, WorkState.KEPT, Review.APPROVED)


async def test_nothing_to_decide_about_before_the_first_version(house: House) -> None:
    gate = house.executor.hold("analyse_file")
    sha = await house.drop(developed())
    for command in (house.commands.approve, house.commands.reject, house.commands.undo, house.commands.reset):
        with pytest.raises(ConflictError):
            await command("local", sha, 0)
    with pytest.raises(ConflictError, match="wait until it is analysed"):
        await house.commands.change("local", sha, 0, {"exposure": {"ev": 1}})
    gate.set()


async def test_develop_anyway_renders_with_everything_switched_off(house: House, kept: str) -> None:
    sha = await house.drop(left_alone())
    await house.settled()
    with pytest.raises(ConflictError):
        await house.commands.develop_anyway("local", kept, 1)
    photo = await house.commands.develop_anyway("local", sha, 0)
    assert (photo.version, photo.state, photo.left_alone_reason) == (1, WorkState.ADVISED, None)
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.review) == (WorkState.KEPT, Review.PENDING)
    (version,) = await house.versions(sha)
    recipe = next(recipe for recipe in await house.recipes(sha) if recipe.id == version.recipe_id)
    assert recipe.operations == []
    photo = await house.commands.undo("local", sha, 1)
    assert (photo.state, photo.review, photo.version) == (WorkState.LEFT_ALONE, Review.NONE, 0)
    assert "panorama" in (photo.left_alone_reason or "")
    assert await house.is_clean()


async def test_changing_a_photo_that_was_left_alone_develops_it(house: House) -> None:
    sha = await house.drop(left_alone())
    await house.settled()
    await house.commands.change("local", sha, 0, {"exposure": {"ev": 0.3}})
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.review, photo.version) == (WorkState.KEPT, Review.PENDING, 1)


async def test_cancel_and_go_on(house: House) -> None:
    house.executor.hold("render_file")
    sha = await house.drop(developed())
    await house.until(lambda: house.executor.called("render_file") == 1)
    photo = await house.commands.cancel("local", sha, 1)
    assert photo.state is WorkState.CANCELLED

    async def rests() -> bool:
        return not (await house.photo(sha)).running

    await house.until(rests, 30)
    assert await house.history(sha) == ["cancelled"]
    assert (await house.event_types(sha))[-1] == EventType.CANCELLED
    with pytest.raises(ConflictError):
        await house.commands.cancel("local", sha, 1)
    assert await house.is_clean()
    await house.commands.retry("local", sha, 1)
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.review, photo.version) == (WorkState.KEPT, Review.PENDING, 1)
    assert house.executor.called("analyse_file") == 1
    assert await house.is_clean()


async def test_cancelling_a_change_brings_the_version_before_it_back(house: House, kept: str) -> None:
    await house.commands.approve("local", kept, 1)
    house.executor.hold("render_file")
    await house.commands.change("local", kept, 1, {"exposure": {"ev": 1.0}})
    await house.until(lambda: house.executor.called("render_file") == 2)
    photo = await house.commands.cancel("local", kept, 2)
    assert (photo.state, photo.version, photo.review) == (WorkState.KEPT, 1, Review.APPROVED)
    assert await house.is_clean()


async def test_retry_only_what_needs_it(house: House, kept: str) -> None:
    with pytest.raises(ConflictError):
        await house.commands.retry("local", kept, 1)
    house.executor.plan["analyse_file"] = [UndecodableError("broken"), UndecodableError("broken")]
    mine, hers = await house.drop(developed(2)), await house.drop(developed(3), owner="ada")
    await house.settled()
    assert await house.commands.retry_all("local") == 1
    await house.settled()
    assert (await house.photo(mine)).state is WorkState.KEPT
    assert (await house.photo(hers, "ada")).failed_at == "analyse"


async def test_a_batch_is_many_commands_each_on_its_own(house: House, kept: str) -> None:
    other = await house.drop(developed(2))
    await house.settled()
    results = await house.commands.batch(
        "local",
        [
            (kept, 1, "approve"),
            (other, 7, "approve"),
            ("0" * 64, 1, "reject"),
            (other, 1, "dance"),
            (other, 1, "reject"),
        ],
    )
    assert [type(result.error) for result in results] == [
        type(None),
        StaleVersionError,
        NotFoundError,
        ConflictError,
        type(None),
    ]
    assert results[0].photo is not None
    assert results[0].photo.review is Review.APPROVED
    assert (await house.photo(other)).review is Review.REJECTED
