"""Partners, who show each other their libraries: `/partners`. Each direction is an entry of its own."""

from __future__ import annotations

from aiohttp import web

from .keys import Login
from .problems import RefusedError, check_id, expected, invalid, option_issues, uuid_issues
from .records import Partner, Store, User
from .wire import Json, body_of, small_user_json

DIRECTIONS = ["shared-by", "shared-with"]


class Partners:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.routes = [
            ("GET", "/partners", "partner.read", self.every),
            ("POST", "/partners", "partner.create", self.create),
            ("PUT", "/partners/{id}", "partner.update", self.update),
            ("DELETE", "/partners/{id}", "partner.delete", self.delete),
        ]

    async def every(self, request: web.Request, login: Login) -> web.Response:
        direction = request.query.get("direction")
        if issues := option_issues(direction, DIRECTIONS, ["direction"]):
            raise invalid(issues)
        if direction == "shared-by":
            found = [_json(entry.to, entry) for entry in self._store.partners if entry.by is login.user]
        else:
            found = [_json(entry.by, entry) for entry in self._store.partners if entry.to is login.user]
        return web.json_response(found)

    async def create(self, request: web.Request, login: Login) -> web.Response:
        other_id = (await body_of(request)).get("sharedWithId")
        if issues := uuid_issues(other_id, ["sharedWithId"]):
            raise invalid(issues)
        other = self._store.users.get(str(other_id))
        if other is None:
            raise RefusedError(400, "Invalid user")
        if self._find(login.user, other) is not None:
            raise RefusedError(400, "Partner already exists")
        # Shown apart until the other one wants it in the timeline.
        entry = Partner(login.user, other, in_timeline=False)
        self._store.partners.append(entry)
        return web.json_response(_json(other, entry), status=201)

    async def update(self, request: web.Request, login: Login) -> web.Response:
        other = self._store.users.get(check_id(request.match_info["id"]))
        body = await body_of(request)
        if not isinstance(body.get("inTimeline"), bool):
            raise invalid([expected("boolean", ["inTimeline"], body.get("inTimeline"))])
        entry = self._find(other, login.user)
        if entry is None or other is None:
            raise RefusedError(400, "Not found or no partner.update access")
        entry.in_timeline = body["inTimeline"]
        return web.json_response(_json(other, entry))

    async def delete(self, request: web.Request, login: Login) -> web.Response:
        entry = self._find(login.user, self._store.users.get(check_id(request.match_info["id"])))
        if entry is None:
            raise RefusedError(400, "Partner not found")
        self._store.partners.remove(entry)
        return web.Response(status=204)

    def _find(self, by: User | None, to: User | None) -> Partner | None:
        return next((entry for entry in self._store.partners if entry.by is by and entry.to is to), None)


def _json(other: User, entry: Partner) -> Json:
    return {**small_user_json(other), "inTimeline": entry.in_timeline}
