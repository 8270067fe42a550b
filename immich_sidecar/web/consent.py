"""What a person can agree to, in words: features with their permissions, modes, and choices of a connection."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.compatibility import DEFAULT_FEATURES, FEATURES, Version, features_of
from immich_sidecar.settings import Mode

#: The choice that a feature of the key switches on with it.
CHOICE_OF_FEATURE = {
    "webhook": "webhook",
    "socket": "socket",
    "review_tags": "review_tag",
    "albums": "follow_albums",
    "retire": "retire",
    "native_edits": "native_edits",
}
#: Features that nobody should tick without a thought: they are shown apart.
FAR_REACHING = ("retire", "refresh", "disconnect", "socket")

MODES = (
    (Mode.REVIEW, "Ask first", "Nothing is written to Immich before you approve."),
    (Mode.STACK, "Stack at once", "A version is stacked beneath its original; on top only when you approve."),
    (Mode.AUTO, "Decide what is sure", "As before, and where every step is sure the version goes on top by itself."),
)

_GROUPS: tuple[tuple[str, tuple[tuple[str, str, str, str | None], ...]], ...] = (
    (
        "New photos",
        (
            ("watch", "Take new photos from Immich", "Off: only what you ask for is developed.", None),
            ("webhook", "Be told at once", "Immich 3 calls this service when a photo arrives.", "webhook"),
            ("socket", "Listen to Immich's events", "Also hears of deleted and restored photos.", "socket"),
            ("pairs", "RAW and JPEG of one name are one photo", "The RAW file is the original.", None),
        ),
    ),
    (
        "In Immich",
        (
            ("follow_albums", "Albums of the original", "A version goes into the same ones.", "albums"),
            ("albums", "Albums “Originals” and “Processed”", "For everything that is developed.", "albums"),
            ("review_tag", "Tag what waits for you", "Sidecar/Review lists it in Immich.", "review_tags"),
            ("tags", "Tag what became of photos", "Such as Sidecar/Processed and Sidecar/Rejected.", "review_tags"),
            ("native_edits", "Let Immich crop and rotate", "Without a new file.", "native_edits"),
            ("retire", "Trash replaced versions", "Only ever versions that this service made.", "retire"),
        ),
    ),
    (
        "Words",
        (
            ("rating", "Rate photos that have no rating", "Never over a rating of yours.", None),
            ("description", "Describe photos that have no description", "Never over words of yours.", None),
            ("content_tags", "Tag what is in photos", "Such as dog or beach.", "review_tags"),
        ),
    ),
)  # fmt: skip
_MESSAGES = (
    (
        "notify",
        "Tell me in Immich",
        "At most once a day: how many photos wait. Needs an administrator's key that may do everything.",
        None,
    ),
)


@dataclass(frozen=True)
class OfferedFeature:
    """A feature as the set-up page offers it."""

    name: str
    words: str
    permissions: tuple[str, ...]
    ticked: bool
    far_reaching: bool
    #: Why it cannot be had; None: it can.
    problem: str | None


@dataclass(frozen=True)
class OfferedChoice:
    """A choice as the account page offers it."""

    name: str
    label: str
    help: str
    on: bool
    #: Permissions that the key lacks for it; the choice is shown and cannot be switched on.
    lacks: tuple[str, ...] = ()


def offered_features(
    *,
    version: Version,
    webhook_problem: str | None,
    granted: Collection[str] | None = None,
    ticked: Collection[str] | None = None,
) -> list[OfferedFeature]:
    """The features that this Immich has.

    Parameters
    ----------
    version
        Immich's; (0, 0, 0) where it is not known.
    webhook_problem
        Why Immich could not call us; None: it can.
    granted
        Permissions of a key that is used as it is; None: a key is made for what is ticked.
    ticked
        Names of the features that were ticked before; None: those that are ticked for everybody.
    """
    allowed = None if granted is None else features_of(granted)
    if ticked is None:
        ticked = {*DEFAULT_FEATURES, *(() if webhook_problem else ("webhook",))}
    offered = []
    for name, feature in FEATURES.items():
        if feature.since > version > (0, 0, 0):
            continue
        problem = webhook_problem if name == "webhook" else None
        if allowed is not None and name not in allowed:
            problem = "Your key does not allow it."
        offered.append(
            OfferedFeature(
                name,
                feature.words,
                feature.permissions,
                name in ticked and problem is None,
                name in FAR_REACHING,
                problem,
            )
        )
    return offered


def choices_for(features: Collection[str], mode: Mode | None, before: Choices) -> Choices:
    """The choices of somebody who agreed to these features."""
    changed = {choice: feature in features for feature, choice in CHOICE_OF_FEATURE.items()}
    return before.model_copy(update={"mode": mode, **changed})


def offered_choices(
    choices: Choices, granted: Collection[str], *, may_be_told: bool
) -> Sequence[tuple[str, list[OfferedChoice]]]:
    """The choices of a connection in groups, with what its key lacks for each; notifications where they can be sent."""
    allowed, have = features_of(granted), set(granted)
    groups = [*_GROUPS, *((("Messages", _MESSAGES),) if may_be_told else ())]
    return [
        (
            title,
            [
                OfferedChoice(
                    name,
                    label,
                    words,
                    bool(getattr(choices, name)),
                    ()
                    if feature is None or feature in allowed
                    else tuple(permission for permission in FEATURES[feature].permissions if permission not in have),
                )
                for name, label, words, feature in rows
            ],
        )
        for title, rows in groups
    ]
