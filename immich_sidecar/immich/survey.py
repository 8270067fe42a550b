"""Looking at what is in Immich already without taking anything: what would rules do with it?

The same questions are asked as when photos are noticed, in the same order, so that a trial of rules and the dry run of
a backfill say what would happen. Only what stands in the file alone (which program wrote it) is not known before it is
fetched.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from immich_py_client.models import Asset
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.immich.rules import Rules, Skip, Verdict, judge, never_taken, sha1_of
from immich_sidecar.immich.traits import Traits
from immich_sidecar.library.tables import AssetRow, ConnectionRow, IntakeState, PhotoRow, VersionRow

#: Pictures shown of what would be taken, and of what would be left alone.
SAMPLES = 12
#: What is counted apart, so that a library of a thousand reasons stays readable.
MOST_REASONS = 40


class Fate(StrEnum):
    """What would become of an asset."""

    #: Taken.
    TAKE = "take"
    #: Fetched, to be decided by what its file says.
    LOOK = "look"
    #: Left where it is.
    LEAVE = "leave"
    #: A photo of ours already, or on its way to be one.
    HERE = "here"


@dataclass(frozen=True)
class Finding:
    """What would become of one asset, and why."""

    asset: Asset
    fate: Fate
    reason: str | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Sample:
    """One asset as an example."""

    asset_id: str
    name: str
    width: int
    height: int
    is_raw: bool
    #: Why it would be left alone.
    reason: str | None = None
    preset: str | None = None
    preset_strength: float | None = None
    allowed: tuple[str, ...] = ()
    #: Whether the file names a camera, as far as is known.
    from_camera: bool = False

    def to_json(self) -> dict[str, Any]:
        """It as a row holds it."""
        return {**self.__dict__, "allowed": list(self.allowed)}


@dataclass
class Tally:
    """Everything that a look at many assets adds up to."""

    found: int = 0
    take: int = 0
    look: int = 0
    here: int = 0
    #: How many are left alone, by reason.
    left: Counter[str] = field(default_factory=Counter)
    #: Bytes of what would be fetched, as far as is known.
    bytes: int = 0
    raw: int = 0
    taken_from: datetime | None = None
    taken_to: datetime | None = None
    taken_samples: list[Sample] = field(default_factory=list)
    left_samples: list[Sample] = field(default_factory=list)
    # Each asset has the same chance to be an example, and a repeated run chooses the same ones.
    _chance: random.Random = field(default_factory=lambda: random.Random(12), repr=False)  # noqa: S311  no secret

    def add(self, findings: Sequence[Finding], traits: Mapping[str, Traits]) -> None:
        """Count what was found."""
        for finding in findings:
            self.found += 1
            known = traits.get(finding.asset.id or "")
            match finding.fate:
                case Fate.HERE:
                    self.here += 1
                case Fate.LEAVE:
                    reason = finding.reason or ""
                    if reason not in self.left and len(self.left) >= MOST_REASONS:
                        reason = "other reasons"
                    self.left[reason] += 1
                    self._sample(self.left_samples, self.left.total(), finding, known)
                case _:
                    self.take += finding.fate is Fate.TAKE
                    self.look += finding.fate is Fate.LOOK
                    if known is not None:
                        self.bytes += known.bytes or 0
                        self.raw += known.is_raw
                        self._reach(known.taken_at)
                    self._sample(self.taken_samples, self.take + self.look, finding, known)

    def _reach(self, at: datetime | None) -> None:
        if at is not None:
            self.taken_from = at if self.taken_from is None else min(self.taken_from, at)
            self.taken_to = at if self.taken_to is None else max(self.taken_to, at)

    def _sample(self, kept: list[Sample], seen: int, finding: Finding, traits: Traits | None) -> None:
        place = len(kept) if len(kept) < SAMPLES else self._chance.randrange(seen)
        if place >= SAMPLES:
            return
        size = (traits.size if traits else None) or (0, 0)
        sample = Sample(
            asset_id=finding.asset.id or "",
            name=finding.asset.original_file_name or "",
            width=size[0],
            height=size[1],
            is_raw=bool(traits and traits.is_raw),
            reason=finding.reason,
            preset=finding.verdict.preset if finding.verdict else None,
            preset_strength=finding.verdict.preset_strength if finding.verdict else None,
            allowed=finding.verdict.allowed if finding.verdict else (),
            from_camera=bool(traits and traits.camera),
        )
        kept[place : place + 1] = [sample]

    def to_json(self) -> dict[str, Any]:
        """The tally as rows and the API hold it."""
        return {
            "found": self.found,
            "take": self.take,
            "look": self.look,
            "here": self.here,
            "left": dict(self.left.most_common()),
            "bytes": self.bytes,
            "raw": self.raw,
            "taken_from": self.taken_from and self.taken_from.isoformat(),
            "taken_to": self.taken_to and self.taken_to.isoformat(),
            "samples": [sample.to_json() for sample in self.taken_samples],
            "left_samples": [sample.to_json() for sample in self.left_samples],
        }


async def look_at(
    session: AsyncSession, row: ConnectionRow, assets: Sequence[Asset], traits: Mapping[str, Traits], rules: Rules
) -> list[Finding]:
    """What would become of these assets, of which each has traits; three questions to the database in all."""
    ids = [asset.id for asset in assets if asset.id]
    sha1s = [sha1 for asset in assets if (sha1 := sha1_of(asset))]
    rows = {
        asset_id: (state, reason)
        for asset_id, state, reason in await session.exec(
            select(AssetRow.asset_id, AssetRow.state, AssetRow.reason).where(
                AssetRow.connection_id == row.id, col(AssetRow.asset_id).in_(ids)
            )
        )
    }
    ours = set(
        await session.exec(
            select(VersionRow.sha1).where(VersionRow.owner_id == row.owner_id, col(VersionRow.sha1).in_(sha1s))
        )
    )
    photos = set(
        await session.exec(
            select(PhotoRow.sha1).where(PhotoRow.owner_id == row.owner_id, col(PhotoRow.sha1).in_(sha1s))
        )
    )
    found = []
    for asset in assets:
        state, reason = rows.get(asset.id or "", (None, None))
        sha1 = sha1_of(asset)
        if sha1 in ours or reason == Skip.OURS:
            found.append(Finding(asset, Fate.LEAVE, Skip.OURS))
        elif sha1 in photos or state in (IntakeState.FETCHED, IntakeState.SEEN):
            found.append(Finding(asset, Fate.HERE))
        elif never := never_taken(asset):
            found.append(Finding(asset, Fate.LEAVE, never))
        elif reason == Skip.PROCESSED_EARLIER:
            found.append(Finding(asset, Fate.LEAVE, reason))
        else:
            found.append(_finding(asset, judge(traits[asset.id or ""], rules)))
    return found


def _finding(asset: Asset, verdict: Verdict) -> Finding:
    if verdict.take is None:
        return Finding(asset, Fate.LOOK, verdict=verdict)
    return Finding(asset, Fate.TAKE if verdict.take else Fate.LEAVE, verdict.reason, verdict)
