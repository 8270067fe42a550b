"""What the sidecar can ask of Immich and no recording shows, each with the reason why it is asked all the same.

`tests/immich/test_calls.py` holds this table to `openapi/immich.yaml` and to the recordings: a new call or field must
be recorded or entered here, and what was recorded since must leave.
"""

from __future__ import annotations

_DOCUMENT = "in the documents of 2.5.6, 2.7.5 and 3.1.0 alike, and read in the source"
_WINDOW = "inclusive like the recorded `updatedAfter` (285, 286): one piece of code in Immich builds all four"
_FILTER = "a filter of rules and backfill; the documents of all three versions have it"
_BULK = "the bulk form of what is recorded for one asset (248 to 259)"
_STEPS = "recorded when a workflow is made (414, 415); the update takes the same object"

_FILTERS = "isMotion isNotInAlbum isOffline lensModel libraryId make model personIds takenAfter takenBefore type"


def _each(names: str, reason: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), reason)


#: By call: the reason for the whole of it, or a reason for each name in its body or query.
NEW_GROUND: dict[str, str | dict[str, str]] = {
    "DELETE /api-keys/{}": f"a key is removed where its user disconnects; {_DOCUMENT}",
    "PUT /api-keys/{}": f"a key gets the permissions of a feature that was switched on; {_DOCUMENT}",
    "POST /auth/logout": f"the session of a sign-in is not kept; {_DOCUMENT}",
    "POST /auth/validateToken": f"whether a session still counts; {_DOCUMENT}",
    "GET /albums": _each("?shared", "2.x lists own albums without it, as its documents say; the recordings share none"),
    "GET /faces": f"boxes of faces for crop and exposure; {_DOCUMENT}",
    "GET /people": f"names for rules; {_DOCUMENT}",
    "POST /admin/notifications": f"only where an administrator asked for it; {_DOCUMENT}",
    "GET /assets/statistics": _each("?isFavorite ?isTrashed ?visibility", _DOCUMENT),
    "POST /assets": _each("livePhotoVideoId", "keeps the pair of a live photo together; in the table of upload fields"),
    "PUT /assets": _each("dateTimeOriginal isFavorite latitude longitude rating visibility", _BULK),
    "POST /search/metadata": {
        **_each("createdAfter createdBefore updatedBefore", _WINDOW),
        **_each(f"{_FILTERS} description withPeople", _FILTER),
    },
    "POST /search/smart": _each(
        f"{_FILTERS} albumIds createdAfter createdBefore isFavorite page rating size tagIds updatedAfter"
        " updatedBefore visibility withExif",
        f"{_FILTER}; the recording (296) only shows that search by meaning is off",
    ),
    "POST /search/statistics": _each(
        f"{_FILTERS} albumIds createdAfter createdBefore description isFavorite rating tagIds updatedAfter"
        " updatedBefore visibility",
        f"counts for a dry run; {_FILTER}",
    ),
    "POST /workflows": _each("steps.enabled", "part of a step in the answers (419)"),
    "PUT /workflows/{}": {
        **_each("description name trigger", _STEPS),
        **_each("steps steps.config steps.enabled steps.method", _STEPS),
    },
}


def entries() -> set[str]:
    """The table as `recorded_calls.new_ground` gives it."""
    found = set()
    for call, reasons in NEW_GROUND.items():
        found |= {call} if isinstance(reasons, str) else {f"{call}: {name}" for name in reasons}
    return found
