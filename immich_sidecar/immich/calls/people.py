"""Calls about faces and people."""

from immich_py_client.api.people import get_all_people, get_faces
from immich_py_client.models import Face, People, Person

from immich_sidecar.immich.transport import Transport


class PeopleCalls(Transport):
    """Whom Immich recognised."""

    async def faces(self, asset_id: str) -> list[Face]:
        """The faces of an asset: boxes in pixels of a picture whose size stands beside, and who it is."""
        answer: list[Face] = await self.call(get_faces, tried=f"read the faces of asset {asset_id}", id=asset_id)
        return answer

    async def people(self, *, page: int = 1, size: int = 500, with_hidden: bool = False) -> tuple[list[Person], bool]:
        """One page of the people Immich knows, and whether there are more."""
        answer: People = await self.call(
            get_all_people, tried="list the people", page=page, size=size, with_hidden=with_hidden
        )
        return list(answer.people or ()), answer.has_next_page is True
