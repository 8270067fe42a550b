"""A day of three people with Immich and the service, played to two Immichs at once.

Whatever the people do, on their phones, in Immich's pages or by a scan of a library, is done to two stand-ins with
the same ids: the service watches one of them, the other is the *control*. What differs between the two at the end is
what the service did, and `day_check` says which of it is allowed.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import aiohttp

from tests.immich_server import Album, Asset, ImmichServer, User
from tests.immich_server.given import PASSWORD
from tests.service.day_worlds import Worlds, answered, live_long_before
from tests.service.running import _UNDONE as UNDONE
from tests.service.running import Service, until

FROM_OUR_PAGE = {"Sec-Fetch-Site": "same-origin", "HX-Request": "true"}

#: Something that goes wrong for a while.
Disturbance = Callable[[], Coroutine[Any, Any, None]]


@dataclass
class Person:
    """Somebody with a phone, a browser and photos."""

    worlds: Worlds
    service: Service
    user: User
    mode: str
    features: tuple[str, ...]
    way: str
    phone: str = ""
    cookie: str = ""

    @property
    def name(self) -> str:
        return self.user.name

    # ---- in Immich

    async def immich(self, method: str, path: str, **more: Any) -> Any:
        return await self.worlds.ask(self.phone, method, path, **more)

    async def upload(self, content: bytes, name: str, **fields: str) -> Asset:
        """Send a file as a phone does; gives the asset of the real Immich."""
        body = await self.immich("POST", "/assets", form=(content, name, fields))
        return self.worlds.real.assets[body["id"]]

    async def change(self, asset: Asset, **fields: Any) -> None:
        await self.immich("PUT", f"/assets/{asset.id}", json=fields)

    async def tag(self, asset: Asset, value: str) -> None:
        (tag,) = await self.immich("PUT", "/tags", json={"tags": [value]})
        await self.immich("PUT", f"/tags/{tag['id']}/assets", json={"ids": [asset.id]})

    async def stack(self, *assets: Asset) -> None:
        """Stack what Immich shows: of photos that are in a stack already, what is on top of it."""
        server = self.worlds.real

        def shown(asset: Asset) -> str:
            return server.stacks[asset.stack_id].primary_asset_id if asset.stack_id else asset.id

        body = await until(
            lambda: answered(
                server, self.phone, "POST", "/stacks", json={"assetIds": [shown(asset) for asset in assets]}
            ),
            "they are stacked",
        )
        await self.worlds.follow(self.phone, body, "POST", "/stacks", json={"assetIds": [one.id for one in assets]})

    async def unstack(self, asset: Asset) -> None:
        """End the stack that the asset is in, where it is in one; in the control it may be in none."""
        for server in self.worlds.both:
            if stack_id := server.assets[asset.id].stack_id:
                await until(lambda: answered(server, self.phone, "DELETE", f"/stacks/{stack_id}"), "it is unstacked")  # noqa: B023

    async def put_on_top(self, asset: Asset) -> None:
        """Choose what is on top of a stack that only the real one has."""
        server = self.worlds.real
        body = {"primaryAssetId": asset.id}
        await until(lambda: answered(server, self.phone, "PUT", f"/stacks/{asset.stack_id}", json=body), "it is on top")

    async def trash(self, asset: Asset, *, force: bool = False) -> None:
        await self.immich("DELETE", "/assets", json={"ids": [asset.id], "force": force})

    async def restore(self, asset: Asset) -> None:
        await self.immich("POST", "/trash/restore/assets", json={"ids": [asset.id]})

    async def into(self, album: Album, *assets: Asset) -> None:
        await self.immich("PUT", f"/albums/{album.id}/assets", json={"ids": [asset.id for asset in assets]})

    async def out_of(self, album: Album, *assets: Asset) -> None:
        await self.immich("DELETE", f"/albums/{album.id}/assets", json={"ids": [asset.id for asset in assets]})

    async def edit(self, asset: Asset) -> None:
        edits = [{"action": "rotate", "parameters": {"angle": 90}}]
        await self.immich("PUT", f"/assets/{asset.id}/edits", json={"edits": edits})

    # ---- on our pages

    async def page(self, method: str, path: str, **more: Any) -> tuple[int, Any, str]:
        """One request of the browser; repeated while the service does not run. Gives status, body and cookie."""

        async def asked() -> tuple[int, Any, str] | None:
            headers = {**FROM_OUR_PAGE, "Cookie": self.cookie}
            try:
                async with (
                    aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
                    session.request(
                        method, self.service.address + path, headers=headers, allow_redirects=False, **more
                    ) as answer,
                ):
                    is_json = answer.content_type == "application/json"
                    body = await answer.json() if is_json else await answer.text()
                    if answer.status in (502, 503):
                        return None
                    return answer.status, body, answer.headers.get("Set-Cookie", "").partition(";")[0]
            except (aiohttp.ClientError, OSError):
                return None

        return tuple(await until(asked, f"{method} {path} is answered", self.service))

    async def connect(self) -> None:
        """Sign in and agree to a connection, or agree anew."""
        if self.way == "cookie":
            self.cookie = f"immich_access_token={self.worlds.real.log_in(self.user)}"
        else:
            form = {"way": "immich", "email": self.user.email, "password": PASSWORD}
            status, said, cookie = await self.page("POST", "/login", data=form)
            assert status == 303, said
            self.cookie = cookie
        data = [("mode", self.mode), *(("feature", name) for name in self.features)]
        status, said, _ = await self.page("POST", "/setup", data=data)
        assert status == 303, said

    async def photo(self, name: str) -> dict[str, Any] | None:
        """The photo with this file name; None where there is none (yet)."""
        status, body, _ = await self.page("GET", "/api/photos?limit=200")
        assert status == 200, body
        found = [item for item in body["items"] if item["file_name"] == name]
        assert len(found) <= 1, f"{name} of {self.name} is there {len(found)} times"
        return found[0] if found else None

    async def reviewable(self, name: str) -> dict[str, Any]:
        """The photo as soon as there is something to decide about it."""

        async def look() -> dict[str, Any] | None:
            photo = await self.photo(name)
            return photo if photo and photo["review"] != "none" and photo["status"] != "working" else None

        return dict(await until(look, f"{name} of {self.name} can be decided about", self.service, 90))

    async def decide(self, name: str, action: str, review: str) -> None:
        """Run a command and see that it was taken, whatever became of its answer."""

        async def decided() -> bool:
            photo = await self.reviewable(name)
            if photo["review"] == review:
                return True
            status, said, _ = await self.page(
                "POST", f"/api/photos/{photo['id']}/{action}", json={"version": photo["version"]}
            )
            assert status in (200, 409), said
            return False

        await until(decided, f"{action} of {name} is taken", self.service)

    async def develop_otherwise(self, name: str, ev: float) -> None:
        """Change the recipe, and wait for the version that is made of it."""

        async def changed() -> bool:
            photo = await self.reviewable(name)
            if photo["version"] == 2:
                return True
            body = {"version": photo["version"], "operations": {"exposure": {"ev": ev}}}
            status, said, _ = await self.page("PUT", f"/api/photos/{photo['id']}/recipe", json=body)
            assert status in (200, 409), said
            return False

        await until(changed, f"{name} is changed", self.service, 90)

    async def retry(self) -> None:
        status, said, _ = await self.page("POST", "/api/queue/retry")
        assert status == 200, said


class Fate(StrEnum):
    """What the service may do with a file."""

    #: It is developed, once.
    DEVELOP = "develop"
    #: It is looked at, and needs nothing.
    ALONE = "alone"
    #: It is none of the service's business.
    UNTOUCHED = "untouched"


@dataclass
class Photo:
    """One file that somebody uploaded in the course of the day."""

    asset: Asset
    content: bytes
    person: Person
    fate: Fate
    #: What its owner decided, `pending` where nothing.
    review: str
    #: The version that is the photo's in the end.
    version: int = 1
    #: Whether its owner took our stack apart.
    apart: bool = False
    #: Whether its owner put the original on top again, in the stack itself.
    put_back: bool = False
    #: Whether it is gone for ever.
    deleted: bool = False


@dataclass
class Story:
    """One photo, or a few that belong together, and what becomes of it through the day."""

    name: str
    person: Person
    #: Hour in which it begins.
    begins: int
    #: What its files are expected to be in the end, by name.
    photos: dict[str, Photo] = field(default_factory=dict)
    steps: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


@dataclass
class Day:
    """Everything that takes part."""

    seed: int
    worlds: Worlds
    service: Service
    people: list[Person]
    random: random.Random
    stories: list[Story] = field(default_factory=list)
    #: Every file of the day, by the id of its asset.
    photos: dict[str, Photo] = field(default_factory=dict)
    journal: list[str] = field(default_factory=list)
    #: When the journal begins.
    begun: float = field(default_factory=time.monotonic)

    def note(self, words: str) -> None:
        self.journal.append(f"{time.monotonic() - self.begun:7.2f} {words}")

    async def calm(self, patience: float = 90) -> None:
        """Wait until nothing is left to do for the service; what it takes long for stands in the journal."""
        deadline, told = time.monotonic() + patience, time.monotonic() + 3
        while left := [next(iter(row.values())) for row in self.service.rows(UNDONE)]:
            if time.monotonic() > told:
                self.note(f"still to do: {left}")
                told = time.monotonic() + 5
            assert time.monotonic() < deadline, f"never done: {left}"
            await asyncio.sleep(0.1)

    async def hour(self, number: int, disturbance: Disturbance) -> None:
        """All that happens in an hour, in an order of its own and partly at once, with one disturbance among it."""
        due = [story for story in self.stories if story.begins <= number and story.steps]
        self.random.shuffle(due)
        self.note(f"hour {number}: {disturbance.__name__}")
        place = self.random.randrange(len(due) + 1)
        trouble: asyncio.Task[None] | None = None
        waiting = list(due)
        while waiting:
            if trouble is None and len(due) - len(waiting) >= place:
                trouble = asyncio.create_task(disturbance())
                await asyncio.sleep(self.random.uniform(0, 0.2))
            # Phone and web at once.
            some, waiting = waiting[:3], waiting[3:]
            await asyncio.gather(*(self._step(story) for story in some))
        if trouble is None:
            trouble = asyncio.create_task(disturbance())
        await trouble

    async def _step(self, story: Story) -> None:
        step = story.steps.pop(0)
        self.note(f"{story.person.name}/{story.name}: {len(story.steps)} steps left")
        await asyncio.sleep(self.random.uniform(0, 0.1))
        await step()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@asynccontextmanager
async def a_day(folder: Path, seed: int, *, old_assets: int) -> AsyncIterator[Day]:
    """Two Immichs with the same long past, and three people who are connected to the service beside one of them."""
    port = free_port()
    async with ImmichServer() as real, ImmichServer() as control:
        worlds = Worlds(real, control)
        variables = {
            "IMMICH_URL": real.url,
            "SIDECAR_PORT": str(port),
            "SIDECAR_WEBHOOK_URL": f"http://127.0.0.1:{port}",
            "SIDECAR_POLL_SECONDS": "1.5",
            # Else whoever sits at this computer is its operator.
            "SIDECAR_PASSWORD": "the operator's",
        }
        service = Service(folder, variables)
        usual = ("thumbnails", "review_tags", "albums", "faces", "statistics", "unstack", "about", "webhook")
        people = [
            Person(worlds, service, worlds.user("Ada", is_admin=True), "stack", (*usual, "retire"), "form"),
            Person(worlds, service, worlds.user("Bob"), "review", usual, "cookie"),
            Person(worlds, service, worlds.user("Cleo"), "auto", usual, "form"),
        ]
        for person in people:
            (person.phone,) = [key.secret for key in real.keys_of(person.user)]
        day = Day(seed, worlds, service, people, random.Random(seed))
        live_long_before(worlds, [person.user for person in people], old_assets)
        await service.start()
        try:
            for person in people:
                await person.connect()
            yield day
        finally:
            print("\n".join(day.journal))
            if service.runs:
                await service.stop()
