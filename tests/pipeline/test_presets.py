"""Presets on photos: chosen by people and by rules, taken back, and with tables of colours."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from immich_sidecar.advise.presets import MEANINGS, Preset
from immich_sidecar.errors import (
    ConflictError,
    InvalidParameterError,
    NotFoundError,
    StaleVersionError,
)
from immich_sidecar.library import luts, presets
from immich_sidecar.library.integrity import verify
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.tables import RecipeRow, Review, WorkState
from tests.develop.test_cube import swapped, text
from tests.photos.make import scene
from tests.pipeline.house import House, developed, left_alone


@pytest.fixture
async def kept(house: House) -> str:
    """A dark photo whose version 1 is pending."""
    sha = await house.drop(developed())
    await house.settled()
    return sha


async def newest(house: House, sha: str) -> RecipeRow:
    photo = await house.photo(sha)
    return next(row for row in await house.recipes(sha) if row.id == photo.recipe_id)


def steps(recipe: RecipeRow) -> dict[str, dict]:  # type: ignore[type-arg]
    return {item["type"]: item["parameters"] for item in recipe.operations}


def picture(house: House, path: str) -> np.ndarray:  # type: ignore[type-arg]
    with Image.open(house.layout.absolute(path)) as opened:
        return np.asarray(opened.convert("RGB")).astype(int)


async def own(house: House, owner: str, **operations: dict[str, float]) -> str:
    async with house.database.transaction() as session:
        await ensure_owner(session, owner)
        return presets.name_of(await presets.create(session, owner, "My own", operations))


async def test_a_look_comes_on_top_and_undo_takes_it_back_unrendered(house: House, kept: str) -> None:
    before = await newest(house, kept)
    await house.commands.approve("local", kept, 1)
    photo = await house.commands.preset("local", kept, 1, "vivid", 150)
    assert (photo.version, photo.state, photo.review) == (2, WorkState.ADVISED, Review.PENDING)
    await house.settled()
    after = await newest(house, kept)
    assert steps(after)["exposure"] == steps(before)["exposure"], "what the photo needs stays"
    assert steps(after)["tone"]["contrast"] == pytest.approx(1.5 * MEANINGS[Preset.VIVID].look["tone"]["contrast"])
    assert after.ai_metadata["preset"] == "vivid"
    assert (after.ai_metadata["look"]["name"], after.ai_metadata["look"]["strength"]) == ("Vivid", 150)
    first, second = await house.versions(kept)
    dull, vivid = picture(house, first.path), picture(house, second.path)
    assert np.ptp(vivid, axis=2).mean() > 1.05 * np.ptp(dull, axis=2).mean(), "more colour"
    renders = house.executor.called("render_file")
    photo = await house.commands.undo("local", kept, 2)
    assert (photo.version, photo.state, photo.review) == (1, WorkState.KEPT, Review.APPROVED)
    assert house.executor.called("render_file") == renders


async def test_the_same_preset_again_is_nothing_new(house: House, kept: str) -> None:
    assert (await house.commands.preset("local", kept, 1, "natural")).version == 1
    assert (await house.commands.preset("local", kept, 1, "natural", 50)).version == 1, "it has no look to be strong"
    await house.commands.preset("local", kept, 1, "film")
    await house.settled()
    assert (await house.commands.preset("local", kept, 2, "film", 100)).version == 2
    assert (await house.commands.preset("local", kept, 2, "film", 101)).version == 3
    await house.settled()


async def test_no_strength_is_no_look(house: House, kept: str) -> None:
    before = steps(await newest(house, kept))
    await house.commands.preset("local", kept, 1, "black_and_white", 0)
    await house.settled()
    assert steps(await newest(house, kept)) == before
    first, second = await house.versions(kept)
    assert first.sha256 == second.sha256


async def test_what_the_person_changed_stays_with_every_preset(house: House, kept: str) -> None:
    await house.commands.change("local", kept, 1, {"exposure": {"ev": 0.25}, "tone": {"contrast": -30}})
    await house.commands.preset("local", kept, 2, "film")
    recipe = await newest(house, kept)
    assert recipe.user_overrides.keys() == {"exposure", "tone"}
    assert (steps(recipe)["exposure"]["ev"], steps(recipe)["tone"]["contrast"]) == (0.25, -30)
    assert "saturation" in steps(recipe), "and the rest of the look is there"
    await house.commands.preset("local", kept, 3, "straighten")
    recipe = await newest(house, kept)
    assert steps(recipe).keys() == {"exposure", "tone"}, "nothing is left of the look"
    await house.commands.reset("local", kept, 4)
    recipe = await newest(house, kept)
    assert steps(recipe).keys() <= {"straighten", "crop"}, "nor of suggestions that the preset does not apply"
    await house.commands.preset("local", kept, 5, "natural")
    assert "exposure" in steps(await newest(house, kept))
    await house.settled()


async def test_what_is_refused(house: House, kept: str) -> None:
    other = await own(house, "ada", tone={"contrast": 10})
    with pytest.raises(StaleVersionError):
        await house.commands.preset("local", kept, 7, "vivid")
    for name in ("sepia", "own-99", other, "", "own-0", "own-1e3"):
        with pytest.raises(NotFoundError):
            await house.commands.preset("local", kept, 1, name)
    for strength in (-1, 201, float("nan")):
        with pytest.raises(InvalidParameterError):
            await house.commands.preset("local", kept, 1, "vivid", strength)
    assert (await house.photo(kept)).version == 1


async def test_a_photo_that_was_left_alone_gets_a_look_but_nothing_else(house: House) -> None:
    sha = await house.drop(left_alone())
    await house.settled()
    with pytest.raises(ConflictError, match="Nothing that “Natural” does is needed"):
        await house.commands.preset("local", sha, 0, "natural")
    photo = await house.commands.preset("local", sha, 0, "vivid")
    assert (photo.version, photo.left_alone_reason) == (1, None)
    await house.settled()
    assert steps(await newest(house, sha)).keys() == MEANINGS[Preset.VIVID].look.keys()
    assert (await house.commands.undo("local", sha, 1)).state is WorkState.LEFT_ALONE


async def test_a_preset_of_ones_own_outlives_its_row(house: House, kept: str) -> None:
    name = await own(house, "local", tone={"contrast": 40.0}, exposure={"ev": -0.5})
    ev = steps(await newest(house, kept))["exposure"]["ev"]
    await house.commands.preset("local", kept, 1, name, 50)
    async with house.database.transaction() as session:
        await presets.delete(session, "local", name)
    await house.commands.change("local", kept, 2, {"tone": {"contrast": 0}})
    await house.commands.change("local", kept, 3, {"tone": "suggested"})
    await house.settled()
    found = steps(await newest(house, kept))
    assert (found["tone"]["contrast"], found["exposure"]["ev"]) == (20, pytest.approx(ev - 0.25))
    with pytest.raises(NotFoundError):
        await house.commands.preset("local", kept, 4, name)
    async with house.database.transaction() as session:
        again = presets.name_of(await presets.create(session, "local", "Another", {"tone": {"contrast": 1}}))
    assert again != name, "rules that name the old one never get another"


async def test_rules_choose_presets_of_ones_own_and_their_strength(house: House) -> None:
    name = await own(house, "local", saturation={"saturation": -60.0})
    good = _jpeg(scene(240, 160, seed=3))
    found = {}
    for number, (preset, strength) in enumerate([(name, 50.0), ("own-77", None), ("vivid", 0.0)]):
        chosen = {"preset": preset, "preset_strength": strength}
        sha = await house.drop(good + bytes(number), consider=lambda *_, chosen=chosen: chosen)
        await house.settled()
        found[preset] = (await house.photo(sha), await house.recipes(sha))
    photo, recipes = found[name]
    assert photo.state is WorkState.KEPT, "a look was asked for, so it is not left alone"
    assert steps(recipes[0])["saturation"] == {"saturation": -30, "vibrance": 0}
    for gone in ("own-77", "vivid"):
        assert found[gone][0].state is WorkState.LEFT_ALONE, "without a look it needs nothing"


def test_examples_of_a_backfill_say_that_there_is_a_look(tmp_path: Path) -> None:
    from immich_sidecar.advise.presets import chosen
    from immich_sidecar.pipeline.tasks import judge_preview

    (tmp_path / "a.jpg").write_bytes(_jpeg(scene(240, 160, seed=3)))
    told = judge_preview(str(tmp_path / "a.jpg"), chosen("vivid", 120), (), False, True)
    assert (told.left_alone, [step["reason"] for step in told.steps]) == (
        None,
        ["“Vivid”, 120 %, on top of what the photo needs"],
    )
    assert judge_preview(str(tmp_path / "a.jpg"), chosen("natural"), (), False, True).left_alone is not None


async def test_a_lut_is_named_by_its_digest_and_found_in_the_owners_folder(house: House, kept: str) -> None:
    from immich_sidecar.web.preview_tasks import normalise_lut

    read = normalise_lut(text(5, swapped))
    async with house.database.transaction() as session:
        row, is_new = await luts.keep(
            session, house.layout, "local", name="Swap", normal_form=read.normal_form, points=read.points
        )
        assert is_new
        digest = row.sha256
    assert house.layout.absolute(row.path) == house.layout.data_dir / "luts" / f"{digest}.cube"
    await house.commands.change("local", kept, 1, {"lut": {"sha256": digest, "name": "Swap"}})
    await house.settled()
    first, second = await house.versions(kept)
    plain, changed = picture(house, first.path), picture(house, second.path)
    assert np.abs(changed - plain[..., [2, 0, 1]]).mean() < 4
    assert (await verify(house.database, house.layout)).problems == []
    async with house.database.transaction() as session:
        await luts.remove(session, "local", digest)
        assert await luts.all_of(session, "local") == []
    await house.commands.change("local", kept, 2, {"lut": {"sha256": digest, "name": "Swap", "strength": 50}})
    await house.settled()
    assert len(await house.versions(kept)) == 3, "off the list, and not out of the recipes"
    with pytest.raises(InvalidParameterError, match="import it first") as caught:
        await house.commands.change("local", kept, 3, {"lut": {"sha256": "0" * 64}})
    assert caught.value.field == "lut.sha256"


async def test_verify_looks_after_luts(house: House) -> None:
    from immich_sidecar.web.preview_tasks import normalise_lut

    paths = []
    for points in (2, 3):
        read = normalise_lut(text(points, swapped))
        async with house.database.transaction() as session:
            row, _ = await luts.keep(
                session, house.layout, "local", name=f"L{points}", normal_form=read.normal_form, points=points
            )
            paths.append(house.layout.absolute(row.path))
    report = await verify(house.database, house.layout)
    assert (report.luts, report.problems) == (2, [])
    paths[0].write_bytes(paths[0].read_bytes().replace(b"1.0", b"0.9"))
    paths[1].unlink()
    (Path(paths[0]).parent / ("f" * 64 + ".cube")).write_text("foreign")
    kinds = sorted(problem.kind for problem in (await verify(house.database, house.layout)).problems)
    assert kinds == ["damaged", "missing", "orphan"]


def _jpeg(pixels: np.ndarray) -> bytes:  # type: ignore[type-arg]
    import io

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()
