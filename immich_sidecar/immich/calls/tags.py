"""Calls about tags."""

from collections.abc import Iterable

from immich_py_client.api.tags import bulk_tag_assets, get_all_tags, tag_assets, untag_assets, upsert_tags
from immich_py_client.models import BulkIdResult, BulkIds, Count, Tag, TagBulkAssets, TagUpsert

from immich_sidecar.immich.transport import Transport


class TagCalls(Transport):
    """The user's tags: a tree, in which a tag's `value` is its path."""

    async def tags(self) -> list[Tag]:
        """All tags."""
        answer: list[Tag] = await self.call(get_all_tags, tried="list the tags")
        return answer

    async def upsert_tags(self, paths: Iterable[str]) -> list[Tag]:
        """The last tag of each path such as `Sidecar/Review`, made where it was not there; upper case counts."""
        body = TagUpsert(tags=list(paths))
        answer: list[Tag] = await self.call(upsert_tags, tried=f"make the tags {', '.join(body.tags)}", body=body)
        return answer

    async def tag_assets(self, tag_id: str, asset_ids: Iterable[str]) -> list[BulkIdResult]:
        """Tag assets; one answer per asset, `error` being `duplicate` where it has the tag."""
        answer: list[BulkIdResult] = await self.call(
            tag_assets, tag_id, tried="tag photos", body=BulkIds(ids=list(asset_ids))
        )
        return answer

    async def untag_assets(self, tag_id: str, asset_ids: Iterable[str]) -> list[BulkIdResult]:
        """Take a tag off assets; one answer per asset, `error` being `not_found` where it has not the tag."""
        answer: list[BulkIdResult] = await self.call(
            untag_assets, tag_id, tried="take a tag off photos", repeatable=True, body=BulkIds(ids=list(asset_ids))
        )
        return answer

    async def bulk_tag(self, tag_ids: Iterable[str], asset_ids: Iterable[str]) -> int:
        """Give assets several tags with one call; gives how many pairs of asset and tag there are."""
        body = TagBulkAssets(tag_ids=list(tag_ids), asset_ids=list(asset_ids))
        answer: Count = await self.call(bulk_tag_assets, tried="tag photos", body=body)
        return answer.count or 0
