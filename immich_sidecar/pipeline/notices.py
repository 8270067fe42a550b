"""Events about photos, in the shape that pages and scripts see."""

from collections.abc import Sequence
from typing import Any

from immich_sidecar.events import Event, EventType
from immich_sidecar.library.photos import status_of
from immich_sidecar.library.tables import LOCAL_OWNER, PhotoRow


def notice(
    kind: EventType,
    photo: PhotoRow,
    *,
    suggestions: Sequence[dict[str, Any]] = (),
    error: str | None = None,
    **more: Any,
) -> Event:
    """An event about a photo as its row stands now."""
    status = status_of(photo)
    data: dict[str, Any] = {
        "file_id": photo.sha256,
        "owner": photo.owner_id,
        "status": status,
        "progress": _progress(status),
        "preview_url": _preview_url(photo),
        "ai_suggestions": list(suggestions),
        "version": photo.version,
        "review": photo.review.value,
        "error": error,
    }
    return Event(kind, photo.owner_id, photo.sha256, data | more)


def progress_notice(photo: PhotoRow, fraction: float) -> Event:
    """How far the present step is, 0..1; sent live and not stored."""
    event = notice(EventType.PROGRESS, photo)
    event.data["progress"] = round(fraction, 3)
    return event


def queue_notice(owner_id: str, **facts: Any) -> Event:
    """The queue as a whole changed."""
    return Event(EventType.QUEUE_CHANGED, owner_id, None, {"owner": owner_id, **facts})


def _progress(status: str) -> float:
    return 0.0 if status in ("analysing", "advising", "rendering", "keeping") else 1.0


def _preview_url(photo: PhotoRow) -> str | None:
    if photo.version < 1:
        return None
    owner = "" if photo.owner_id == LOCAL_OWNER else f"&owner={photo.owner_id}"
    return f"/photos/{photo.sha256}/preview?version={photo.version}{owner}"
