"""Logging in with e-mail and password, sessions, and their cookies: `/auth`."""

from __future__ import annotations

import secrets

from aiohttp import web

from .about import About
from .keys import ANY, PUBLIC, WHOLE, Login
from .problems import RefusedError, email_issues, expected, invalid
from .records import Session, Store, User
from .wire import body_of

ACCESS_COOKIE = "immich_access_token"
TYPE_COOKIE = "immich_auth_type"
#: The only one that scripts can read.
STATE_COOKIE = "immich_is_authenticated"
COOKIE_SECONDS = 400 * 24 * 3600


def make_session(store: Store, user: User, token: str | None = None) -> Session:
    session = Session(store.new_id(), token or secrets.token_urlsafe(32), user, store.now())
    store.sessions[session.token] = session
    return session


class Sessions:
    def __init__(self, store: Store, about: About) -> None:
        self._store = store
        self._about = about
        self.routes = [
            ("POST", "/auth/login", PUBLIC, self.login),
            ("POST", "/auth/logout", WHOLE, self.logout),
            ("POST", "/auth/validateToken", ANY, self.validate),
        ]

    async def login(self, request: web.Request, login: Login | None) -> web.Response:
        body = await body_of(request)
        issues = email_issues(body.get("email"), ["email"], missing="email" not in body)
        if not isinstance(body.get("password"), str):
            issues.append(expected("string", ["password"], body.get("password"), missing="password" not in body))
        if issues:
            raise invalid(issues)
        if not self._about.password_login:
            raise RefusedError(401, "Password login has been disabled")
        email = body["email"].lower()
        user = next((user for user in self._store.users.values() if user.email.lower() == email), None)
        if user is None or user.password is None or user.password != body["password"]:
            raise RefusedError(401, "Incorrect email or password")
        session = make_session(self._store, user)
        answer = {
            "accessToken": session.token,
            "userId": user.id,
            "userEmail": user.email,
            "name": user.name,
            "isAdmin": user.is_admin,
            "profileImagePath": "",
            "shouldChangePassword": user.must_change_password,
            "isOnboarded": False,
        }
        response = web.json_response(answer, status=201)
        secure = request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
        for name, value in ((ACCESS_COOKIE, session.token), (TYPE_COOKIE, "password"), (STATE_COOKIE, "true")):
            response.set_cookie(
                name,
                value,
                path="/",
                max_age=COOKIE_SECONDS,
                httponly=name != STATE_COOKIE,
                samesite="Lax",
                secure=secure or None,
            )
        return response

    async def logout(self, request: web.Request, login: Login) -> web.Response:
        if login.session is not None:
            del self._store.sessions[login.session.token]
        response = web.json_response({"successful": True, "redirectUri": "/auth/login?autoLaunch=0"})
        for name in (ACCESS_COOKIE, TYPE_COOKIE, STATE_COOKIE):
            response.del_cookie(name, path="/")
        return response

    async def validate(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response({"authStatus": True})
