"""Looking at a photo again, with the models and the measurements that there are now.

The photo takes its first steps once more; what its owner changed stays. Where nothing else is proposed than before,
nothing happens. Where something else is, a photo that nobody has decided about gets a new version, as after any change;
one that was decided about stays as it is, and the new suggestions are offered. One that is left alone for what Immich
told of it, or since it belongs to a RAW file, is left alone all the same. Immich sees nothing of a look: to it, what
was kept is kept meanwhile.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.analysis.findings import Job
from immich_sidecar.library import processed, recipes, switches
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import PhotoRow, Publish, RecipeRow, Review, SwitchRow, WorkState
from immich_sidecar.pipeline import decisions
from immich_sidecar.recipe.recipe import Recipe, derived_id

#: The kind of the decision that a new version out of another look is; and of taking what was offered.
KIND, TAKEN = "analyse", "renew"
#: States from which a photo can be looked at again.
SETTLED = (WorkState.KEPT, WorkState.LEFT_ALONE)
#: Priority of photos that are looked at again because a model was missing: behind every new one.
LOW = -10


def begin(photo: PhotoRow, priority: int) -> None:
    """Send a settled photo through its first steps again."""
    photo.state = WorkState.STORED
    photo.priority = priority
    decisions.clear_failure(photo)


def is_again(photo: PhotoRow) -> bool:
    """Whether a photo is on its first steps for another time: it has a version, or was left alone."""
    is_beginning = photo.state in (WorkState.STORED, WorkState.ANALYSED)
    has_version = photo.recipe_id is not None and photo.version > 0
    return is_beginning and (has_version or photo.left_alone_reason is not None)


def origin(photo: PhotoRow) -> WorkState:
    """Where a photo stood before it was looked at again."""
    # A version that was taken back since its photo is left alone has a review, and is kept.
    alone = photo.left_alone_reason is not None and photo.review is Review.NONE
    return WorkState.LEFT_ALONE if alone else WorkState.KEPT


def is_kept(photo: PhotoRow) -> bool:
    """Whether the file of the photo's version is finished and in place, also while the photo is looked at again."""
    return photo.state is WorkState.KEPT or (is_again(photo) and origin(photo) is WorkState.KEPT)


def is_left_by_others(photo: PhotoRow, before: Recipe | None) -> bool:
    """Whether a photo that is looked at again was left alone for a reason that its picture does not tell.

    Immich told that it is a live photo, or it is the JPEG of another photo: another look cannot know better.
    """
    if not is_again(photo) or origin(photo) is not WorkState.LEFT_ALONE:
        return False
    return before is None or photo.left_alone_reason != before.ai_metadata.get("left_alone")


async def give_up(session: AsyncSession, photo: PhotoRow) -> None:
    """Looking again failed or was cancelled: the photo is what it was."""
    photo.state = origin(photo)
    photo.priority = 0
    decisions.clear_failure(photo)
    await go_on_publishing(session, photo)


async def go_on_publishing(session: AsyncSession, photo: PhotoRow) -> None:
    """Have what is not in its place in Immich seen to: it may have become due while the photo was looked at."""
    version = await processed.find(session, photo.owner_id, photo.sha256, photo.version)
    if version is not None and version.publish is not Publish.MARKED:
        await decisions.reopen_publishing(session, photo)


def is_decided(photo: PhotoRow) -> bool:
    """Whether somebody, or `auto`, has decided about a photo."""
    return photo.review in (Review.APPROVED, Review.REJECTED)


def is_same(before: Recipe, after: Recipe) -> bool:
    """Whether two recipes do the same."""
    return _steps(before) == _steps(after)


async def offer(session: AsyncSession, layout: Layout, photo: PhotoRow, recipe: Recipe) -> None:
    """Keep what is proposed now for the owner to take or to leave."""
    content = hashlib.sha256(json.dumps(_steps(recipe), sort_keys=True).encode()).hexdigest()
    offered = recipe.model_copy(
        update={"id": derived_id(f"{photo.owner_id}\n{photo.sha256}\noffer\n{photo.version}\n{content}")}
    )
    await recipes.save(session, layout, offered, photo.owner_id)
    await switches.put(session, photo.owner_id, _switch(photo), {"recipe": offered.id, "version": photo.version})


async def forget_offer(session: AsyncSession, photo: PhotoRow) -> None:
    """Nothing else is offered any more."""
    if await switches.get(session, photo.owner_id, _switch(photo)) is not None:
        await switches.put(session, photo.owner_id, _switch(photo), None)


async def offered(session: AsyncSession, photo: PhotoRow) -> Recipe | None:
    """What is offered for the version that the photo is at; None: nothing."""
    told = await switches.get(session, photo.owner_id, _switch(photo))
    if told is None or told["version"] != photo.version:
        return None
    return await recipes.load(session, photo.owner_id, told["recipe"])


async def offers(session: AsyncSession, owner_id: str, photos: Sequence[PhotoRow]) -> dict[str, RecipeRow]:
    """What is offered for some photos, by their SHA-256, in two questions whatever their number."""
    names = {_switch(photo): photo for photo in photos}
    query = select(SwitchRow).where(SwitchRow.owner_id == owner_id, col(SwitchRow.name).in_(names))
    ids = {
        switch.value["recipe"]: names[switch.name].sha256
        for switch in await session.exec(query)
        if switch.value is not None and switch.value["version"] == names[switch.name].version
    }
    if not ids:
        return {}
    rows = await session.exec(select(RecipeRow).where(RecipeRow.owner_id == owner_id, col(RecipeRow.id).in_(ids)))
    return {ids[row.id]: row for row in rows}


def lacks(photo: PhotoRow, jobs: frozenset[Job]) -> bool:
    """Whether a photo has no answer of one of the models that there are; words come by themselves."""
    runs = ((photo.analysis or {}).get("findings") or {}).get("runs", ())
    answered = {run["job"] for run in runs if run.get("error") is None}
    return any(job.value not in answered for job in jobs - {Job.WORDS})


def _steps(recipe: Recipe) -> list[tuple[str, dict[str, Any]]]:
    return [(operation.type, operation.parameters) for operation in recipe.operations]


def _switch(photo: PhotoRow) -> str:
    return f"offer {photo.sha256}"
