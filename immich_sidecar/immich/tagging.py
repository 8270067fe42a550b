"""Tags of one user by their path, such as `Sidecar/Superseded`."""

from collections.abc import Sequence

from immich_sidecar.errors import ImmichGoneError
from immich_sidecar.immich.api import Api

#: Everything of ours lies below this tag; what lies elsewhere is the user's.
ROOT = "Sidecar"
#: On a version that a newer one has replaced.
SUPERSEDED = f"{ROOT}/Superseded"


def is_ours(path: str) -> bool:
    """Whether a tag is one of ours."""
    return path == ROOT or path.startswith(f"{ROOT}/")


class Tagging:
    """Gives tags to assets and takes them off; the ids of tags are remembered.

    Parameters
    ----------
    api
        Immich as the user sees it: tags are the user's own.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._ids: dict[str, str] = {}

    async def add(self, path: str, asset_ids: Sequence[str]) -> None:
        """Give assets a tag, which is made where there is none; one that has it already is fine.

        Raises
        ------
        ImmichGoneError
            If an asset is not there, or not the user's.
        """
        for asset_id, error in (await self.add_to_all(path, asset_ids)).items():
            raise ImmichGoneError(f"Could not tag asset {asset_id} with {path}: Immich says {error}")

    async def add_to_all(self, path: str, asset_ids: Sequence[str]) -> dict[str, str]:
        """Give assets a tag as `add` does; gives those that could not be tagged, with Immich's word for why."""
        try:
            results = await self._api.tag_assets(await self._id(path), asset_ids)
        except ImmichGoneError:
            # Its owner deleted the tag.
            self._ids.pop(path, None)
            results = await self._api.tag_assets(await self._id(path), asset_ids)
        return {
            result.id or "": str(result.error or "unknown")
            for result in results
            if not result.success and result.error != "duplicate"
        }

    async def remove(self, path: str, asset_ids: Sequence[str]) -> None:
        """Take a tag off assets; one that has it not, or is not there, is fine."""
        tag_id = self._ids.get(path)
        if tag_id is None:
            tag_id = next((tag.id for tag in await self._api.tags() if tag.value == path and tag.id), None)
            if tag_id is None:
                return
        try:
            await self._api.untag_assets(tag_id, asset_ids)
        except ImmichGoneError:
            self._ids.pop(path, None)

    async def _id(self, path: str) -> str:
        if path not in self._ids:
            made = await self._api.upsert_tags([path])
            tag_id = made[0].id if made else None
            if not tag_id:
                raise ImmichGoneError(f"Could not make the tag {path}: the answer names none")
            self._ids[path] = tag_id
        return self._ids[path]
