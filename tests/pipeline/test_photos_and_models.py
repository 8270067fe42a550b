"""The way of a photo with models beside it: what they find is kept, and what they fail at costs no recipe."""

import functools
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageStat

from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.findings import Box, Face, Job
from immich_sidecar.events import EventType
from immich_sidecar.library import embeddings, luts, recipes
from immich_sidecar.library.integrity import verify
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import Review, WorkState
from immich_sidecar.pipeline import model_queue
from immich_sidecar.pipeline.executor import WorkerDied
from immich_sidecar.pipeline.looking import Looking
from immich_sidecar.pipeline.model_host import Setup
from tests.analysis.fake_models import offered
from tests.photos.make import scene
from tests.pipeline.house import House, ThreadExecutor, developed, open_house, truncated

ALL = ("detection", "segmentation", "embedding", "aesthetic", "technical", "faces")
Open = Callable[..., Any]


def models(layout: Layout, options: dict[str, dict[str, Any]], **more: Any) -> Looking:
    setup = Setup(functools.partial(offered, options), device="cpu")
    return Looking(setup, [Job(job) for job in options], layout, **{"timeout": 60.0} | more)


@pytest.fixture
def open_with(tmp_path: Path) -> Open:
    """Opens a house with models, by job and options."""

    @asynccontextmanager
    async def opened(options: dict[str, dict[str, Any]], *, more: Any = None, **house: Any) -> AsyncIterator[House]:
        make = functools.partial(models, options=options, **(more or {}))
        async with open_house(tmp_path, looking=make, **house) as one:
            yield one

    return opened


async def analysis_of(house: House, sha: str) -> Analysis:
    return Analysis.model_validate((await house.photo(sha)).analysis)


async def test_what_models_find_is_kept_with_the_photo(open_with: Open) -> None:
    async with open_with({job: {} for job in ALL}) as house:
        sha = await house.drop(developed())
        await house.settled(120)
        photo = await house.photo(sha)
        assert (photo.state, photo.review) == (WorkState.KEPT, Review.PENDING)
        found = (await analysis_of(house, sha)).findings
        assert found is not None
        assert found.missing == ()
        assert [item.label for item in found.objects] == ["dog"]
        async with house.database.reading() as session:
            assert await embeddings.find(session, "local", sha, "fake-embedding")
        assert await house.is_clean()


async def test_without_models_nothing_is_found_and_nothing_said(house: House) -> None:
    sha = await house.drop(developed())
    await house.settled()
    assert (await analysis_of(house, sha)).findings is None


@pytest.mark.parametrize(
    ("job", "behaviour", "said"),
    [
        *((job, "raise", "ZeroDivisionError") for job in ALL),
        ("embedding", "garbage", "is none to embedding"),
        ("aesthetic", "unloadable", "download them again"),
        ("detection", "crash", "crashed the models 2 times"),
        ("faces", "hang", "no answer within"),
    ],
)
async def test_with_every_model_failing_in_turn_a_photo_gets_its_recipe(
    open_with: Open, monkeypatch: pytest.MonkeyPatch, job: str, behaviour: str, said: str
) -> None:
    monkeypatch.setattr(model_queue, "FIRST_WAIT", 0.05)
    options = {one: {"behaviour": behaviour} if one == job else {} for one in ALL}
    async with open_with(options, more={"timeout": 8.0} if behaviour == "hang" else {}) as house:
        sha = await house.drop(developed())
        await house.settled(120)
        photo = await house.photo(sha)
        assert (photo.state, photo.review, photo.version) == (WorkState.KEPT, Review.PENDING, 1)
        assert photo.recipe_id
        found = (await analysis_of(house, sha)).findings
        assert found is not None
        missing = {run.job.value: run.error or "" for run in found.missing}
        assert said in missing[job]
        if behaviour != "hang":  # what hangs holds up whoever comes after it on the same device
            assert set(missing) == ({job, "segmentation"} if job == "detection" else {job})
        assert await house.is_clean()


async def test_faces_of_immich_come_first(open_with: Open) -> None:
    ada = Face(box=Box(x=0.1, y=0.1, width=0.1, height=0.1), score=1.0, source="immich", name="Ada")

    async def faces(photo: Any, width: int, height: int) -> tuple[Face, ...]:
        assert (width, height) == (240, 160)
        return (ada,) if photo.file_name == "ada.jpg" else ()

    async with open_with({"faces": {}}, faces=faces) as house:
        known = await house.drop(developed(1), "ada.jpg", immich_asset_id="1")
        unknown = await house.drop(developed(2), "other.jpg", immich_asset_id="2")
        await house.settled(120)
        assert (await analysis_of(house, known)).findings.faces == (ada,)
        assert [face.source for face in (await analysis_of(house, unknown)).findings.faces] == ["fake-faces"]


async def test_what_was_found_is_not_computed_twice_when_measuring_failed(open_with: Open) -> None:
    executor = ThreadExecutor()
    async with open_with({"aesthetic": {}}, executor=executor) as house:
        sha = await house.drop(developed())
        await house.settled(120)
        # The worker dies after the previews were written, and the photo is analysed again.
        executor.plan["analyse_file"] = [WorkerDied("killed")]
        await house.change(sha, state=WorkState.STORED)
        await house.settled(120)
        run = (await analysis_of(house, sha)).findings.run(Job.AESTHETIC)
        assert (run.error, run.cached) == (None, True)


async def test_a_damaged_photo_is_not_looked_at(open_with: Open) -> None:
    async with open_with({"aesthetic": {}}) as house:
        sha = await house.drop(truncated())
        await house.settled(60)
        assert (await house.photo(sha)).failed_at == "analyse"
        assert house.models.pid is None


async def test_the_focus_on_what_was_found_is_measured(open_with: Open) -> None:
    async with open_with({"detection": {}}) as house:
        sha = await house.drop(_good())
        await house.settled(120)
        found = (await analysis_of(house, sha)).findings

    assert found.focus is not None
    assert found.focus.what == "dog"
    assert found.focus.box == found.objects[0].box


async def test_a_table_made_for_a_photo_is_offered_and_can_be_switched_on(open_with: Open) -> None:
    async with open_with({"tone": {}}) as house:
        sha = await house.drop(_good())
        await house.settled(120)
        photo = await house.photo(sha)
        assert photo.state is WorkState.LEFT_ALONE
        found = (await analysis_of(house, sha)).findings
        async with house.database.reading() as session:
            recipe = await recipes.load(session, "local", photo.recipe_id)
            assert await luts.all_of(session, "local") == []
        (offer,) = [one for one in recipe.ai_metadata["suggestions"] if one["operation"] == "lut"]
        assert (offer["applied"], offer["parameters"]["sha256"]) == (False, found.tone.sha256)
        assert found.tone.lightness > 5
        await house.commands.change("local", sha, photo.version, {"lut": offer["parameters"]})
        await house.settled(120)
        (version,) = await house.versions(sha)
        brighter = Image.open(house.layout.absolute(version.path)).convert("L")
        assert (
            ImageStat.Stat(brighter).mean[0] > ImageStat.Stat(Image.open(io.BytesIO(_good())).convert("L")).mean[0] + 10
        )
        assert (await verify(house.database, house.layout)).problems == []
        assert await house.is_clean()


def _good() -> bytes:
    """A JPEG that needs nothing."""
    buffer = io.BytesIO()
    Image.fromarray(scene(480, 320)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


async def described(house: House, sha: str) -> Any:
    async def has_run() -> bool:
        findings = (await analysis_of(house, sha)).findings
        return findings is not None and findings.run(Job.WORDS) is not None

    await house.until(has_run, 60)
    return (await analysis_of(house, sha)).findings


async def test_words_come_later_and_render_nothing_again(open_with: Open) -> None:
    async with open_with({"aesthetic": {}, "words": {}}) as house:
        sha = await house.drop(developed())
        await house.settled(120)
        findings = await described(house, sha)
        assert findings.words.description.startswith("A photo of brightness")
        assert findings.aesthetic is not None
        photo = await house.photo(sha)
        assert (photo.state, photo.version, photo.revision) == (WorkState.KEPT, 1, 0)
        assert house.executor.called("render_file") == 1
        assert (await house.event_types(sha))[-1] == EventType.ANALYSED
        # They outlive another analysis.
        await house.change(sha, state=WorkState.STORED)
        await house.settled(120)
        assert (await analysis_of(house, sha)).findings.words == findings.words


async def test_a_photo_that_nobody_could_describe_says_so(open_with: Open) -> None:
    async with open_with({"words": {"behaviour": "raise"}}) as house:
        sha = await house.drop(developed())
        await house.settled(120)
        findings = await described(house, sha)
        assert findings.words is None
        assert "ZeroDivisionError" in findings.missing[0].error


async def test_photos_that_were_not_described_before_the_end_are_described_after_it(
    open_with: Open, tmp_path: Path
) -> None:
    async with open_with({"aesthetic": {}}) as house:
        sha = await house.drop(developed())
        await house.settled(120)
    async with open_with({"aesthetic": {}, "words": {}}) as house:
        assert (await described(house, sha)).words is not None
