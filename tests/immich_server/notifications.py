"""The bell: an administrator's `/admin/notifications`, and a user's own `/notifications`."""

from __future__ import annotations

from aiohttp import web

from .keys import WHOLE, AdminOnly, Login
from .problems import RefusedError, check_id, expected, invalid, option_issues, uuid_issues
from .records import Notification, Store
from .wire import Json, body_of, js_date

LEVELS = ["success", "error", "warning", "info"]
TYPES = ["JobFailed", "BackupFailed", "SystemMessage", "AlbumInvite", "AlbumUpdate", "Custom"]


class Notifications:
    """Sent ones are seen at the next look; sockets are not told of them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.routes = [
            ("POST", "/admin/notifications", AdminOnly(WHOLE), self.create),
            ("GET", "/notifications", "notification.read", self.every),
            ("DELETE", "/notifications/{id}", "notification.delete", self.delete),
        ]

    async def create(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        issues = [expected("string", ["userId"], None, missing=True)]
        if "userId" in body:
            issues = uuid_issues(body["userId"], ["userId"])
        if not isinstance(body.get("title"), str):
            issues.append(expected("string", ["title"], body.get("title"), missing="title" not in body))
        issues += option_issues(body.get("level", "info"), LEVELS, ["level"])
        issues += option_issues(body.get("type", "Custom"), TYPES, ["type"])
        if issues:
            raise invalid(issues)
        user = self._store.users.get(body["userId"])
        if user is None:
            raise RefusedError(500, "Failed to create notification")
        notification = Notification(
            self._store.new_id(),
            user,
            title=body["title"],
            description=body.get("description"),
            level=body.get("level", "info"),
            type=body.get("type", "Custom"),
            data=body.get("data"),
            created_at=self._store.now(),
        )
        self._store.notifications[notification.id] = notification
        return web.json_response(_json(notification), status=201)

    async def every(self, request: web.Request, login: Login) -> web.Response:
        own = [item for item in self._store.notifications.values() if item.user is login.user]
        if request.query.get("unread") == "true":
            own = [item for item in own if item.read_at is None]
        own.sort(key=lambda item: item.created_at, reverse=True)
        return web.json_response([_json(item) for item in own])

    async def delete(self, request: web.Request, login: Login) -> web.Response:
        item = self._store.notifications.get(check_id(request.match_info["id"]))
        if item is None or item.user is not login.user:
            raise RefusedError(400, "Not found or no notification.delete access")
        del self._store.notifications[item.id]
        return web.Response(status=204)


def _json(item: Notification) -> Json:
    result: Json = {
        "id": item.id,
        "createdAt": js_date(item.created_at),
        "level": item.level,
        "type": item.type,
        "title": item.title,
    }
    optional = {"description": item.description, "data": item.data}
    optional["readAt"] = js_date(item.read_at) if item.read_at else None
    return result | {name: value for name, value in optional.items() if value is not None}
