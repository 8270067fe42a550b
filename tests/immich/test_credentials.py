"""Keys, sessions, and nothing: what goes into the headers, what a refusal says, and that no secret gets out."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from aiohttp import web

from immich_sidecar.errors import (
    ImmichCredentialsError,
    ImmichError,
    ImmichPermissionError,
    SettingsError,
)
from immich_sidecar.immich.api import Api, Credential
from tests.immich.canned import CannedServer

TOKEN = "s3ss10n-tok3n-that-nobody-may-see"
ME = (200, {"id": "1", "name": "Ada"})


async def test_a_session_is_shown_with_the_name_of_the_browser() -> None:
    async with CannedServer([ME]) as server:
        api = Api(server.url, session_token=TOKEN, user_agent="Mozilla/5.0 (X11) Firefox/130")
        assert api.credential is Credential.SESSION
        assert (await api.me()).name == "Ada"
        await api.close()
    headers = server.asked[0].headers
    assert headers["x-immich-user-token"] == TOKEN
    assert headers["User-Agent"] == "Mozilla/5.0 (X11) Firefox/130"
    assert "x-api-key" not in headers
    assert "Cookie" not in headers


async def test_a_key_goes_under_our_own_name() -> None:
    async with CannedServer([ME]) as server:
        api = Api(server.url, "key")
        assert api.credential is Credential.KEY
        await api.me()
        await api.close()
    headers = server.asked[0].headers
    assert headers["x-api-key"] == "key"
    assert headers["User-Agent"].startswith("immich-sidecar/")
    assert "x-immich-user-token" not in headers


async def test_without_either_nothing_is_shown() -> None:
    async with CannedServer([(200, {"passwordLogin": True})]) as server:
        api = Api(server.url)
        assert api.credential is Credential.NONE
        assert (await api.features()).password_login is True
        await api.close()
    assert not {"x-api-key", "x-immich-user-token", "Authorization", "Cookie"} & set(server.asked[0].headers)


def test_not_both() -> None:
    with pytest.raises(ValueError, match="not both"):
        Api("http://immich", "key", session_token=TOKEN)


@pytest.mark.parametrize("token", ["", "line\nbreak", "tok en", "töken", "nul\0", "\x7f", "a\r\nx-api-key: b"])
def test_a_token_that_is_none_is_refused_before_it_is_sent(token: str) -> None:
    with pytest.raises(ImmichCredentialsError) as caught:
        Api("http://immich", session_token=token)
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("key", ["", "line\nbreak", "k ey"])
def test_a_key_that_is_none_is_a_wrong_setting(key: str) -> None:
    with pytest.raises(SettingsError):
        Api("http://immich", key)


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("Firefox\r\nx-api-key: mine", "Firefoxx-api-key: mine"),
        ("Füchs\0", "Fchs"),
        ("x" * 5000, "x" * 300),
    ],
)
async def test_a_hostile_name_of_a_browser_stays_one_line(agent: str, shown: str) -> None:
    async with CannedServer([ME]) as server:
        api = Api(server.url, session_token=TOKEN, user_agent=agent)
        await api.me()
        await api.close()
    assert server.asked[0].headers["User-Agent"] == shown
    assert "x-api-key" not in server.asked[0].headers


def signed_in() -> web.Response:
    response = web.json_response(
        {"accessToken": TOKEN, "userId": "1", "userEmail": "ada@example.test", "name": "Ada", "isAdmin": False},
        status=201,
    )
    response.set_cookie("immich_access_token", TOKEN)
    return response


async def test_signing_in_and_the_cookie_that_is_not_kept() -> None:
    async with CannedServer([signed_in, (200, {"res": "pong"})]) as server:
        api = Api(server.url)
        session = await api.login("ada@example.test", "secret password")
        assert await api.ping()
        await api.close()
    assert (session.token, session.user_id, session.email, session.name) == (TOKEN, "1", "ada@example.test", "Ada")
    assert (session.is_admin, session.must_change_password) == (False, False)
    assert TOKEN not in repr(session)
    assert server.asked[0].path == "/auth/login"
    assert server.asked[0].body == {"email": "ada@example.test", "password": "secret password"}
    # A session would win over a key in every later call.
    assert "Cookie" not in server.asked[1].headers


async def test_a_wrong_password() -> None:
    async with CannedServer([(401, {"message": "Incorrect email or password"})]) as server:
        api = Api(server.url)
        with pytest.raises(ImmichCredentialsError, match="check the e-mail address and the password") as caught:
            await api.login("ada@example.test", "secret password")
        await api.close()
    assert "secret" not in str(caught.value)
    assert "IMMICH_API_KEY" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [(401, ImmichCredentialsError, "sign in again"), (403, ImmichPermissionError, "this user may not")],
)
async def test_a_session_that_is_refused_is_not_called_a_key(status: int, error: type[ImmichError], words: str) -> None:
    async with CannedServer([(status, {"message": "Invalid user token"})]) as server:
        api = Api(server.url, session_token=TOKEN)
        with pytest.raises(error, match=words) as caught:
            await api.me()
        await api.close()
    assert "key" not in str(caught.value)


async def test_whether_a_session_is_accepted() -> None:
    async with CannedServer([(200, {"authStatus": True}), (401, {"message": "Invalid user token"})]) as server:
        api = Api(server.url, session_token=TOKEN)
        assert await api.token_accepted() is True
        assert await api.token_accepted() is False
        # Signing out of a session that has ended is no failure.
        server.answers.append((401, {"message": "Invalid user token"}))
        await api.logout()
        server.answers.append((502, None))
        with pytest.raises(ImmichError):
            await api.token_accepted()
        await api.close()


async def test_no_secret_gets_into_the_log_or_an_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    answers: list[Any] = [signed_in, ME, (401, {"message": "no"}), (500, {"message": "no"}), (403, {"message": "no"})]
    texts = []
    async with CannedServer(answers) as server:
        nobody, session = Api(server.url), Api(server.url, session_token=TOKEN)
        await nobody.login("ada@example.test", "secret password")
        await session.me()
        for _ in range(3):
            with pytest.raises(ImmichError) as caught:
                await session.me()
            texts += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
        texts += [repr(session), repr(nobody)]
        await nobody.close()
        await session.close()
    with pytest.raises(ImmichError) as caught:
        await Api("http://127.0.0.1:1", session_token=TOKEN).me()
    texts += [str(caught.value), repr(caught.value.__cause__)]
    everything = caplog.text + "".join(texts)
    assert "Could not" in everything
    assert TOKEN not in everything
    assert "secret password" not in everything
