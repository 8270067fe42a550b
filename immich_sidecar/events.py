"""What happens to photos, as typed events.

Stored events are rows with a rising id (see `library.tables.EventRow`), so a page that reconnects asks for
all after the last one it saw. Progress inside a step is sent live and not stored.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EventType(StrEnum):
    """What happened, in the words that pages and scripts see."""

    #: A photo's bytes are stored; its row is born.
    PHOTO_ADDED = "photo_added"
    #: A step began or moved on inside itself; live only, never stored.
    PROGRESS = "progress"
    #: What was measured is known.
    ANALYSED = "photo_analysed"
    #: A recipe with suggestions is known.
    SUGGESTED = "photo_suggested"
    #: A version is rendered and kept; the photo awaits its owner.
    READY = "photo_ready"
    #: The photo needs nothing; `data.reason` says why.
    LEFT_ALONE = "photo_left_alone"
    #: A step gave up; `data.error` says why.
    FAILED = "photo_failed"
    #: A command changed the review.
    REVIEWED = "review_changed"
    #: A command changed the recipe; a new version is on its way.
    RECIPE_CHANGED = "recipe_changed"
    #: The owner stopped the work on a photo.
    CANCELLED = "photo_cancelled"
    #: Immich holds what is wanted, or a step on the way there was made.
    PUBLISHED = "publish_changed"
    #: Publishing waits for a person; `data.error` says why.
    PUBLISH_BLOCKED = "publish_blocked"
    #: The queue was paused, resumed or reordered, or waits for disk space.
    QUEUE_CHANGED = "queue_changed"
    #: An Immich connection came, went or changed its state.
    CONNECTION_CHANGED = "connection_changed"
    #: A backfill, or a trial of rules, came further or changed its state; its numbers are sent live and not stored.
    BACKFILL_CHANGED = "backfill_changed"
    #: A model came, went or is on its way: `data.models` has what is under way; live only, for the operator.
    MODELS_CHANGED = "models_changed"


@dataclass(frozen=True)
class Event:
    """One thing that happened to a photo of an owner, or to the service as a whole."""

    #: What happened.
    type: EventType
    #: Whose photo it is about.
    owner_id: str
    #: SHA-256 of the photo, or None where the event is about no single photo.
    sha256: str | None = None
    #: Facts of the event; for photos `status`, `progress`, `preview_url`, `ai_suggestions` and more.
    data: dict[str, Any] = field(default_factory=dict)
    #: Rising number of a stored event; None for live ones.
    id: int | None = None
