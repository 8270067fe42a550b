"""What is being sent to Immich right now, by bytes: for pages, live and in the queue."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from immich_sidecar.events import EventType
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.tables import PhotoRow
from immich_sidecar.pipeline.notices import notice

#: Seconds between two live events about one upload.
TELL_EVERY = 0.25
#: Seconds over which the rate is measured.
RATE_OVER = 5.0


@dataclass
class Upload:
    """One file on its way."""

    owner_id: str
    sha256: str
    file_name: str
    #: Number of the version; 0 for the original.
    n: int
    #: Bytes.
    sent: int = 0
    total: int = 0
    told_at: float = field(default=0.0, repr=False)


class Uploads:
    """Follows the uploads that run.

    Parameters
    ----------
    events
        Told how each goes on, live.
    clock
        Seconds that only grow.
    """

    def __init__(self, events: EventLog, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._events = events
        self._clock = clock
        self._running: dict[tuple[str, str, int], Upload] = {}
        # (when, how many bytes) of each owner, newest last.
        self._sent: dict[str, deque[tuple[float, int]]] = {}

    @contextmanager
    def follow(self, photo: PhotoRow, n: int) -> Iterator[Callable[[int, int], None]]:
        """Follow one upload: gives what is to be told how many bytes are sent, of how many."""
        upload = Upload(photo.owner_id, photo.sha256, photo.file_name, n)
        key = (photo.owner_id, photo.sha256, n)
        self._running[key] = upload

        def on_bytes(sent: int, total: int) -> None:
            moment = self._clock()
            if sent > upload.sent:
                self._sent.setdefault(photo.owner_id, deque()).append((moment, sent - upload.sent))
            upload.sent, upload.total = sent, total
            if sent >= total or moment - upload.told_at >= TELL_EVERY:
                upload.told_at = moment
                event = notice(EventType.PROGRESS, photo)
                event.data["upload"] = {"n": n, "sent": sent, "total": total, "rate": self.rate(photo.owner_id)}
                self._events.publish_live(event)

        try:
            yield on_bytes
        finally:
            self._running.pop(key, None)

    def of(self, owner_id: str) -> list[Upload]:
        """What is being sent of an owner's, the longest under way first."""
        return [upload for upload in self._running.values() if upload.owner_id == owner_id]

    def rate(self, owner_id: str) -> int:
        """Bytes a second of all of an owner's uploads, over the last few seconds; 0 where nothing is sent."""
        sent = self._sent.get(owner_id)
        moment = self._clock()
        while sent and moment - sent[0][0] > RATE_OVER:
            sent.popleft()
        if not sent:
            self._sent.pop(owner_id, None)
            return 0
        return round(sum(count for _, count in sent) / max(0.5, moment - sent[0][0]))
