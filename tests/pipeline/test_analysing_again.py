"""Looking at photos again: what was decided stays, what was changed stays, and nothing is made twice."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from immich_sidecar.analysis.findings import Findings, Job, ModelRun
from immich_sidecar.errors import ConflictError, StaleVersionError, UndecodableError
from immich_sidecar.library import recipes
from immich_sidecar.library.tables import RecipeRow, Review, WorkState
from immich_sidecar.pipeline import analysing_again
from tests.pipeline.house import House, developed, left_alone


async def made(house: House, seed: int = 1) -> str:
    sha = await house.drop(developed(seed))
    await house.settled()
    return sha


async def think_otherwise(house: House, sha: str) -> None:
    """Have the present recipe be one that would not be proposed today."""
    photo = await house.photo(sha)
    await house.commands.change("local", sha, photo.version, {"exposure": {"ev": 0.5}})
    await house.settled()
    photo = await house.photo(sha)
    async with house.database.transaction() as session:
        row = await session.get(RecipeRow, photo.recipe_id)
        # As if it had been proposed, by an adviser of another time.
        row.user_overrides = {}
        session.add(row)
        house.layout.absolute(row.path).write_bytes(recipes.recipe_of(row).to_json().encode())


async def test_where_nothing_else_is_proposed_nothing_happens(house: House) -> None:
    sha = await made(house)
    before = await house.photo(sha)
    await house.commands.analyse("local", sha, 1)
    await house.settled()
    after = await house.photo(sha)
    assert house.executor.called("analyse_file") == 2
    assert (after.state, after.review, after.version, after.recipe_id) == (
        WorkState.KEPT,
        Review.PENDING,
        1,
        before.recipe_id,
    )
    assert after.priority == 0
    assert house.executor.called("render_file") == 1
    assert await house.is_clean()


async def test_what_the_owner_changed_stays(house: House) -> None:
    sha = await made(house)
    await house.commands.change("local", sha, 1, {"exposure": {"ev": 0.5}})
    await house.settled()
    await house.commands.analyse("local", sha, 2)
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.version) == (WorkState.KEPT, 2)


async def test_an_undecided_photo_gets_a_new_version_that_can_be_undone(house: House) -> None:
    sha = await made(house)
    await think_otherwise(house, sha)
    await house.commands.analyse("local", sha, 2)
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.review, photo.version) == (WorkState.KEPT, Review.PENDING, 3)
    assert [row.n for row in await house.versions(sha)] == [1, 2, 3]
    await house.commands.undo("local", sha, 3)
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.version) == (WorkState.KEPT, 2)
    assert await house.is_clean()


@pytest.mark.parametrize("decide", ["approve", "reject"])
async def test_a_decided_photo_is_offered_what_is_proposed_now(house: House, decide: str) -> None:
    sha = await made(house)
    await think_otherwise(house, sha)
    command: Callable[..., Awaitable[Any]] = getattr(house.commands, decide)
    await command("local", sha, 2)
    with pytest.raises(ConflictError, match="Nothing else is offered"):
        await house.commands.renew("local", sha, 2)
    decided = await house.photo(sha)
    await house.commands.analyse("local", sha, 2)
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.review, photo.version, photo.recipe_id) == (
        WorkState.KEPT,
        decided.review,
        2,
        decided.recipe_id,
    )
    async with house.database.reading() as session:
        assert await analysing_again.offered(session, photo) is not None
    await house.commands.renew("local", sha, 2)
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.review, photo.version) == (WorkState.KEPT, Review.PENDING, 3)
    async with house.database.reading() as session:
        assert await analysing_again.offered(session, photo) is None, "it was for the version before"
    await house.commands.undo("local", sha, 3)
    photo = await house.photo(sha)
    assert (photo.review, photo.version) == (decided.review, 2)
    assert await house.is_clean()


async def test_a_photo_that_was_left_alone_is_looked_at_again(house: House) -> None:
    sha = await house.drop(left_alone())
    await house.settled()
    await house.commands.analyse("local", sha, 0)
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.version) == (WorkState.LEFT_ALONE, 0)
    assert await house.is_clean()


async def test_a_look_that_fails_harms_nothing(house: House) -> None:
    sha = await made(house)
    house.executor.plan["analyse_file"] = [UndecodableError("damaged since")]
    await house.commands.analyse("local", sha, 1)
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.review, photo.failed_at) == (WorkState.KEPT, Review.PENDING, None)
    assert (await house.history(sha))[-1] == "failed"
    assert await house.is_clean()


async def test_a_look_that_is_cancelled_leaves_the_photo_as_it_was(house: House) -> None:
    sha = await made(house)
    house.executor.hold("analyse_file")
    await house.commands.analyse("local", sha, 1)
    with pytest.raises(ConflictError, match="still being worked on"):
        await house.commands.analyse("local", sha, 1)
    await house.until(lambda: house.executor.called("analyse_file") == 2)
    await house.commands.cancel("local", sha, 1)
    photo = await house.photo(sha)
    assert (photo.state, photo.review) == (WorkState.KEPT, Review.PENDING)
    await house.settled()


async def test_a_stale_command_is_refused(house: House) -> None:
    sha = await made(house)
    with pytest.raises(StaleVersionError):
        await house.commands.analyse("local", sha, 7)


async def test_a_change_that_comes_in_between_wins(house: House) -> None:
    sha = await made(house)
    gate = house.executor.hold("analyse_file")
    await house.commands.analyse("local", sha, 1)
    await house.until(lambda: house.executor.called("analyse_file") == 2)
    await house.commands.change("local", sha, 1, {"exposure": {"ev": 0.5}})
    gate.set()
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.version) == (WorkState.KEPT, 2)
    assert await house.is_clean()


async def test_all_that_lacked_a_model_are_looked_at_again(house: House) -> None:
    seen, failed, never = [await made(house, seed) for seed in (1, 2, 3)]
    ran = ModelRun(job=Job.FACES, model="a")
    for sha, findings in (
        (seen, Findings(runs=(ran,))),
        (failed, Findings(runs=(ran.model_copy(update={"error": "away"}),))),
    ):
        photo = await house.photo(sha)
        await house.change(sha, analysis=photo.analysis | {"findings": findings.model_dump(mode="json")})
    assert await house.commands.analyse_lacking("local", frozenset()) == 0
    assert await house.commands.analyse_lacking("local", frozenset({Job.WORDS})) == 0
    before = house.executor.called("analyse_file")
    assert await house.commands.analyse_lacking("local", frozenset({Job.FACES})) == 2
    await house.settled()
    assert house.executor.called("analyse_file") == before + 2
    for sha in (seen, failed, never):
        assert (await house.photo(sha)).state is WorkState.KEPT
    results = await house.commands.batch("local", [(seen, 1, "analyse"), (failed, 1, "renew")])
    assert [result.error is None for result in results] == [True, False]
    await house.settled()
