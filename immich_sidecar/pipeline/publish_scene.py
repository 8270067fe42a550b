"""What publishing reads of a photo and one of its versions before it does anything."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.immich import native_edits
from immich_sidecar.immich.api import NativeEdit
from immich_sidecar.immich.retire import RETIRED_BY, Fate
from immich_sidecar.library import photos, processed, recipes
from immich_sidecar.library.tables import (
    PhotoRow,
    Publish,
    RecipeRow,
    Review,
    UploadRow,
    VersionRow,
)
from immich_sidecar.pipeline import analysing_again, decisions
from immich_sidecar.pipeline.decisions import TAKE_BACK
from immich_sidecar.pipeline.modes import as_mode
from immich_sidecar.pipeline.targets import Target
from immich_sidecar.pipeline.wanted import Primary, Wanted, wanted

#: In `VersionRow.written`: it was sent, and nobody heard yet whether it arrived.
SENT = "sent"
#: In `VersionRow.written`: Immich makes this version by editing the original, and has done so.
NATIVE = "native"
#: In `VersionRow.written`: Immich does not edit this photo, so that the version is uploaded.
NATIVE_REFUSED = "native_refused"
#: In `VersionRow.written`: by number of an earlier version, what came of carrying over what its owner had given it.
CARRIED = "carried"

_IN_PLACE = (Publish.STACKED, Publish.MARKED)


@dataclass(frozen=True)
class Scene:
    """A photo, one of its versions, and what Immich should hold of that."""

    target: Target
    photo: PhotoRow
    version: VersionRow
    recipe: RecipeRow | None
    wanted: Wanted
    #: The photo's other versions, oldest first.
    others: tuple[VersionRow, ...]
    uploaded: UploadRow | None
    #: Whether a backfill was undone that had asked for the photo: nothing of it shall be seen in Immich.
    taken_back: bool = False
    #: Where this version is to be on top no longer: the one that its owner had approved before the change that waits,
    #: and that is on top until that is approved.
    standing: VersionRow | None = None
    #: What Immich itself would have to do at the original to show this version; None: it cannot, or is not to.
    native_edits: tuple[NativeEdit, ...] | None = None

    @property
    def current(self) -> bool:
        """Whether it is the photo's current version."""
        return self.version.n == self.photo.version

    @property
    def arranges(self) -> bool:
        """Whether what is on top of the stack is this version's to say."""
        return self.current or self.wanted.primary is Primary.RESTORE

    @property
    def stands(self) -> bool:
        """Whether it is on top until its owner has decided about the change that waits: approved before that."""
        return not self.current and self.photo.review is Review.PENDING and self.wanted.primary is Primary.KEEP

    @property
    def review(self) -> str:
        """What the version's mark says."""
        return self.photo.review.value if self.current else "superseded"

    @property
    def our_ids(self) -> frozenset[str]:
        """Assets of all versions."""
        rows = (self.version, *self.others)
        return frozenset(row.immich_asset_id for row in rows if row.immich_asset_id is not None)

    @property
    def earlier_ids(self) -> frozenset[str]:
        """Assets of other versions that were stacked, and that we did not take away."""
        return frozenset(
            row.immich_asset_id
            for row in self.others
            if row.immich_asset_id is not None and row.publish in _IN_PLACE and row.retired is None
        )

    @property
    def to_carry(self) -> tuple[VersionRow, ...]:
        """Versions whose place this one takes, and whose albums, tags and words it does not have yet."""
        if not self.current or self.photo.review is not Review.APPROVED:
            return ()
        done = carried(self.version)
        return tuple(
            row
            for row in self.others
            if row.immich_asset_id not in (None, self.version.immich_asset_id)
            and row.retired is None
            and str(row.n) not in done
        )

    @property
    def replacement(self) -> VersionRow | None:
        """The current version, where this is another one."""
        return next((row for row in self.others if row.n == self.photo.version), None)


def same_as(version: VersionRow, rows: Iterable[VersionRow]) -> list[VersionRow]:
    """Those of the photo's versions that are other ones with the same bytes."""
    return [row for row in rows if row.n != version.n and row.sha1.lower() == version.sha1.lower()]


def _shown_by(rows: Sequence[VersionRow], n: int | None) -> VersionRow | None:
    """The version whose asset shows version `n`: itself, or one with the same bytes; None where Immich has none."""
    asked = next((row for row in rows if row.n == n), None)
    shown = () if asked is None else (asked, *same_as(asked, rows))
    return next((row for row in shown if row.immich_asset_id is not None), None)


def carried(version: VersionRow) -> Mapping[str, str]:
    """What was carried over to a version, by number of the one it came from."""
    found = version.written.get(CARRIED)
    return found if isinstance(found, dict) else {}


async def read_scene(session: AsyncSession, target: Target, owner: str, sha256: str, n: int) -> Scene | None:
    """The scene of version `n`; None where it is not there."""
    photo = await photos.find(session, owner, sha256)
    rows = await processed.all_of(session, owner, sha256)
    version = next((row for row in rows if row.n == n), None)
    if photo is None or version is None:
        return None
    uploaded = await upload_row(session, photo, n)
    current = next((row for row in rows if row.n == photo.version), None)
    newest = await decisions.newest(session, photo)
    taken_back = photo.review is Review.REJECTED and newest is not None and newest.kind == TAKE_BACK
    may_be_native = target.choices.native_edits or photo.native_edits is not None
    edits = await _native_edits(session, photo, current) if may_be_native else None
    native = edits is not None and current is not None and _goes_natively(target, current)
    stands = _shown_by(rows, await decisions.standing(session, photo))
    own = version.immich_asset_id is not None
    handed_on = not own and n != photo.version and any(row.immich_asset_id for row in same_as(version, rows))
    want = wanted(
        as_mode(photo.mode, target.mode) if photo.connection_id is not None else None,
        photo.review,
        current=n == photo.version,
        first=n == 1,
        kept=n != photo.version or analysing_again.is_kept(photo),
        uploaded=own or (uploaded is not None and not handed_on),
        standing=stands is not None and stands.n == n,
        replaced=current is not None and _is_replaced(version, current, native=native),
        trashes=taken_back or (target.choices.retire and target.publisher.may("asset.delete")),
        retired_now=version.written.get(RETIRED_BY) == photo.version,
        native=native,
        edited=photo.native_edits is not None,
        edited_by_this=edits is not None and photo.native_edits == native_edits.as_json(edits),
    )
    recipe = await session.get(RecipeRow, version.recipe_id)
    others = tuple(row for row in rows if row.n != n)
    if n == photo.version and stands is not None and stands.n == n:
        # It has the bytes of the version that its owner approved before, and its asset.
        want = replace(want, primary=Primary.OURS)
    return Scene(
        target,
        photo,
        version,
        recipe,
        want,
        others,
        uploaded,
        taken_back,
        standing=stands if want.primary is Primary.RESTORE else None,
        native_edits=edits if n == photo.version else None,
    )


async def _native_edits(
    session: AsyncSession, photo: PhotoRow, current: VersionRow | None
) -> tuple[NativeEdit, ...] | None:
    """What Immich would have to do at the original to show the photo's current version."""
    recipe = None if current is None else await session.get(RecipeRow, current.recipe_id)
    if recipe is None or not native_edits.is_possible(photo):
        return None
    return native_edits.edits_of(recipes.recipe_of(recipe).operations, (photo.width, photo.height))


def _goes_natively(target: Target, current: VersionRow) -> bool:
    """Whether Immich is to edit the original instead of getting the current version as an asset of its own."""
    return (
        target.choices.native_edits
        and current.immich_asset_id is None
        and NATIVE_REFUSED not in current.written
        and target.publisher.may(*native_edits.PERMISSIONS)
    )


def _is_replaced(version: VersionRow, current: VersionRow, *, native: bool) -> bool:
    """Whether the current version has taken the place of this one in Immich, with all that it had."""
    if native:
        return current.publish is Publish.MARKED
    return (
        current.publish is Publish.MARKED
        and current.immich_asset_id is not None
        and current.retired is None
        and str(version.n) in carried(current)
    )


def may_be_retired(version: VersionRow, *, taken_back: bool = False) -> bool:
    """Whether something is still to be done to take a version out of the way.

    One that was tagged or marked for being replaced still is to go where all of its photo is taken back.
    """
    return version.retired in (None, Fate.TRASHING, Fate.KEPT, *((Fate.TAGGED, Fate.MARKED) if taken_back else ()))


def may_be_there(version: VersionRow) -> bool:
    """Whether a version is in Immich, or was sent there and may still arrive."""
    return version.immich_asset_id is not None or bool(version.written.get(SENT))


async def upload_row(session: AsyncSession, photo: PhotoRow, n: int) -> UploadRow | None:
    """The row that says that Immich took version `n` (0: the original)."""
    rows = await session.exec(
        select(UploadRow).where(
            col(UploadRow.owner_id) == photo.owner_id,
            col(UploadRow.original_hash) == photo.sha256,
            col(UploadRow.version) == n,
        )
    )
    return rows.first()
