"""API keys, their permissions, and who is asking."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from aiohttp import web

from .problems import RefusedError, check_id, invalid, option_issues, too_small
from .records import Key, Session, Store, User
from .wire import Json, body_of, js_date

#: A route that needs no login at all.
PUBLIC = "public"
#: A route that every key may call.
ANY = "any"
#: A route without a permission of its own: of keys only those with `all` may call it.
WHOLE = "all"


class AdminOnly(str):
    """The permission of a route that only administrators may call."""

    __slots__ = ()


# Every permission of 3.1.0 in the order of its validation message: what, and what may be done with it.
_VERBS = {
    "all": "",
    "activity": "create read update delete statistics",
    "apiKey": "create read update delete",
    "asset": "read update delete statistics share view download upload copy derive",
    "asset.edit": "get create delete",
    "album": "create read update delete statistics share download",
    "albumAsset": "create delete",
    "albumUser": "create update delete",
    "auth": "changePassword",
    "authDevice": "delete",
    "archive": "read",
    "backup": "list download upload delete",
    "duplicate": "read delete",
    "face": "create read update delete",
    "folder": "read",
    "job": "create read",
    "library": "create read update delete statistics",
    "timeline": "read download",
    "maintenance": "",
    "map": "read search",
    "memory": "create read update delete statistics",
    "memoryAsset": "create delete",
    "notification": "create read update delete",
    "partner": "create read update delete",
    "person": "create read update delete statistics merge reassign",
    "pinCode": "create update delete",
    "plugin": "create read update delete",
    "server": "about apkLinks storage statistics versionCheck",
    "serverLicense": "read update delete",
    "session": "create read update delete lock",
    "sharedLink": "create read update delete",
    "stack": "create read update delete",
    "sync": "stream",
    "syncCheckpoint": "read update delete",
    "systemConfig": "read update",
    "systemMetadata": "read update",
    "tag": "create read update delete asset",
    "user": "read update",
    "userLicense": "create read update delete",
    "userOnboarding": "read update delete",
    "userPreference": "read update",
    "userProfileImage": "create read update delete",
    "queue": "read update",
    "queueJob": "create read update delete",
    "workflow": "create read update delete",
    "adminUser": "create read update delete",
    "adminSession": "read",
    "adminAuth": "unlinkAll",
}
PERMISSIONS = [f"{noun}.{verb}" if verb else noun for noun, verbs in _VERBS.items() for verb in (verbs.split() or [""])]


@dataclass(frozen=True)
class Login:
    """Who asks: a user by key, or by session where `key` is None."""

    user: User
    key: Key | None
    session: Session | None = None


def who(request: web.Request, store: Store, *, query: bool = True) -> Login:
    """The login of a request; a session, if there is one, wins over a key. Raises RefusedError (401).

    Without `query` only headers and cookies count, as when a socket connects.
    """
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    token = (
        request.headers.get("x-immich-user-token")
        or request.headers.get("x-immich-session-token")
        or (query and request.query.get("sessionKey"))
        or (bearer.strip() if scheme.lower() == "bearer" else "")
        or request.cookies.get("immich_access_token")
    )
    if token:
        if token not in store.sessions:
            raise RefusedError(401, "Invalid user token")
        return Login(store.sessions[token].user, None, store.sessions[token])
    secret = request.headers.get("x-api-key") or (query and request.query.get("apiKey"))
    if not secret:
        raise RefusedError(401, "Authentication required")
    if secret not in store.keys:
        raise RefusedError(401, "Invalid API key")
    key = store.keys[secret]
    return Login(key.user, key)


def check_permission(login: Login, permission: str) -> None:
    """Raise RefusedError (403) where the key lacks the permission of the route, or the user is no administrator."""
    if isinstance(permission, AdminOnly) and not login.user.is_admin:
        raise RefusedError(403, "Forbidden")
    if login.key is None or permission == ANY or "all" in login.key.permissions:
        return
    if permission not in login.key.permissions:
        raise RefusedError(403, f"Missing required permission: {permission}")


def make_key(store: Store, user: User, permissions: list[str], name: str, secret: str | None = None) -> Key:
    key = Key(
        id=store.new_id(),
        name=name,
        secret=secret or secrets.token_urlsafe(32),
        permissions=list(permissions),
        user=user,
        created_at=(now := store.now()),
        updated_at=now,
    )
    store.keys[key.secret] = key
    return key


def key_json(key: Key) -> Json:
    return {
        "id": key.id,
        "name": key.name,
        "createdAt": js_date(key.created_at),
        "updatedAt": js_date(key.updated_at),
        "permissions": key.permissions,
    }


class Keys:
    """`/api-keys`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.routes = [
            ("GET", "/api-keys/me", ANY, self.mine),
            ("GET", "/api-keys", "apiKey.read", self.every),
            ("POST", "/api-keys", "apiKey.create", self.create),
            ("GET", "/api-keys/{id}", "apiKey.read", self.get),
            ("PUT", "/api-keys/{id}", "apiKey.update", self.update),
            ("DELETE", "/api-keys/{id}", "apiKey.delete", self.delete),
        ]

    async def mine(self, request: web.Request, login: Login) -> web.Response:
        if login.key is None:
            raise RefusedError(403, "Not authenticated with an API Key")
        return web.json_response(key_json(login.key))

    async def every(self, request: web.Request, login: Login) -> web.Response:
        keys = [key for key in self._store.keys.values() if key.user is login.user]
        keys.sort(key=lambda key: key.created_at, reverse=True)
        return web.json_response([key_json(key) for key in keys])

    async def get(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response(key_json(self._own(request, login)))

    async def create(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        permissions = _permissions(self._store, body)
        _check_grant(login, permissions)
        key = make_key(self._store, login.user, permissions, str(body.get("name") or "API Key"))
        return web.json_response({"secret": key.secret, "apiKey": key_json(key)}, status=201)

    async def update(self, request: web.Request, login: Login) -> web.Response:
        check_id(request.match_info["id"])
        body = await body_of(request)
        permissions = _permissions(self._store, body) if "permissions" in body else None
        key = self._own(request, login)
        if permissions is not None:
            _check_grant(login, permissions)
            key.permissions = permissions
        key.name = body.get("name", key.name)
        key.updated_at = self._store.now()
        return web.json_response(key_json(key))

    async def delete(self, request: web.Request, login: Login) -> web.Response:
        del self._store.keys[self._own(request, login).secret]
        return web.Response(status=204)

    def _own(self, request: web.Request, login: Login) -> Key:
        key_id = check_id(request.match_info["id"])
        for key in self._store.keys.values():
            if key.id == key_id and key.user is login.user:
                return key
        raise RefusedError(400, "API Key not found")


def _permissions(store: Store, body: Json) -> list[str]:
    permissions = body.get("permissions")
    if not isinstance(permissions, list) or not permissions:
        raise invalid([too_small(["permissions"], 1)])
    known = store.dialect.permissions(PERMISSIONS)
    if issues := [
        issue
        for index, value in enumerate(permissions)
        for issue in option_issues(value, known, ["permissions", index])
    ]:
        raise invalid(issues)
    return list(permissions)


def _check_grant(login: Login, permissions: list[str]) -> None:
    """A key can only give what it has itself; a session everything."""
    held = ["all"] if login.key is None else login.key.permissions
    if "all" not in held and not set(permissions) <= set(held):
        raise RefusedError(400, "Cannot grant permissions you do not have")
