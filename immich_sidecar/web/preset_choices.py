"""The presets that an owner can choose from, for lists on pages and for checking what was chosen."""

from collections.abc import Iterable

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.advise.presets import MEANINGS, is_builtin, preset_of
from immich_sidecar.errors import NotFoundError
from immich_sidecar.immich.rules import Rules
from immich_sidecar.library import presets
from immich_sidecar.web.words import own_preset_words

#: Value, label and a sentence.
Option = tuple[str, str, str]

#: Those that everybody has.
EVERYBODYS: tuple[Option, ...] = tuple(
    (preset.value, meaning.label, meaning.words) for preset, meaning in MEANINGS.items()
)


async def preset_options(session: AsyncSession, owner: str) -> tuple[Option, ...]:
    """Everybody's presets, and then the owner's own."""
    own = await presets.all_of(session, owner)
    return (*EVERYBODYS, *((presets.name_of(row), row.name, own_preset_words(row.operations)) for row in own))


def has_look(name: str) -> bool:
    """Whether a preset has a look, which can be weaker and stronger."""
    return not is_builtin(name) or bool(MEANINGS[preset_of(name)].look)


async def check_presets(session: AsyncSession, owner: str, names: Iterable[str | None]) -> None:
    """Refuse names of presets that are not the owner's.

    Raises
    ------
    web.HTTPBadRequest
        Naming the first that is not there.
    """
    for name in dict.fromkeys(names):
        if name is None or is_builtin(name):
            continue
        try:
            await presets.get(session, owner, name)
        except NotFoundError:
            raise web.HTTPBadRequest(text=f"preset: there is no preset {name[:40]!r} of yours") from None


def presets_of(rules: Rules) -> list[str | None]:
    """The names of the presets that rules choose."""
    return [rule.preset for rule in (*rules.rules, rules.otherwise)]
