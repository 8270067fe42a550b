"""Commands of a person, the same for pages, API and socket."""

import math
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from immich_sidecar.library.tables import PhotoRow
from immich_sidecar.web.context import WebContext, photo_id, whole_number

#: Commands that need nothing but a photo and its version.
ACTIONS = ("approve", "reject", "undo", "retry", "cancel", "reset", "develop", "first", "analyse", "renew")

#: Types of messages that the socket takes, and the command that each asks for.
MESSAGES: Mapping[str, str] = {
    "approve_processing": "approve",
    "reject_processing": "reject",
    "modify_crop": "change",
    "change_recipe": "change",
    "undo": "undo",
    "retry": "retry",
    "cancel": "cancel",
    "reset": "reset",
    "develop": "develop",
    "apply_preset": "preset",
}


def version_in(body: Any) -> int:
    """The version that a command was shown.

    Raises
    ------
    web.HTTPBadRequest
        If there is none, or it is no whole number.
    """
    version = body.get("version") if isinstance(body, Mapping) else None
    if isinstance(version, str):
        version = whole_number(version)
    if not isinstance(version, int) or isinstance(version, bool) or version < 0:
        raise web.HTTPBadRequest(text='A command names the version it was shown: {"version": n}, a whole number.')
    return version


def patch_in(value: Any) -> dict[str, Any]:
    """A patch of overrides: operation type to parameters, null (off) or "suggested".

    Raises
    ------
    web.HTTPBadRequest
        If it is none. The parameters themselves are checked where the recipe is changed.
    """
    if not isinstance(value, Mapping) or not value:
        raise web.HTTPBadRequest(
            text='Changes are an object from operation to parameters, null or "suggested", with at least one entry.'
        )
    for name, change in value.items():
        if change is not None and change != "suggested" and not isinstance(change, Mapping):
            raise web.HTTPBadRequest(text=f'{name}: give the parameters as an object, null or "suggested".')
    return dict(value)


def strength_in(value: Any) -> float | None:
    """The strength of a look in percent, from JSON or a form; None where nothing is said.

    Raises
    ------
    web.HTTPBadRequest
        If it is no number. Its range is checked where the preset is looked up.
    """
    if value is None or value == "":
        return None
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise web.HTTPBadRequest(text="strength: a number of percent from 0 to 200")
    return number


def preset_in(body: Any) -> tuple[str, float | None]:
    """The preset that a command names, and the strength of its look.

    Raises
    ------
    web.HTTPBadRequest
        If it names none, or the strength is no number.
    """
    name = body.get("preset") if isinstance(body, Mapping) else None
    if not isinstance(name, str) or not name:
        raise web.HTTPBadRequest(text='preset: the word for a preset, as "vivid"; GET /api/presets lists them')
    return name, strength_in(body.get("strength"))


async def act(
    context: WebContext,
    owner: str,
    sha256: str,
    action: str,
    version: int,
    *,
    patch: Mapping[str, Any] | None = None,
    preset: tuple[str, float | None] | None = None,
) -> PhotoRow:
    """Run one command and return the photo as it stands then.

    Raises
    ------
    NotFoundError, StaleVersionError, ConflictError, RecipeError
        Where the command is refused; also where no photo can have this id.
    web.HTTPBadRequest
        If there is no such command.
    """
    commands = context.commands
    sha256 = photo_id(sha256)
    match action:
        case "approve":
            return await commands.approve(owner, sha256, version)
        case "reject":
            return await commands.reject(owner, sha256, version)
        case "undo":
            return await commands.undo(owner, sha256, version)
        case "retry":
            return await commands.retry(owner, sha256, version)
        case "cancel":
            return await commands.cancel(owner, sha256, version)
        case "reset":
            return await commands.reset(owner, sha256, version)
        case "develop":
            return await commands.develop_anyway(owner, sha256, version)
        case "first":
            return await commands.first(owner, sha256, version)
        case "analyse":
            return await commands.analyse(owner, sha256, version)
        case "renew":
            return await commands.renew(owner, sha256, version)
        case "change":
            return await commands.change(owner, sha256, version, patch_in(patch))
        case "preset" if preset is not None:
            return await commands.preset(owner, sha256, version, *preset)
    raise web.HTTPBadRequest(text=f"There is no command {action!r}; there are {', '.join(ACTIONS)}.")
