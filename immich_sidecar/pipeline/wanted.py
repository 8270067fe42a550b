"""What Immich should hold of a photo: a pure function of mode, review and version."""

from dataclasses import dataclass
from enum import StrEnum

from immich_sidecar.library.tables import Review, Source
from immich_sidecar.settings import Mode


class Primary(StrEnum):
    """Which picture of the stack shall be on top."""

    #: The version, unless the owner had put another picture than the original there.
    OURS = "ours"
    #: Whatever is there now.
    KEEP = "keep"
    #: The one that was there before us, where one of ours is on top now.
    RESTORE = "restore"


class Edits(StrEnum):
    """What becomes of edits of Immich's own at the original."""

    #: They stay as they are.
    KEEP = "keep"
    #: Those of the version are made, instead of uploading it.
    MAKE = "make"
    #: Ours are taken away again.
    TAKE_AWAY = "take_away"


@dataclass(frozen=True)
class Wanted:
    """What Immich should hold of one version."""

    #: The version is an asset there. One that is there already stays, whatever this says.
    upload: bool = False
    #: It is in one stack with its original.
    stack: bool = False
    #: Who is on top of that stack.
    primary: Primary = Primary.KEEP
    #: It carries our mark with the present review (or as superseded).
    mark: bool = False
    #: The original carries our mark for this version as well.
    mark_original: bool = False
    #: Another version took its place, or its owner rejected it: it goes out of the way, as far as that is allowed.
    retire: bool = False
    #: Where we retired it, that is undone.
    bring_back: bool = False
    #: What becomes of edits that Immich made of the original.
    edits: Edits = Edits.KEEP

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to reach."""
        return not (self.upload or self.stack or self.mark) and self.edits is Edits.KEEP


#: Nothing is to be done for the version.
NOTHING = Wanted()


def wanted(
    mode: Mode | None,
    review: Review,
    *,
    current: bool,
    first: bool,
    kept: bool,
    uploaded: bool,
    standing: bool = False,
    replaced: bool = False,
    trashes: bool = False,
    retired_now: bool = True,
    native: bool = False,
    edited: bool = False,
    edited_by_this: bool = False,
) -> Wanted:
    """Say what Immich should hold of one version.

    Parameters
    ----------
    mode
        The mode of the photo; None where the photo has no connection.
    review
        Where the photo stands with its owner.
    current
        Whether it is the photo's current version; earlier (or undone) ones are superseded.
    first
        Whether it is version 1.
    kept
        Whether its file is finished and in place.
    uploaded
        Whether Immich has ever taken it: it is in the `uploads` table.
    standing
        Whether its owner had approved it before the changes that wait now: until that is decided, it is on top.
    replaced
        Whether the current version is in its place in Immich, with all that the owner had given this one.
    trashes
        Whether what is out of the way goes to Immich's trash: then also what was rejected.
    retired_now
        Where this one was retired: whether the photo's current version is still the one that it was retired for. A
        version that went with a rejection comes back with its undoing, one that was rejected before a change stays.
    native
        Whether Immich itself can do what the photo's current version does, and does so instead of a new asset.
    edited
        Whether the original carries edits that we had Immich make.
    edited_by_this
        Whether those are what the photo's current version asks for.
    """
    if mode is None or not kept:
        return NOTHING
    if current and native and not uploaded:
        return _natively(review, edited=edited, edited_by_this=edited_by_this)
    if current and edited and (edited_by_this or review is not Review.PENDING):
        # Nothing else is done before the original is as it was.
        return Wanted(edits=Edits.TAKE_AWAY, mark_original=True)
    rejected = review is Review.REJECTED
    decided = rejected or review is Review.APPROVED
    if not current:
        # What is there stays in the stack and is marked superseded; nothing new is added to it. An earlier one must
        # not stay on top either, unless its owner approved it and has not decided about the change since.
        if not uploaded:
            # A photo that was left alone, and is again.
            undone = edited and review is Review.NONE
            return Wanted(edits=Edits.TAKE_AWAY, mark_original=True) if undone else NOTHING
        return Wanted(
            upload=True,
            stack=True,
            primary=Primary.KEEP if standing or (review is Review.APPROVED and not native) else Primary.RESTORE,
            mark=True,
            retire=(review is Review.APPROVED and replaced) or (rejected and trashes),
            bring_back=not decided and retired_now,
        )
    if review is Review.APPROVED:
        return Wanted(upload=True, stack=True, primary=Primary.OURS, mark=True, mark_original=True, bring_back=True)
    if uploaded:
        # Rejected, or an approval that was undone.
        return Wanted(
            upload=True,
            stack=True,
            primary=Primary.RESTORE,
            mark=True,
            mark_original=True,
            retire=rejected and trashes,
            bring_back=not (rejected and trashes),
        )
    if review is Review.PENDING and first and mode is not Mode.REVIEW:
        return Wanted(upload=True, stack=True, primary=Primary.KEEP, mark=True, mark_original=True)
    return NOTHING


def _natively(review: Review, *, edited: bool, edited_by_this: bool) -> Wanted:
    """What is wanted of a version that Immich makes by editing the original: there is no asset of it."""
    if review is Review.APPROVED:
        return Wanted(edits=Edits.MAKE, mark_original=True)
    # Those of an earlier version stay until its owner decides about this one.
    if edited and (edited_by_this or review is Review.REJECTED):
        return Wanted(edits=Edits.TAKE_AWAY, mark_original=True)
    return NOTHING


def original_wanted(source: Source, *, connected: bool) -> bool:
    """Whether we have to put the original into Immich: in every mode, also where it is left alone."""
    return connected and source is not Source.IMMICH
