"""Asking Immich who somebody is; the answer is believed for a minute, and nothing else is remembered."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from immich_sidecar.errors import ImmichAwayError, ImmichCredentialsError, ImmichPermissionError
from immich_sidecar.immich.sign_in import BELIEVED_FOR, SignIn
from tests.immich_server import ImmichServer
from tests.immich_server.given import PASSWORD


@pytest.fixture
async def immich() -> AsyncIterator[ImmichServer]:
    async with ImmichServer() as running:
        yield running


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sign_in(immich: ImmichServer, clock: Clock) -> AsyncIterator[SignIn]:
    made = SignIn(immich.url, clock=clock)
    yield made
    await made.close()


def asked(immich: ImmichServer) -> int:
    return immich.request_counts()["GET /api/users/me"]


async def test_by_a_session(immich: ImmichServer, sign_in: SignIn, clock: Clock) -> None:
    ada = immich.add_user("Ada", is_admin=True)
    token = immich.log_in(ada)
    user = await sign_in.by_session(token, "Mozilla/5.0 (Nokia)")
    assert user is not None
    assert (user.id, user.name, user.is_admin) == (ada.id, "Ada", True)
    [seen] = [seen for seen in immich.requests if seen.path == "/api/users/me"]
    assert seen.headers["user-agent"] == "Mozilla/5.0 (Nokia)"
    assert seen.headers["x-immich-user-token"] == token
    assert "cookie" not in seen.headers
    assert "x-api-key" not in seen.headers
    assert token not in repr(sign_in.__dict__)
    await asyncio.gather(*(sign_in.by_session(token) for _ in range(20)))
    assert asked(immich) == 1
    immich.log_out(token)
    clock.now += BELIEVED_FOR - 0.1
    assert await sign_in.by_session(token) is not None
    clock.now += 0.2
    assert await sign_in.by_session(token) is None
    assert await sign_in.by_session(token) is None
    assert asked(immich) == 2, "that it is nobody's is believed for a minute, too"


async def test_at_once_is_one_question(immich: ImmichServer, sign_in: SignIn) -> None:
    token = immich.log_in(immich.add_user("Ada"))
    immich.slow_down("/api/users/me", 0.2)
    users = await asyncio.gather(*(sign_in.by_session(token) for _ in range(20)))
    assert {user.name for user in users if user} == {"Ada"}
    assert asked(immich) == 1
    waiting = asyncio.create_task(sign_in.by_session("somebody-elses"))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await sign_in.by_session("somebody-elses") is None, "one who gave up leaves the question to the others"
    assert asked(immich) == 2


async def test_an_absent_immich_is_no_answer(immich: ImmichServer, sign_in: SignIn) -> None:
    token = immich.log_in(immich.add_user("Ada"))
    immich.answer_next("/api/users/me", status=503)
    with pytest.raises(ImmichAwayError):
        await sign_in.by_session(token)
    user = await sign_in.by_session(token)
    assert user is not None, "it is asked again at once"
    immich.maintenance = True
    with pytest.raises(ImmichAwayError):
        await sign_in.by_session(immich.log_in(immich.add_user("Bob")))


@pytest.mark.parametrize("token", ["", " ", "ä", "a b", "a\nb", "\x00", "\ud800"])
async def test_what_is_no_token_is_nobodys(immich: ImmichServer, sign_in: SignIn, token: str) -> None:
    assert await sign_in.by_session(token) is None
    assert asked(immich) == 0


async def test_by_password(immich: ImmichServer, sign_in: SignIn) -> None:
    ada = immich.add_user("Ada")
    user, token = await sign_in.by_password("ada@example.test", PASSWORD)
    assert (user.id, user.name) == (ada.id, "Ada")
    known = await sign_in.by_session(token)
    assert known is not None
    await sign_in.log_out(token)
    assert await sign_in.by_session(token) is None, "what was believed of it is forgotten"
    await sign_in.log_out(token)
    for email, password in (("ada@example.test", "wrong"), ("nobody@example.test", PASSWORD)):
        with pytest.raises(ImmichCredentialsError) as refused:
            await sign_in.by_password(email, password)
        assert password not in str(refused.value)


async def test_by_a_key(immich: ImmichServer, sign_in: SignIn) -> None:
    ada = immich.add_user("Ada")
    user, permissions = await sign_in.by_key(immich.add_key(ada, permissions=["user.read", "asset.read"]))
    assert (user.id, set(permissions)) == (ada.id, {"user.read", "asset.read"})
    user, permissions = await sign_in.by_key(immich.add_key(ada, permissions=["all"]))
    assert permissions == ("all",)
    with pytest.raises(ImmichPermissionError, match=r"user\.read"):
        await sign_in.by_key(immich.add_key(ada, permissions=["asset.read"]))
    for key in ("", "wrong", "a b", "ä", "a\r\nx: y"):
        with pytest.raises(ImmichCredentialsError) as refused:
            await sign_in.by_key(key)
        assert not key or key not in str(refused.value) or key == "wrong"


async def test_the_ways_to_sign_in(immich: ImmichServer, sign_in: SignIn, clock: Clock) -> None:
    ways = await sign_in.ways()
    assert (ways.password, ways.oauth, ways.version) == (True, False, (3, 1, 0))
    immich.oauth_only = True
    assert (await sign_in.ways()).password, "what was said is believed for a minute"
    clock.now += 61
    ways = await sign_in.ways()
    assert (ways.password, ways.oauth) == (False, True)
    immich.add_user("Ada")
    with pytest.raises(ImmichCredentialsError):
        await sign_in.by_password("ada@example.test", PASSWORD)
