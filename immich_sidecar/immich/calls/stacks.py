"""Calls about stacks."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from immich_py_client.api.stacks import (
    create_stack,
    delete_stack,
    get_stack,
    remove_asset_from_stack,
    search_stacks,
    update_stack,
)
from immich_py_client.models import Stack, StackCreate, StackUpdate
from immich_py_client.types import UNSET

from immich_sidecar.errors import ImmichRefusedError
from immich_sidecar.immich.calls.assets import AssetCalls

_TRIED = "look for a stack"


class StackCalls(AssetCalls):
    """The user's stacks."""

    async def stack(self, stack_id: str) -> Stack:
        """The stack without those of its assets that are in the trash."""
        answer: Stack = await self.call(get_stack, stack_id, tried=f"read stack {stack_id}")
        return answer

    async def stacks(self, *, primary_id: str | None = None) -> list[Stack]:
        """The user's stacks: all, or the one that this asset is the primary of."""
        answer: list[Stack] = await self.call(
            search_stacks, tried=_TRIED, primary_asset_id=UNSET if primary_id is None else primary_id
        )
        return answer

    async def stack_with(self, asset_id: str) -> Stack | None:
        """The stack that holds an asset, looked for in the list of all, which may be of a hundred thousand.

        The list is read one stack after the other, and not in the way of anything else: all of it as objects would
        take gigabytes.
        """
        content = await self.call_raw(search_stacks, tried=_TRIED)
        if asset_id.encode() not in content:
            return None
        try:
            found = await asyncio.to_thread(_stack_with, content, asset_id)
        except (ValueError, AttributeError, TypeError) as error:
            raise ImmichRefusedError(f"Could not {_TRIED}: the answer of {self.url} is no list of stacks") from error
        return None if found is None else Stack.from_dict(found)

    async def make_stack(self, asset_ids: Iterable[str]) -> Stack:
        """Make a new stack; the first asset becomes the primary."""
        body = StackCreate(asset_ids=list(asset_ids))
        answer: Stack = await self.call(create_stack, tried=f"stack asset {body.asset_ids[0]}", body=body)
        return answer

    async def set_primary(self, stack_id: str, asset_id: str) -> Stack:
        """Put a member on top of its stack; another asset is refused."""
        answer: Stack = await self.call(
            update_stack,
            stack_id,
            tried=f"put asset {asset_id} on top of its stack",
            body=StackUpdate(primary_asset_id=asset_id),
        )
        return answer

    async def join_stack(self, member_id: str, asset_id: str) -> None:
        """Add an unstacked asset to the stack of a member; the stack keeps its id."""
        await self.copy_asset(member_id, asset_id, stack=True)

    async def leave_stack(self, stack_id: str, asset_id: str) -> None:
        """Take an asset out of its stack, which may be left with a single one.

        Raises
        ------
        ImmichRefusedError
            If the asset is the primary.
        """
        await self.call(remove_asset_from_stack, stack_id, asset_id, tried=f"take asset {asset_id} out of its stack")

    async def delete_stack(self, stack_id: str) -> None:
        """Dissolve a stack; its assets stay."""
        await self.call(delete_stack, stack_id, tried=f"dissolve stack {stack_id}")


def _stack_with(content: bytes, asset_id: str) -> dict[str, Any] | None:
    """The stack in a JSON list of stacks that holds an asset; ValueError where it is no such list."""
    text, decoder = content.decode(), json.JSONDecoder()
    at = text.find("{")
    while at >= 0:
        stack, end = decoder.raw_decode(text, at)
        if any(asset.get("id") == asset_id for asset in stack.get("assets") or ()):
            return dict(stack)
        at = text.find("{", end)
    return None
