"""The states that rows go through; `tables` says which fact each is about."""

from enum import StrEnum


class IntakeState(StrEnum):
    """How far a file or an asset has come before it is a photo."""

    #: Noticed; its bytes are not read yet.
    SEEN = "seen"
    #: Stored as a photo; `sha256` names it.
    FETCHED = "fetched"
    #: Deliberately not taken; `reason` says why.
    SKIPPED = "skipped"
    #: Could not be taken; `reason` says why.
    FAILED = "failed"


class WorkState(StrEnum):
    """How far the work on a photo's newest recipe has come."""

    #: The original is stored and nothing else is known.
    STORED = "stored"
    #: What is in the photo is known.
    ANALYSED = "analysed"
    #: There is a recipe, with a version number where something is to be rendered.
    ADVISED = "advised"
    #: The newest version is a finished file, not yet counted as kept.
    RENDERED = "rendered"
    #: The newest version and its previews are in place.
    KEPT = "kept"
    #: The photo needs nothing; `left_alone_reason` says why.
    LEFT_ALONE = "left_alone"
    #: The owner stopped the work.
    CANCELLED = "cancelled"


class Review(StrEnum):
    """Where a photo stands with its owner."""

    #: There is no version to look at yet.
    NONE = "none"
    #: A version awaits its owner.
    PENDING = "pending"
    #: The current version is the one the owner wants.
    APPROVED = "approved"
    #: The owner wants the original as it is.
    REJECTED = "rejected"


class Publish(StrEnum):
    """How far a version has come on its way into Immich."""

    #: Nothing of it is in Immich.
    NONE = "none"
    #: Immich holds the original (uploaded by us, or it came from there).
    ORIGINAL_UPLOADED = "original_uploaded"
    #: Immich holds the version; its asset id is in the row.
    UPLOADED = "uploaded"
    #: The version is in a stack with its original, and the primary is the wanted one.
    STACKED = "stacked"
    #: Both carry our mark, written for the present review: nothing is left to do.
    MARKED = "marked"
    #: Waits for a person; `blocked_reason` says for what.
    BLOCKED = "blocked"


class Source(StrEnum):
    """Where a photo came from."""

    HOT_FOLDER = "hot_folder"
    IMMICH = "immich"
    UPLOAD = "upload"


class BackfillState(StrEnum):
    """How far a backfill has come."""

    #: Its photos are being counted, for the dry run.
    COUNTING = "counting"
    #: Counted; waits for its owner to start it.
    READY = "ready"
    #: Its photos are noticed and taken.
    RUNNING = "running"
    #: Its owner paused it.
    PAUSED = "paused"
    #: Everything it asked for was noticed and has come to an end.
    DONE = "done"
    #: Its owner stopped it; what was finished stays.
    CANCELLED = "cancelled"
    #: Everything it made is being taken back.
    UNDOING = "undoing"
    #: Everything it made was taken back.
    UNDONE = "undone"
    #: It could not be counted or run; `error` says why.
    FAILED = "failed"
