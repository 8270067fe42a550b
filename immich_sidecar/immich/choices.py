"""What a user chose for their connection."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from immich_sidecar.settings import Mode, Settings


class Choices(BaseModel):
    """What a connection does, and what it leaves alone. Fields that are not known are ignored, for later releases."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    #: What is written to Immich, and when; None: as `SIDECAR_MODE` says.
    mode: Mode | None = None
    #: Take new photos from Immich.
    watch: bool = True
    #: Be told of new photos by Immich itself (a workflow, Immich 3).
    webhook: bool = True
    #: Hear of new photos and changes through Immich's socket; needs a key with the permission `all`.
    socket: bool = False
    #: Tag what waits for a decision with `Sidecar/Review`.
    review_tag: bool = False
    #: Tag versions and originals with what became of them, below `Sidecar/`.
    tags: bool = False
    #: Tag photos with what is in them.
    content_tags: bool = False
    #: Rate photos that have no rating.
    rating: bool = False
    #: Describe photos that have no description.
    description: bool = False
    #: Put a version into the albums that its original is in.
    follow_albums: bool = True
    #: Put originals and versions into the albums `Originals` and `Processed`.
    albums: bool = False
    #: Move versions of ours that were replaced or rejected to Immich's trash; needs `asset.delete`.
    retire: bool = False
    #: Let Immich itself do a plain crop or rotation.
    native_edits: bool = False
    #: Tell the user in Immich, at most once a day, how many photos wait.
    notify: bool = False
    #: Treat a RAW file and the JPEG of the same name as one photo.
    pairs: bool = True

    @classmethod
    def read(cls, stored: Mapping[str, Any], settings: Settings, *, from_settings: bool = False) -> "Choices":
        """The choices that a connection's row holds, the rest as the settings say.

        Nobody was asked whether a connection that comes `from_settings` may make a workflow in Immich: it makes one
        only where that was chosen. A value that cannot be read counts as not chosen.
        """
        defaults: dict[str, Any] = {
            "albums": settings.albums,
            "native_edits": settings.native_edits,
            "pairs": settings.pairs,
        }
        if from_settings:
            defaults["webhook"] = False
        given = {name: value for name, value in stored.items() if name in cls.model_fields}
        while True:
            try:
                return cls.model_validate(defaults | given)
            except ValidationError as error:
                bad = {str(problem["loc"][0]) for problem in error.errors() if problem["loc"]}
                if not bad & given.keys():
                    return cls()
                given = {name: value for name, value in given.items() if name not in bad}
