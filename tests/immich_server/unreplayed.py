"""Recordings that are not replayed against the stand-in, each with the reason."""

_LOGIN = "signing up is not imitated"
_ADMIN = "an administrator's or informative route that is not imitated"
_OTHER = "a route that is not imitated"
_RACE = "the race inside the database is not imitated"

NOT_REPLAYED: dict[str, str] = {
    "004-server-config-before-signup": _LOGIN,
    "006-server-version-history": _ADMIN,
    "008-admin-sign-up": _LOGIN,
    "009-admin-sign-up-again": _LOGIN,
    "031-server-storage": _ADMIN,
    "033-server-statistics": _ADMIN,
    "043-queues": _ADMIN,
    "044-jobs": _ADMIN,
    "045-sync-types-note": _OTHER,
    "234-timeline-buckets": _OTHER,
    "332-server-version-check": _ADMIN,
    "407-system-config-get": _ADMIN,
    "408-system-config-put-extract-embedded": _ADMIN,
    "430-non-admin-system-config": _ADMIN,
    "431-non-admin-queues": _ADMIN,
    "507-download-info": _OTHER,
    "508-download-archive": _OTHER,
    "609-concurrent-stacks": _RACE,
}

#: Those of 2.7.5 that are left out besides.
NOT_REPLAYED_SECOND: dict[str, str] = {
    "776-video-playback-of-image": "playing videos is not imitated",
}


def not_replayed(version: str) -> dict[str, str]:
    """What is left out of the recordings of a version."""
    return NOT_REPLAYED if version == "3.1.0" else NOT_REPLAYED | NOT_REPLAYED_SECOND
