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

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to reach."""
        return not (self.upload or self.stack or self.mark)


#: Nothing is to be done for the version.
NOTHING = Wanted()


def wanted(mode: Mode | None, review: Review, *, current: bool, first: bool, kept: bool, uploaded: bool) -> Wanted:
    """Say what Immich should hold of one version.

    Parameters
    ----------
    mode
        The mode of the photo's connection; None where the photo has no connection.
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
    """
    if mode is None or not kept:
        return NOTHING
    if not current:
        # What is there stays in the stack and is marked superseded; nothing new is added to it. Where the current
        # version was rejected, an earlier one must not stay on top either.
        primary = Primary.RESTORE if review is Review.REJECTED else Primary.KEEP
        return Wanted(upload=True, stack=True, primary=primary, mark=True) if uploaded else NOTHING
    if review is Review.APPROVED:
        return Wanted(upload=True, stack=True, primary=Primary.OURS, mark=True, mark_original=True)
    if uploaded:
        # Rejected, or an approval that was undone.
        return Wanted(upload=True, stack=True, primary=Primary.RESTORE, mark=True, mark_original=True)
    if review is Review.PENDING and first and mode is not Mode.REVIEW:
        return Wanted(upload=True, stack=True, primary=Primary.KEEP, mark=True, mark_original=True)
    return NOTHING


def original_wanted(source: Source, *, connected: bool) -> bool:
    """Whether we have to put the original into Immich: in every mode, also where it is left alone."""
    return connected and source is not Source.IMMICH
