"""Which photos are taken from Immich, and in what words the others are left where they are.

Some assets are never taken: films, what lies in the locked folder or in the trash, what is no photo. Of the rest an
ordered list of rules decides, the first that fits; where none does, the last one, which has no conditions. Photos of
some special kinds (screenshots, edited ones, external libraries, ...) fit only a rule that names their kind. Rules
decide about what is noticed; what was taken once stays taken.
"""

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import PurePath
from typing import Annotated, Any, Literal

from immich_py_client.models import Asset
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from immich_sidecar.advise.presets import Preset, is_preset_name
from immich_sidecar.errors import PhotoError
from immich_sidecar.immich.moments import moment
from immich_sidecar.immich.traits import Special, Traits, traits_of
from immich_sidecar.settings import Mode

__all__ = [
    "Named",
    "NotWantedError",
    "Rule",
    "Rules",
    "Skip",
    "Verdict",
    "is_extracted",
    "judge",
    "may_change",
    "moment",
    "never_taken",
    "other_rules_may_take",
    "reason_to_skip",
    "sha1_of",
]

#: File name extensions that Immich takes as pictures and that are not developed, with what they are.
NOT_DEVELOPED = {
    ".gif": "animated pictures",
    ".svg": "drawings",
    ".psd": "layered documents",
    ".psb": "layered documents",
    ".jp2": "JPEG 2000 files",
    ".mpo": "stereo pictures",
}
#: How long an asset may be without metadata before it is taken as it is: damaged files never get any.
LONGEST_EXTRACTION = timedelta(minutes=2)
#: How many rules there may be, and how many entries a list in one of them may have.
MOST_RULES = 30
MOST_ENTRIES = 50


class Skip(StrEnum):
    """Why an asset is not taken; the value is what the status page shows."""

    VIDEO = "a video"
    LIVE_PHOTO = "a live or motion photo"
    TRASHED = "in Immich's trash"
    OFFLINE = "offline in Immich"
    EXTERNAL_LIBRARY = "in an external library"
    HIDDEN = "hidden in Immich"
    LOCKED = "in Immich's locked folder"
    EDITED = "edited in Immich"
    ARCHIVED = "in Immich's archive"
    PANORAMA = "a panorama"
    SCREENSHOT = "a screenshot"
    NOT_WANTED = "no rule takes it"
    OURS = "made by the sidecar"
    PROCESSED_EARLIER = "processed earlier"
    GONE = "no longer in Immich"


#: Reasons that a change in Immich, or of the rules, can take away. What is locked looks as if it were gone.
CHANGEABLE = frozenset(Skip) - {Skip.VIDEO, Skip.OURS, Skip.PROCESSED_EARLIER}
_BY_RULE = "left alone by the rule "
CANNOT_LOOK = "it cannot be told which "
_EDITED_WITH = "edited already, with "
#: Ends a reason that only the file itself gave: asking Immich again changes nothing.
_BY_FILE = " (its file says so)"
#: What a backfill that was cancelled had noticed and not fetched.
BACKFILL_CANCELLED = "its backfill was cancelled"

_Text = Annotated[str, Field(min_length=1, max_length=200)]


class Named(BaseModel):
    """Something of Immich's that a rule names: its id, and how the page calls it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: _Text
    name: str = Field(default="", max_length=500)


class Rule(BaseModel):
    """Which photos it is about, and what becomes of them. All conditions that are set must hold."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    #: What its owner calls it.
    name: str = Field(default="", max_length=80)
    #: Take these photos; else they are left alone.
    takes: bool = True
    #: RAW files alone, everything but RAW files, or both.
    files: Literal["any", "raw", "not_raw"] = "any"
    #: Parts of maker and model, in any case of letters; one of them must be there.
    cameras: tuple[_Text, ...] = Field(default=(), max_length=MOST_ENTRIES)
    #: None of these may be there.
    not_cameras: tuple[_Text, ...] = Field(default=(), max_length=MOST_ENTRIES)
    #: In one of these albums.
    albums: tuple[Named, ...] = Field(default=(), max_length=MOST_ENTRIES)
    #: With one of these tags, or one below.
    tags: tuple[_Text, ...] = Field(default=(), max_length=MOST_ENTRIES)
    #: Parts of the file name, in any case of letters; one of them must be there.
    file_names: tuple[_Text, ...] = Field(default=(), max_length=MOST_ENTRIES)
    #: At least so many millions of pixels.
    minimum_megapixels: float | None = Field(default=None, gt=0, le=10_000)
    #: At least so many bytes.
    minimum_bytes: int | None = Field(default=None, gt=0)
    #: Taken on this day or later, and on this day or earlier.
    taken_after: date | None = None
    taken_before: date | None = None
    #: Of the kinds that are left alone otherwise, those that this rule is about as well.
    also: frozenset[Special] = frozenset({Special.ARCHIVED})
    #: Which suggestions are applied and which look is put on top: the word for a preset, everybody's or the owner's
    #: own; None: all that are sure enough, and no look.
    preset: str | None = None
    #: How strong the look is, in percent; None: 100.
    preset_strength: float | None = Field(None, ge=0, le=200)
    #: What is written to Immich, and when; None: as the connection says.
    mode: Mode | None = None

    @field_validator("preset")
    @classmethod
    def _a_preset(cls, value: str | None) -> str | None:
        if value is None or is_preset_name(value):
            return None if value is None else str(value)
        raise ValueError(f"one of {', '.join(Preset)}, or a preset of your own")

    @field_validator("cameras", "not_cameras", "tags", "file_names", mode="before")
    @classmethod
    def _trimmed(cls, value: Any) -> Any:
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(dict.fromkeys(text for item in value if (text := item.strip())))
        return value

    def fits(self, traits: Traits) -> bool | None:
        """Whether the conditions hold for a photo, its kind apart; None where that is not known yet."""
        answers = (
            None if self.files == "any" else traits.is_raw == (self.files == "raw"),
            _any_part(self.cameras, traits.camera),
            _negated(_any_part(self.not_cameras, traits.camera)),
            _any_of(frozenset(album.id for album in self.albums), traits.albums),
            _any_of(frozenset(self.tags), traits.tags),
            _any_part(self.file_names, traits.file_name),
            _at_least(self.minimum_megapixels, None if traits.pixels is None else traits.pixels / 1e6),
            _at_least(self.minimum_bytes, traits.bytes),
            _at_least(self.taken_after, _day(traits.taken_at)),
            _at_least(_day(traits.taken_at), self.taken_before) if self.taken_before else None,
        )
        asked = [answer for answer, is_asked in zip(answers, self._asked(), strict=True) if is_asked]
        if False in asked:
            return False
        return None if None in asked else True

    def _asked(self) -> tuple[bool, ...]:
        return (
            self.files != "any",
            bool(self.cameras),
            bool(self.not_cameras),
            bool(self.albums),
            bool(self.tags),
            bool(self.file_names),
            self.minimum_megapixels is not None,
            self.minimum_bytes is not None,
            self.taken_after is not None,
            self.taken_before is not None,
        )

    @property
    def has_conditions(self) -> bool:
        """Whether it is about some photos only."""
        return any(self._asked())


class Rules(BaseModel):
    """Which photos of a connection are taken."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    #: The first that fits decides.
    rules: tuple[Rule, ...] = Field(default=(), max_length=MOST_RULES)
    #: What becomes of all others; its conditions do not count.
    otherwise: Rule = Rule()

    @classmethod
    def read(cls, stored: Mapping[str, Any] | None) -> "Rules":
        """The rules that a row holds. What cannot be read leaves everything alone rather than taking too much."""
        try:
            return cls.model_validate(stored or {})
        except ValidationError:
            return cls(otherwise=Rule(takes=False))

    def to_json(self) -> dict[str, Any]:
        """The rules as a row holds them."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def everything(self) -> tuple[Rule, ...]:
        """The rules in their order, the one for all others last."""
        return (*self.rules, self.otherwise)

    @property
    def albums(self) -> frozenset[str]:
        """Ids of the albums that are asked about."""
        return frozenset(album.id for rule in self.rules for album in rule.albums)

    @property
    def tags(self) -> frozenset[str]:
        """Tags that are asked about."""
        return frozenset(tag for rule in self.rules for tag in rule.tags)

    @property
    def takes_hidden(self) -> bool:
        """Whether any rule is about hidden photos."""
        return any(rule.takes and Special.HIDDEN in rule.also for rule in self.everything)


#: What holds for a photo that its owner asked for by name: whatever can be taken is.
WHATEVER_IT_IS = Rules(otherwise=Rule(also=frozenset(Special)))


@dataclass(frozen=True)
class Verdict:
    """What becomes of a photo."""

    #: None: the file itself must be looked at first.
    take: bool | None
    #: Why it is left alone.
    reason: str | None = None
    mode: str | None = None
    preset: str | None = None
    preset_strength: float | None = None
    #: Special kinds that the rule is about, as words: what is of such a kind is not left alone for that.
    allowed: tuple[str, ...] = ()


def never_taken(asset: Asset) -> str | None:
    """Why no rule can take this asset; None where it is for the rules to say.

    Films are no photos, and the locked folder is closed to API keys; neither becomes possible by a rule.
    """
    suffix = PurePath(asset.original_file_name or "").suffix.lower()
    if asset.is_trashed:
        return Skip.TRASHED
    if asset.type_ and asset.type_ != "IMAGE":
        return Skip.VIDEO if asset.type_ == "VIDEO" else f"not a photo ({asset.type_.lower()})"
    if asset.is_offline:
        return Skip.OFFLINE
    if asset.visibility == "locked":
        return Skip.LOCKED
    if suffix in NOT_DEVELOPED:
        return f"{NOT_DEVELOPED[suffix]} are not developed ({suffix})"
    return None


def reason_to_skip(asset: Asset, allowed: Collection[str] = ()) -> str | None:
    """Why an asset is left alone by what Immich says about it alone, whatever conditions a rule has.

    `allowed` are the kinds that the photo's rule is about (`PhotoRow.allowed`). The archive and screenshots are no
    reason here: they are known from the beginning, and hot folders know no rules.
    """
    tolerated = {*allowed, Special.ARCHIVED, Special.SCREENSHOT}
    specials = traits_of(asset).specials
    return never_taken(asset) or next((words for special, words in specials if special not in tolerated), None)


def judge(traits: Traits, rules: Rules) -> Verdict:
    """What rules say of a photo that may be taken at all (see `never_taken`)."""
    possible: list[Verdict] = []
    # A special kind that keeps the photo from a rule which would fit says more than "no rule takes it".
    kept_back: str | None = None
    for rule in rules.everything:
        is_last = rule is rules.otherwise
        fits = True if is_last else rule.fits(traits)
        if fits is None and traits.complete and traits.problem is None:
            fits = False
        if fits is False:
            continue
        if rule.takes and (others := [words for special, words in traits.specials if special not in rule.also]):
            kept_back = kept_back or others[0]
            if not is_last:
                continue
            possible.append(Verdict(False, kept_back))
        elif is_last and not rule.takes:
            possible.append(Verdict(False, kept_back or Skip.NOT_WANTED))
        else:
            possible.append(_verdict(rule))
        if fits:
            break
    last = possible[-1]
    if all(one.take == last.take and (one == last or not one.take) for one in possible):
        return last
    return Verdict(False, traits.problem) if traits.problem else Verdict(None)


class NotWantedError(PhotoError):
    """No rule takes a photo, now that its file is known."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason if reason.startswith(_EDITED_WITH) else f"{reason}{_BY_FILE}")


def may_change(reason: str | None) -> bool:
    """Whether asking Immich again about an asset that was left alone for this reason may bring another answer."""
    text = reason or ""
    return text in CHANGEABLE or (text.startswith((_BY_RULE, CANNOT_LOOK, BACKFILL_CANCELLED)) and not _by_file(text))


def other_rules_may_take(reason: str | None) -> bool:
    """Whether an asset that was left alone for this reason may be taken where other rules hold."""
    return may_change(reason) or _by_file(reason or "")


def _by_file(reason: str) -> bool:
    return reason.endswith(_BY_FILE) or reason.startswith(_EDITED_WITH)


def sha1_of(asset: Asset) -> str | None:
    """The SHA-1 that Immich keeps, hexadecimal; None for external libraries, whose checksum is one of the path."""
    if not asset.checksum or asset.library_id:
        return None
    try:
        digest = base64.b64decode(asset.checksum, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest.hex() if len(digest) == 20 else None


def is_extracted(asset: Asset, server_now: datetime) -> bool:
    """Whether Immich has read the file's metadata, or will not do so any more.

    Before that a live photo is not yet known as one. `hasMetadata` and `resized` are always true and say nothing.
    """
    exif = asset.exif_info
    if asset.thumbhash or asset.width or (exif and exif.date_time_original):
        return True
    created = moment(asset.created_at)
    return created is None or server_now - created > LONGEST_EXTRACTION


def _verdict(rule: Rule) -> Verdict:
    if not rule.takes:
        return Verdict(False, f"{_BY_RULE}“{rule.name or 'without a name'}”")
    return Verdict(
        True,
        mode=rule.mode and rule.mode.value,
        preset=rule.preset,
        preset_strength=rule.preset_strength,
        allowed=tuple(sorted(special.value for special in rule.also)),
    )


def _any_part(parts: tuple[str, ...], text: str | None) -> bool | None:
    if text is None:
        return None
    folded = text.casefold()
    return any(part.casefold() in folded for part in parts)


def _any_of(wanted: frozenset[str], there: frozenset[str] | None) -> bool | None:
    return None if there is None else bool(wanted & there)


def _negated(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _at_least(least: Any, value: Any) -> bool | None:
    return None if value is None or least is None else bool(value >= least)


def _day(at: datetime | None) -> date | None:
    """The day here; of a time so early or late that it is none here, the day that it says itself."""
    if at is None:
        return None
    try:
        return at.astimezone().date()
    except OverflowError:
        return at.date()
