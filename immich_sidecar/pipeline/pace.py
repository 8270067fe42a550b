"""How fast photos are processed here, and how much room versions take: measured, where that is possible."""

from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.library.tables import PhotoRow, ProcessingHistoryRow, VersionRow

#: How many of the latest results are looked at.
LOOKED_AT = 400
#: Results further apart than this were not made one right after the other.
PAUSE = timedelta(seconds=60)
#: From so many gaps on the figure counts as measured.
ENOUGH = 10
#: What is assumed before: seconds per photo and worker, fetching and uploading included.
ASSUMED_SECONDS = 3.0
#: Size of a version as a fraction of its original's, before any was made; RAW files shrink, others hardly.
ASSUMED_RATIO = 0.7
ASSUMED_RATIO_RAW = 0.3


@dataclass(frozen=True)
class Pace:
    """What a photo costs."""

    #: Seconds from one photo that is done to the next.
    seconds: float
    #: Whether the seconds were measured here; else they are assumed.
    measured: bool
    #: Bytes of a version per byte of its original, of RAW files and of others.
    raw_ratio: float
    other_ratio: float

    def version_bytes(self, original_bytes: int, raw_share: float) -> int:
        """Bytes that the versions of originals of this size will take."""
        ratio = raw_share * self.raw_ratio + (1 - raw_share) * self.other_ratio
        return int(original_bytes * ratio)


async def measure(session: AsyncSession, workers: int) -> Pace:
    """The pace of the latest photos, of all owners: they share the workers."""
    rows = await session.exec(
        select(ProcessingHistoryRow.processed_at)
        .where(col(ProcessingHistoryRow.status).in_(("kept", "left_alone", "failed")))
        .order_by(col(ProcessingHistoryRow.id).desc())
        .limit(LOOKED_AT)
    )
    gaps = [abs(newer - older) for newer, older in pairwise(rows.all())]
    busy = [gap.total_seconds() for gap in gaps if gap <= PAUSE]
    measured = len(busy) >= ENOUGH
    ratios = {}
    for is_raw in (True, False):
        sizes = await session.exec(
            select(func.sum(VersionRow.size), func.sum(PhotoRow.size), func.count()).where(
                VersionRow.owner_id == PhotoRow.owner_id,
                VersionRow.photo == PhotoRow.sha256,
                VersionRow.n == 1,
                PhotoRow.is_raw == is_raw,
            )
        )
        made, originals, count = sizes.one()
        assumed = ASSUMED_RATIO_RAW if is_raw else ASSUMED_RATIO
        ratios[is_raw] = made / originals if count >= ENOUGH and originals else assumed
    return Pace(
        seconds=sum(busy) / len(busy) if measured else ASSUMED_SECONDS / max(1, workers),
        measured=measured,
        raw_ratio=ratios[True],
        other_ratio=ratios[False],
    )
