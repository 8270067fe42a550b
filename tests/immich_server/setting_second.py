"""The state that the requests meet which were recorded from 2.7.5 only (701 and up)."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

from PIL import Image

from . import ImmichServer
from .records import Asset, Workflow
from .setting import Setting


class SecondSetting(Setting):
    def __init__(self, server: ImmichServer, recordings: list[dict[str, Any]]) -> None:
        super().__init__(server, recordings)
        self._events |= {
            "285": self._read_again,
            # The real one's background work was not done when the next request came.
            "419": lambda: self._workflow("419"),
            "420": server.store.workflows.clear,
            "422": lambda: self._workflow("419"),
            "705": self._hold,
            "711": self._go_on,
            "731": lambda: self._rate("731", -1),
            "732": lambda: (self._rate("731", None), self._only("732")),
            "741": lambda: self._only("741"),
            "755": self._stack_of_one,
            "756": self._child_in_trash,
            "760": self._copy_target,
            "764": self._album_with_one,
            "765": self._to_be_edited,
            "777": self._shared_album,
            "782": self._lost_file,
        }
        self._mentioned: dict[str, str] = {}

    def prepare(self, name: str) -> None:
        super().prepare(name)
        if name[0] != "7":
            return
        recording = self._recordings[name]
        told = f"{recording['request']['path']} {recording['request'].get('body')} {recording['response']['body']}"
        for asset_id, entries in self._described.items():
            owned = entries[0]["ownerId"] == self.admin.id
            if asset_id in told and asset_id not in self._server.assets and owned:
                self._put(self.admin, entries[0])

    def _workflow(self, number: str) -> None:
        """One that was made before it was asked for, and gone when others were."""
        told, now = self._said(number), self._server.store.now()
        made = Workflow(
            id=told["id"],
            owner=self.admin,
            trigger=told["triggerType"],
            name=told["name"],
            description=told["description"],
            enabled=told["enabled"],
            steps=told["actions"],
            created_at=now,
            updated_at=now,
        )
        self._server.store.workflows[made.id] = made

    def _only(self, number: str) -> None:
        """What is in the timeline is what this search found, and assets without a rating that it did not ask for."""
        found = {item["id"] for item in self._said(number)["assets"]["items"]}
        for asset in list(self._server.assets.values()):
            listed = asset.id in found or asset.exif.get("rating") is not None
            if asset.visibility == "timeline" and asset.owner is self.admin and not asset.deleted_at and not listed:
                self._server.delete(asset)

    def _read_again(self) -> None:
        """The sidecar that a change of the rating wrote was read again, after other assets had been changed."""
        self.asset("density_plot.png").updated_at = self.asset("polemonium_reptans.jpg").updated_at - timedelta(
            seconds=1
        )

    def _rate(self, number: str, rating: int | None) -> None:
        """Rate what this search found."""
        (found,) = self._said(number)["assets"]["items"]
        self._server.assets[found["id"]].exif["rating"] = rating

    def _named(self, number: str) -> Asset:
        """The one asset that an answer describes, put there."""
        body = self._said(number)
        described = body["assets"][0] if "assets" in body else body
        return self._server.assets.get(described["id"]) or self._put(self.admin, self._described[described["id"]][0])

    def _stack_of_one(self) -> None:
        child = self._server.add_asset(self.admin, b"a child that is lost", "child.jpg")
        self._server.add_asset(self.admin, b"another", "other.jpg", visibility="hidden")
        primary = self._named("755")
        self.ids.append(self._said("755")["id"])
        self._server.add_stack(primary, child)
        self._server.delete(child)

    def _child_in_trash(self) -> None:
        child = self._server.add_asset(self.admin, b"a child in the trash", "trashed-child.jpg")
        self._server.add_stack(self._named("756"), child)
        self._server.trash(child)

    def _copy_target(self) -> None:
        target = self._recordings["760"]["request"]["body"]["targetId"]
        self._server.add_asset(self.admin, b"the target of a copy", "target.jpg", id=target)

    def _album_with_one(self) -> None:
        album = self._server.albums[self._said("764")["id"]]
        album.asset_ids = [self._said("764")["albumThumbnailAssetId"]]

    def _to_be_edited(self) -> None:
        asset_id = self._recordings["765"]["request"]["path"].split("/")[3]
        buffer = io.BytesIO()
        Image.new("RGB", (320, 240), "teal").save(buffer, "JPEG")
        self._server.add_asset(self.admin, buffer.getvalue(), "p25.jpg", id=asset_id)

    def _shared_album(self) -> None:
        said = self._said("778")
        other = next(user for user in self._server.store.users.values() if user is not self.admin)
        del self._server.store.users[other.id]
        other.id, other.name, other.email = (said["owner"][name] for name in ("id", "name", "email"))
        self._server.store.users[other.id] = other
        theirs = self._put(other, said["assets"][0])
        self.ids.append(said["id"])
        self._server.add_album(other, said["albumName"], theirs, roles={self.admin: "editor"})

    def _lost_file(self) -> None:
        asset_id = self._recordings["782"]["request"]["path"].split("/")[3]
        self._server.add_asset(self.admin, b"lost", "gone.jpg", id=asset_id).file.unlink()
