"""Stacks, with every surprise of the real ones."""

from __future__ import annotations

import asyncio

from aiohttp import web

from .keys import Login
from .problems import RefusedError, check_id, ids_issues, invalid, uuid_issues
from .records import Asset, Stack, Store
from .wire import body_of, stack_json


class Stacks:
    def __init__(self, store: Store) -> None:
        self._store = store
        #: How long the making of a stack takes, in seconds; 0: no request meets another.
        self.racing = 0.0
        self._being_made: set[str] = set()
        self.routes = [
            ("POST", "/stacks", "stack.create", self.create),
            ("GET", "/stacks", "stack.read", self.search),
            ("DELETE", "/stacks", "stack.delete", self.delete_many),
            ("GET", "/stacks/{id}", "stack.read", self.get),
            ("PUT", "/stacks/{id}", "stack.update", self.update),
            ("DELETE", "/stacks/{id}", "stack.delete", self.delete),
            ("DELETE", "/stacks/{id}/assets/{assetId}", "stack.update", self.remove),
        ]

    async def create(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        if issues := ids_issues(body, "assetIds", minimum=2):
            raise invalid(issues)
        # The permission of the key is stack.create; the access that is checked is that to the assets.
        assets = self._store.require(login.user, body["assetIds"], "asset.update")
        await self._race(assets)
        stack = make_stack(self._store, assets)
        self._store.tell(login.user, "on_asset_stack_update")
        return web.json_response(stack_json(self._store, stack), status=201)

    async def search(self, request: web.Request, login: Login) -> web.Response:
        primary = request.query.get("primaryAssetId")
        if primary is not None:
            check_id(primary, "primaryAssetId")
        found = [
            stack_json(self._store, stack)
            for stack in self._store.stacks.values()
            if stack.owner is login.user and primary in (None, stack.primary_asset_id)
        ]
        return web.json_response(found)

    async def get(self, request: web.Request, login: Login) -> web.Response:
        stack = self._require(request, login, "stack.read")
        return web.json_response(stack_json(self._store, stack, tags=True))

    async def update(self, request: web.Request, login: Login) -> web.Response:
        check_id(request.match_info["id"])
        primary = (await body_of(request)).get("primaryAssetId")
        if primary is not None and (issues := uuid_issues(primary, ["primaryAssetId"])):
            raise invalid(issues)
        stack = self._require(request, login, "stack.update")
        if primary is not None:
            if primary not in [member.id for member in self._store.members(stack.id)]:
                raise RefusedError(400, "Primary asset must be in the stack")
            stack.primary_asset_id = primary
            self._store.tell(login.user, "on_asset_stack_update")
        return web.json_response(stack_json(self._store, stack, tags=True))

    async def delete(self, request: web.Request, login: Login) -> web.Response:
        dissolve(self._store, self._require(request, login, "stack.delete"))
        self._store.tell(login.user, "on_asset_stack_update")
        return web.Response(status=204)

    async def delete_many(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        if issues := ids_issues(body, "ids"):
            raise invalid(issues)
        stacks = [self._store.stacks.get(stack_id) for stack_id in body["ids"]]
        if any(stack is None or stack.owner is not login.user for stack in stacks):
            raise RefusedError(400, "Not found or no stack.delete access")
        for stack in stacks:
            assert stack is not None
            dissolve(self._store, stack)
        self._store.tell(login.user, "on_asset_stack_update")
        return web.Response(status=204)

    async def remove(self, request: web.Request, login: Login) -> web.Response:
        asset_id = check_id(request.match_info["assetId"], "assetId")
        stack = self._require(request, login, "stack.update")
        asset = self._store.assets.get(asset_id)
        if asset is None or asset.stack_id != stack.id:
            raise RefusedError(400, "Asset not in stack")
        if asset.id == stack.primary_asset_id:
            raise RefusedError(400, "Cannot remove stack's primary asset")
        asset.stack_id = None
        asset.updated_at = self._store.now()
        self._store.tell(login.user, "on_asset_stack_update")
        return web.Response(status=204)

    async def _race(self, assets: list[Asset]) -> None:
        """Of requests that come at once with one primary, one gets through; each other fails, as in the database."""
        if not self.racing:
            return
        primary = assets[0].id
        if primary in self._being_made:
            await asyncio.sleep(self.racing)
            raise RefusedError(500, "Failed to create stack")
        self._being_made.add(primary)
        try:
            await asyncio.sleep(self.racing)
        finally:
            self._being_made.discard(primary)

    def _require(self, request: web.Request, login: Login, permission: str) -> Stack:
        stack = self._store.stacks.get(check_id(request.match_info["id"]))
        if stack is None or stack.owner is not login.user:
            raise RefusedError(400, f"Not found or no {permission} access")
        return stack


def make_stack(store: Store, assets: list[Asset]) -> Stack:
    """A new stack of these assets, the first on top.

    Where one of them is the primary of another stack, that stack ends and its members that are not in the
    trash join; where one is only a member, it leaves its stack, which stays even with one asset.
    """
    owner = assets[0].owner
    ids = [asset.id for asset in assets]
    joining = list(assets)
    for other in [stack for stack in store.stacks.values() if stack.owner is owner]:
        if other.primary_asset_id in ids:
            members = store.members(other.id, hidden=True)
            joining += [member for member in members if member.deleted_at is None]
            dissolve(store, other)
    stack = Stack(store.new_id(), owner, ids[0])
    store.stacks[stack.id] = stack
    for asset in joining:
        asset.stack_id = stack.id
        asset.updated_at = store.now()
    return stack


def dissolve(store: Store, stack: Stack) -> None:
    """End a stack; its assets stay."""
    for asset in store.members(stack.id, hidden=True):
        asset.stack_id = None
        asset.updated_at = store.now()
    store.stacks.pop(stack.id, None)


def leave_for_ever(store: Store, asset: Asset) -> None:
    """After a permanent deletion a stack of fewer than two ends; else a lost primary is replaced."""
    if asset.stack_id is None:
        return
    stack = store.stacks[asset.stack_id]
    left = store.members(stack.id, hidden=True)
    may_stay = store.dialect.keeps_stacks_of_one and left and stack.primary_asset_id != asset.id
    if len(left) < 2 and not may_stay:
        dissolve(store, stack)
    elif stack.primary_asset_id == asset.id:
        stack.primary_asset_id = left[0].id
