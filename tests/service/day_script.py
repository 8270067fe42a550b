"""What happens on the scripted day: stories of photos, and what goes wrong meanwhile."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from tests.immich_server import Album, Asset, ImmichServer
from tests.photos import shots
from tests.service.day import Day, Disturbance, Fate, Person, Photo, Story

HOURS = 7
SIZE = (240, 160)
#: What becomes of a photo that its owner says nothing about, by mode.
AT_FIRST = {"stack": "pending", "review": "pending", "auto": "approved"}


class Script:
    """Fills a day with stories; `amount` is how often each is told for each person."""

    def __init__(self, day: Day, amount: int = 1) -> None:
        self.day = day
        self.random = day.random
        self._seeds: Iterator[int] = itertools.count(day.seed * 1000)
        for person in day.people:
            for number in range(amount):
                for tell in self._told(person):
                    story = Story(f"{tell.__name__}{number}", person, self.random.randint(1, 3))
                    tell(story)
                    day.stories.append(story)
        self._together()

    def _told(self, person: Person) -> list[Callable[[Story], None]]:
        common = [self.plain, self.approved, self.rejected, self.changed, self.burst, self.good, self.strangers]
        apart = {
            "Ada": [
                self.taken_apart,
                self.in_albums,
                self.trashed,
                self.pair,
                self.library,
                self.twice_replaced,
                self.put_back,
            ],
            "Bob": [self.undone, self.in_albums, self.edited, self.live, self.shared_album, self.words],
            "Cleo": [self.deleted, self.archived, self.trashed, self.pair, self.undone, self.words, self.known],
        }
        return [*common, *apart[person.name]]

    # ---- files

    def dark(self) -> bytes:
        return shots.jpeg(next(self._seeds), size=SIZE, ev=-3.0)

    async def arrives(
        self, story: Story, name: str, content: bytes | None = None, fate: Fate = Fate.DEVELOP, **fields: str
    ) -> Asset:
        """Somebody uploads a photo, now and then twice."""
        person, name = story.person, f"{story.name}-{name}"
        content = content if content is not None else self.dark()
        if self.random.random() < 0.3:
            # By phone and web at once; Immich keeps one.
            asset, _ = await asyncio.gather(
                person.upload(content, name, **fields), person.upload(content, name, **fields)
            )
        else:
            asset = await person.upload(content, name, **fields)
        review = AT_FIRST[person.mode]
        self.day.photos[asset.id] = story.photos[name] = Photo(asset, content, person, fate, review)
        return asset

    def begins(self, story: Story, *names: str, fate: Fate = Fate.DEVELOP, **fields: str) -> list[Photo]:
        """The first step of a story: these photos arrive. They are in the list once they are there."""
        photos: list[Photo] = []

        async def arrive() -> None:
            for name in names:
                asset = await self.arrives(story, name, None, fate, **fields)
                photos.append(self.day.photos[asset.id])

        story.steps.append(arrive)
        return photos

    def decides(self, story: Story, photos: list[Photo], action: str, review: str, which: int = 0) -> None:
        async def decide() -> None:
            photo = photos[which]
            await story.person.decide(photo.asset.name, action, review)
            photo.review = review

        story.steps.append(decide)

    # ---- stories that everybody has

    def plain(self, story: Story) -> None:
        self.begins(story, "a.jpg")

    def approved(self, story: Story) -> None:
        self.decides(story, self.begins(story, "a.jpg"), "approve", "approved")

    def rejected(self, story: Story) -> None:
        self.decides(story, self.begins(story, "a.jpg"), "reject", "rejected")

    def undone(self, story: Story) -> None:
        photos = self.begins(story, "a.jpg")
        before = AT_FIRST[story.person.mode]
        self.decides(story, photos, "reject", "rejected")
        self.decides(story, photos, "undo", before)
        if before == "pending":
            self.decides(story, photos, "approve", "approved")
            self.decides(story, photos, "undo", "pending")

    def changed(self, story: Story) -> None:
        photos = self.begins(story, "a.jpg")
        self._changes(story, photos)
        self.decides(story, photos, "approve", "approved")

    def twice_replaced(self, story: Story) -> None:
        photos = self.begins(story, "a.jpg")
        self.decides(story, photos, "approve", "approved")
        self._changes(story, photos)
        self.decides(story, photos, "approve", "approved")

    def _changes(self, story: Story, photos: list[Photo]) -> None:
        async def change() -> None:
            (photo,) = photos
            await story.person.develop_otherwise(photo.asset.name, 0.8)
            photo.version, photo.review = 2, "pending"

        story.steps.append(change)

    def burst(self, story: Story) -> None:
        """Three of one scene, stacked by their owner, who then approves the one on top and another."""
        photos = self.begins(story, "a.jpg", "b.jpg", "c.jpg")

        async def stack() -> None:
            # Immich cannot tell two who stack at the same moment apart: whoever comes last has it their way.
            await self.day.calm()
            await story.person.stack(*(photo.asset for photo in photos))

        story.steps.append(stack)
        self.decides(story, photos, "approve", "approved", self.random.randrange(3))
        self.decides(story, photos, "reject", "rejected", self.random.randrange(3))

    def good(self, story: Story) -> None:
        async def arrive() -> None:
            await self.arrives(story, "a.jpg", shots.jpeg(next(self._seeds), size=SIZE), Fate.ALONE)

        story.steps.append(arrive)

    def strangers(self, story: Story) -> None:
        """Files that are none of the service's business."""

        async def arrive() -> None:
            number = next(self._seeds).to_bytes(8, "big")
            await self.arrives(story, "film.mp4", b"film" + number, Fate.UNTOUCHED)
            await self.arrives(story, "locked.jpg", None, Fate.UNTOUCHED, visibility="locked")
            await self.arrives(story, "hidden.jpg", None, Fate.UNTOUCHED, visibility="hidden")
            await self.arrives(story, "Screenshot_20240506-070809.jpg", None, Fate.UNTOUCHED)
            await self.arrives(story, "moving.gif", b"GIF89a" + number, Fate.UNTOUCHED)

        story.steps.append(arrive)

    # ---- stories of some

    def archived(self, story: Story) -> None:
        self.begins(story, "a.jpg", visibility="archive")

    def live(self, story: Story) -> None:
        async def arrive() -> None:
            number = next(self._seeds).to_bytes(8, "big")
            film = await self.arrives(story, "a.mov", b"moving" + number, Fate.UNTOUCHED)
            await self.arrives(story, "a.jpg", None, Fate.UNTOUCHED, livePhotoVideoId=film.id)

        story.steps.append(arrive)

    def pair(self, story: Story) -> None:
        """RAW and JPEG of one shot, in either order."""
        seed = next(self._seeds)
        files = [
            ("a.DNG", shots.raw(seed, size=SIZE), Fate.DEVELOP),
            ("a.JPG", shots.jpeg(seed, size=SIZE), Fate.UNTOUCHED),
        ]
        self.random.shuffle(files)

        async def arrive() -> None:
            for name, content, fate in files:
                await self.arrives(story, name, content, fate)

        story.steps.append(arrive)

    def library(self, story: Story) -> None:
        """A scan finds a photo in an external library."""
        content, name = self.dark(), f"{story.name}-found.jpg"

        async def scan() -> None:
            (library,) = [
                one for one in self.day.worlds.real.store.libraries.values() if one.owner is story.person.user
            ]

            def put(server: ImmichServer, _: Any) -> Asset:
                return server.add_external(server.store.libraries[library.id], content, name, scan=True)

            asset: Asset = self.day.worlds.put(put)
            self.day.photos[asset.id] = Photo(asset, content, story.person, Fate.UNTOUCHED, "none")

        story.steps.append(scan)

    def taken_apart(self, story: Story) -> None:
        photos = self.begins(story, "a.jpg")

        async def take_apart() -> None:
            (photo,) = photos
            await story.person.reviewable(photo.asset.name)
            await self.day.calm()
            await story.person.unstack(photo.asset)
            photo.apart = True

        story.steps.append(take_apart)
        self.decides(story, photos, "approve", "approved")

    def put_back(self, story: Story) -> None:
        """Approved, and then its owner puts the original on top again in Immich; what is decided later keeps that."""
        photos = self.begins(story, "a.jpg")
        self.decides(story, photos, "approve", "approved")

        async def put() -> None:
            await self.day.calm()
            await story.person.put_on_top(photos[0].asset)
            photos[0].put_back = True

        story.steps.append(put)

    def known(self, story: Story) -> None:
        """A phone sends again what lies in the trash since long."""

        async def send() -> None:
            (crowd,) = [one for one in self.day.worlds.real.store.assets.crowds if one.name == "BIN_{}.jpg"]
            await story.person.upload(crowd.content(3), "BIN-again.jpg")

        story.steps.append(send)

    def trashed(self, story: Story) -> None:
        """Thrown away at any moment, and taken out again later."""
        photos = self.begins(story, "a.jpg")

        async def trash() -> None:
            await story.person.trash(photos[0].asset)

        async def restore() -> None:
            await story.person.restore(photos[0].asset)

        story.steps += [trash, restore]

    def deleted(self, story: Story) -> None:
        photos = self.begins(story, "a.jpg")

        async def delete() -> None:
            photos[0].deleted = True
            await story.person.trash(photos[0].asset, force=True)

        story.steps.append(delete)

    def edited(self, story: Story) -> None:
        """Turned in Immich itself after it was developed."""
        photos = self.begins(story, "a.jpg")
        self.decides(story, photos, "approve", "approved")

        async def edit() -> None:
            await self.day.calm()
            await story.person.edit(photos[0].asset)

        story.steps.append(edit)

    def words(self, story: Story) -> None:
        """Its owner says something about it, before and after the version is there."""
        photos = self.begins(story, "a.jpg")

        async def say() -> None:
            # Written through Immich's sidecar; before the file was read that would be lost in both.
            await asyncio.sleep(0.3)
            asset, person = photos[0].asset, story.person
            await person.change(asset, isFavorite=True, rating=4, description="at the sea")
            await person.tag(asset, "holiday")

        story.steps.append(say)
        self.decides(story, photos, "approve", "approved")

    def in_albums(self, story: Story) -> None:
        """In one album from the beginning, in another later."""
        photos = self.begins(story, "a.jpg")
        person = story.person
        albums: list[Album] = []

        async def collect() -> None:
            for name in ("one", "two"):
                body = await person.immich("POST", "/albums", json={"albumName": f"{story.name}-{name}"})
                albums.append(self.day.worlds.real.albums[body["id"]])
            await person.into(albums[0], photos[0].asset)

        story.steps.append(collect)
        self.decides(story, photos, "approve", "approved")

    def shared_album(self, story: Story) -> None:
        """In albums of somebody else: one in which one may write, one in which not any more."""
        photos = self.begins(story, "a.jpg")
        ada = self.day.people[0]
        albums: list[Album] = []

        async def share() -> None:
            for name in ("open", "closed"):
                users = [{"userId": story.person.user.id, "role": "editor"}]
                body = await ada.immich(
                    "POST", "/albums", json={"albumName": f"{story.name}-{name}", "albumUsers": users}
                )
                albums.append(self.day.worlds.real.albums[body["id"]])
                await story.person.into(albums[-1], photos[0].asset)
            path = f"/albums/{albums[1].id}/user/{story.person.user.id}"
            await ada.immich("PUT", path, json={"role": "viewer"})

        story.steps.append(share)
        self.decides(story, photos, "approve", "approved")

    def _together(self) -> None:
        """One file that two people have."""
        content = self.dark()
        for person in self.day.people[:2]:
            story = Story("same", person, 2)

            async def arrive(story: Story = story) -> None:
                await self.arrives(story, "file.jpg", content)

            story.steps.append(arrive)
            self.day.stories.append(story)

    # ---- what goes wrong

    def disturbances(self) -> list[Disturbance]:
        """One for each hour, in an order of the day's own."""
        every: list[Disturbance] = [
            self.webhooks_are_lost,
            self.service_is_killed,
            self.immich_is_restarted,
            self.immich_is_in_maintenance,
            self.a_key_is_revoked,
            self.a_quota_is_reached,
            self.clocks_go_wrong,
        ]
        self.random.shuffle(every)
        return every

    async def webhooks_are_lost(self) -> None:
        self.day.worlds.real.lose_webhooks(30)
        self.day.worlds.real.slow_down("/search/metadata", 1.0, times=4)

    async def service_is_killed(self) -> None:
        for _ in range(2):
            await asyncio.sleep(self.random.uniform(0.3, 1.5))
            await self.day.service.kill()
            await asyncio.sleep(self.random.uniform(0, 0.5))
            await self.day.service.start()

    async def immich_is_restarted(self) -> None:
        immich = self.day.worlds.real
        for path in ("/api/stacks$", "/api/assets$", "/metadata$"):
            immich.lose_answer_next(path, method=self.random.choice(["POST", "PUT"]))
        immich.cut_upload_after(2000)
        await asyncio.sleep(self.random.uniform(0.2, 1))
        await immich.go_away()
        await asyncio.sleep(self.random.uniform(0.3, 1.5))
        await immich.come_back()

    async def immich_is_in_maintenance(self) -> None:
        immich = self.day.worlds.real
        await asyncio.sleep(self.random.uniform(0, 0.5))
        immich.maintenance = True
        await asyncio.sleep(self.random.uniform(0.5, 2))
        immich.maintenance = False

    async def a_key_is_revoked(self) -> None:
        """Bob deletes our key in Immich, and agrees anew a while later."""
        bob = self.day.people[1]
        await asyncio.sleep(self.random.uniform(0, 0.5))
        for key in self.day.worlds.real.keys_of(bob.user):
            if key.name != "phone":
                self.day.worlds.real.revoke_key(key.secret)
        await asyncio.sleep(self.random.uniform(0.5, 2))
        await bob.connect()

    async def a_quota_is_reached(self) -> None:
        """Cleo has no space left until somebody gives her more; her phone tries again by itself."""
        cleo = self.day.people[2]
        self.day.worlds.real.quota(cleo.user, 0)
        await asyncio.sleep(self.random.uniform(0.5, 2.5))
        self.day.worlds.real.quota(cleo.user, None)
        await cleo.retry()

    async def clocks_go_wrong(self) -> None:
        """The service ends in an orderly way, and finds Immich's clock some minutes off."""
        await self.day.service.stop()
        minutes = self.random.choice([-4, -1, 1, 4])
        self.day.worlds.real.store.clock_skew += timedelta(minutes=minutes)
        await asyncio.sleep(self.random.uniform(0, 1))
        await self.day.service.start()
