"""Stacking a version with its original, whatever the original's stack is already.

`POST /stacks` always makes a new stack: it merges stacks whose primary is named and silently pulls out assets that
are mere members elsewhere. It is therefore used only where neither asset is in a stack. A stack that exists (a
burst of the user's, RAW and JPEG) is joined through `PUT /assets/copy`, which keeps it.

Every step reads first, so repeating it after a crash at any point changes nothing.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from immich_py_client.models import Asset, Stack

from immich_sidecar.errors import ImmichGoneError, ImmichRefusedError, ImmichServerError
from immich_sidecar.immich.api import Api

#: How often reading and acting is repeated where Immich fails or somebody else was faster.
ATTEMPTS = 5
_FIRST_WAIT_SECONDS = 0.2
_T = TypeVar("_T")


class WantPrimary(StrEnum):
    """What should be on top of the stack."""

    #: Our version, if the original (or an earlier version of ours) is on top now.
    OURS = "ours"
    #: Whatever is there.
    KEEP = "keep"
    #: What was there before us, if one of ours is on top now.
    RESTORE = "restore"


@dataclass(frozen=True)
class StackResult:
    """The stack of an original as it is now."""

    #: None: the two are not stacked, because their owner took them apart.
    stack_id: str | None
    #: The primary before us; what `restore` puts back.
    primary_before: str | None
    primary_now: str | None


@dataclass(frozen=True)
class _Found:
    """A stack as it was read."""

    id: str
    primary: str
    members: frozenset[str]


class Stacker:
    """Stacks assets of one user, one after the other: photos of one burst are published at the same time."""

    def __init__(self, api: Api) -> None:
        self._api = api
        # Parallel requests that name one primary make Immich fail, and which stack a photo is in is only known once
        # it was read. Waiting for a second try is done outside of it.
        self._turn = asyncio.Lock()

    async def stack(
        self,
        original_id: str,
        version_id: str,
        *,
        want_primary: WantPrimary,
        primary_before: str | None,
        our_ids: frozenset[str],
        stacked_before: bool,
        earlier_ids: frozenset[str] = frozenset(),
        standing_id: str | None = None,
    ) -> StackResult:
        """See `Publisher.stack`."""
        ours = our_ids | {version_id}

        async def arrange() -> StackResult:
            stack = await self._joined(original_id, version_id, want_primary, stacked_before, earlier_ids)
            if stack is None:
                return StackResult(None, primary_before, None)
            return await self._arranged(
                *(stack, original_id, version_id, want_primary),
                before=primary_before,
                ours=ours,
                standing_id=standing_id,
            )

        return await self._repeated(arrange)

    async def make_way(self, asset_id: str, instead_id: str) -> None:
        """Put another asset on top of the stack that this one is on top of: `instead_id`, or whoever is there.

        Before an asset goes to the trash: Immich hides a whole stack while its primary is there.
        """

        async def make() -> None:
            try:
                stack = await self._stack_of(await self._api.asset(asset_id))
            except ImmichGoneError:
                return
            if stack is None or stack.primary != asset_id:
                return
            others = sorted(stack.members - {asset_id})
            if others:
                await self._change(self._api.set_primary(stack.id, instead_id if instead_id in others else others[0]))

        await self._repeated(make)

    async def _repeated(self, act: Callable[[], Awaitable[_T]]) -> _T:
        """Read and act, one at a time, until it comes off."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._turn:
                    return await act()
            except (ImmichServerError, _ChangedError):
                if attempt == ATTEMPTS:
                    raise
            # Immich failed, or the stack was changed between reading and acting: look again.
            wait = _FIRST_WAIT_SECONDS * 2 ** (attempt - 1)
            await asyncio.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311  # no secret
        raise AssertionError

    async def _joined(
        self,
        original_id: str,
        version_id: str,
        want_primary: WantPrimary,
        stacked_before: bool,
        earlier_ids: frozenset[str],
    ) -> _Found | None:
        """The stack that holds both, made or joined where that is still to be done."""
        original = await self._api.asset(original_id)
        stack = await self._stack_of(original)
        is_member = stack is not None and version_id in stack.members
        if (is_member or stacked_before) and want_primary is WantPrimary.OURS and await self._is_trashed(version_id):
            # On top it would hide the whole stack, and without a word its owner would wait for it.
            raise _trashed(version_id)
        if stack is not None and is_member:
            return stack
        if stacked_before:
            # They were together and are not any more: that was their owner. What is on top stays as it is,
            # unless a version in the trash hides the whole stack.
            return stack if stack is not None and want_primary is WantPrimary.RESTORE else None
        if original.is_trashed:
            raise _trashed(original_id)
        try:
            version = await self._api.asset(version_id)
        except ImmichGoneError:
            if want_primary is WantPrimary.RESTORE:
                return stack
            raise
        if version.is_trashed:
            if want_primary is WantPrimary.RESTORE:
                return stack
            raise _trashed(version_id)
        if await self._stack_of(version) is not None:
            # Its owner put it elsewhere; joining would merge the two stacks.
            return None
        if await self._were_taken_apart(stack, earlier_ids):
            return None
        if stack is None:
            top_first = [version_id, original_id] if want_primary is WantPrimary.OURS else [original_id, version_id]
            made = _read(await self._api.make_stack(top_first))
            return _Found(made.id, made.primary, made.members | {original_id, version_id})
        await self._change(self._api.join_stack(original_id, version_id))
        joined = await self._get(stack.id)
        if joined is None or version_id not in joined.members:
            raise _ChangedError(f"Could not stack asset {version_id}: the stack changed meanwhile; it is tried again")
        return joined

    async def _were_taken_apart(self, stack: _Found | None, earlier_ids: frozenset[str]) -> bool:
        """Whether the owner keeps earlier versions out of the original's stack: a newer one then stays out, too."""
        if stack is not None and stack.members & earlier_ids:
            return False
        for asset_id in sorted(earlier_ids):
            try:
                if not (await self._api.asset(asset_id)).is_trashed:
                    return True
            except ImmichGoneError:
                continue
        return False

    async def _arranged(
        self,
        stack: _Found,
        original_id: str,
        version_id: str,
        want_primary: WantPrimary,
        *,
        before: str | None,
        ours: frozenset[str],
        standing_id: str | None,
    ) -> StackResult:
        """Put the wanted asset on top where that is ours to do."""
        # Somebody else's choice replaces what was stored; while ours is on top, the stored one counts.
        before = stack.primary if stack.primary not in ours else before or original_id
        wanted = stack.primary
        if want_primary is WantPrimary.OURS and stack.primary in ours | {original_id}:
            wanted = version_id
        elif want_primary is WantPrimary.RESTORE and stack.primary in ours:
            wanted = next((id_ for id_ in (before, original_id) if id_ in stack.members), stack.primary)
            if standing_id in stack.members and await self._is_there(standing_id):
                wanted = standing_id
        if wanted != stack.primary:
            await self._change(self._api.set_primary(stack.id, wanted))
        return StackResult(stack.id, before, wanted)

    async def _is_there(self, asset_id: str) -> bool:
        """Whether an asset can be on top: Immich hides a whole stack while its primary is in the trash."""
        try:
            return not (await self._api.asset(asset_id)).is_trashed
        except ImmichGoneError:
            return False

    async def _is_trashed(self, asset_id: str) -> bool:
        try:
            return bool((await self._api.asset(asset_id)).is_trashed)
        except ImmichGoneError:
            return False

    async def _stack_of(self, asset: Asset) -> _Found | None:
        """The stack that an asset is in.

        An asset names its stack only while that has another live member in the timeline. So the stack of a primary
        is asked for, and for an asset outside the timeline all stacks are looked through.
        """
        asset_id = asset.id or ""
        if asset.stack and asset.stack.id:
            found = await self._get(asset.stack.id)
            if found is None:
                raise _ChangedError(f"Could not read the stack of asset {asset_id}: it changed meanwhile")
            return found
        for stack in await self._api.stacks(primary_id=asset_id):
            return _read(stack, asset_id)
        if asset.visibility == "timeline":
            return None
        holding = await self._api.stack_with(asset_id)
        return None if holding is None else _read(holding)

    async def _get(self, stack_id: str) -> _Found | None:
        try:
            return _read(await self._api.stack(stack_id))
        except ImmichGoneError:
            return None

    async def _change(self, call: Coroutine[Any, Any, object]) -> None:
        """Await a call; where it fails because the stack is not what it was, say so."""
        try:
            await call
        except (ImmichGoneError, ImmichRefusedError) as error:
            raise _ChangedError(str(error)) from error


class _ChangedError(ImmichRefusedError):
    """Somebody else changed the stack between reading and acting."""


def _trashed(asset_id: str) -> ImmichGoneError:
    return ImmichGoneError(f"Could not stack asset {asset_id}: it is in Immich's trash; restore it there")


def _read(stack: Stack, *more: str) -> _Found:
    if not stack.id or not stack.primary_asset_id:
        raise ImmichServerError("Could not read a stack: the answer names none; it is tried again")
    members = frozenset(asset.id for asset in stack.assets or () if asset.id)
    return _Found(stack.id, stack.primary_asset_id, members | frozenset(more))
