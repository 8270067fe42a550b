"""Whether the service did what it was to do on the scripted day, and nothing else.

Nothing here asks the service or uses its code: the state of the Immich that it was beside is held against that of the
control, and every difference has to be one of those that are named here.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import Any

from tests.immich_server import Asset, Difference, differences
from tests.immich_server.snapshot import Snapshot
from tests.service.day import Day, Fate, Photo

#: The key of our marks.
KEY = "immich-sidecar"
#: Differ because the two were asked one after the other.
IGNORED = ("updated_at", "created_at", "used", "path")


class Check:
    """The two states in the evening; `violations` says in words what should not be so."""

    def __init__(self, day: Day) -> None:
        self.day = day
        self.real, self.control = day.worlds.both
        self.violations: list[str] = []
        self.before: Snapshot = self.control.snapshot(contents=True)
        self.after: Snapshot = self.real.snapshot(contents=True)
        #: Assets of ours by the id of their original and their version.
        self.ours: dict[str, dict[int, Asset]] = {}
        self.our_ids: set[str] = set()
        self._read_ours()
        for difference in differences(self.before, self.after, ignore=IGNORED):
            if not self._is_allowed(difference):
                self._wrong(str(difference))
        for photo in day.photos.values():
            self._look_at(photo)
        self._count()

    def _wrong(self, words: str) -> None:
        self.violations.append(words)

    # ---- what came

    def _read_ours(self) -> None:
        """What is in the one and not in the other: each must be a version of an eligible photo, none twice."""
        for asset_id in self.after["asset"].keys() - self.before["asset"].keys():
            asset = self.real.assets.get(asset_id)
            entry = self.after["asset"][asset_id]
            mark = (entry.get("metadata") or {}).get(KEY) or {}
            original = str(mark.get("original_asset_id"))
            photo = self.day.photos.get(original)
            if asset is None or photo is None or photo.fate is not Fate.DEVELOP:
                self._wrong(f"{entry['name']} of {entry.get('owner')} came, made of {original}: {mark}")
                continue
            if entry["owner"] != photo.person.name:
                self._wrong(f"{entry['name']} belongs to {entry['owner']}, and its original to {photo.person.name}")
            if mark.get("sha256") != hashlib.sha256(photo.content).hexdigest() or not mark.get("is_processed"):
                self._wrong(f"the mark of {entry['name']} is wrong: {mark}")
            versions = self.ours.setdefault(original, {})
            if mark["version"] in versions:
                self._wrong(f"version {mark['version']} of {photo.asset.name} is there twice")
            versions[mark["version"]] = asset
            self.our_ids.add(asset_id)

    # ---- what changed

    def _is_allowed(self, difference: Difference) -> bool:
        look = getattr(self, f"_{difference.kind}", None)
        return bool(look and look(difference))

    def _asset(self, difference: Difference) -> bool:
        if difference.came:
            return difference.id in self.our_ids or any(difference.label in words for words in self.violations)
        photo = self.day.photos.get(difference.id)
        if difference.went or photo is None:
            # Those that were stacked by their owner with a photo of the day are not among the old ones.
            return False
        if difference.field == "metadata":
            return photo.fate is Fate.DEVELOP and self._is_mark_of(photo, difference)
        if difference.field == "tags":
            added = set(difference.after) - set(difference.before)
            lost = set(difference.before) - set(difference.after)
            allowed = {"Sidecar/Review"} if photo.review == "pending" and photo.fate is Fate.DEVELOP else set()
            return not lost and added <= allowed
        if difference.field == "stack":
            # Never out of a stack of the owner's; into one with our versions alone.
            members = self._members(difference.after)
            return difference.before is None and bool(members) and members - self.our_ids == {difference.id}
        return False

    def _is_mark_of(self, photo: Photo, difference: Difference) -> bool:
        mark = dict(difference.after).pop(KEY, {})
        rest = {key: value for key, value in difference.after.items() if key != KEY}
        return (
            rest == difference.before
            and bool(mark.get("is_original"))
            and mark.get("sha256") == hashlib.sha256(photo.content).hexdigest()
            and mark.get("review") == photo.review
            and mark.get("version") == photo.version
        )

    def _stack(self, difference: Difference) -> bool:
        if difference.came:
            members = set(difference.after["assets"])
            originals = members - self.our_ids
            return len(originals) <= 1 and all(self._made_of(one) in originals for one in members & self.our_ids)
        if difference.field == "assets":
            more = set(difference.after) - set(difference.before)
            lost = set(difference.before) - set(difference.after)
            return not lost and all(self._made_of(one) in difference.before for one in more)
        if difference.field in ("primary", "name"):
            # Ours may be on top where its original was, and is approved.
            primary = self.after["stack"][difference.id]["primary"]
            photo = self.day.photos.get(self.before["stack"][difference.id]["primary"])
            return photo is not None and photo.review == "approved" and self._made_of(primary) == photo.asset.id
        return False

    def _album(self, difference: Difference) -> bool:
        if difference.field != "assets":
            return False
        album = self.real.albums[difference.id]
        more = set(difference.after) - set(difference.before)
        for asset_id in more:
            photo = self.day.photos.get(self._made_of(asset_id) or "")
            if photo is None or photo.review != "approved" or photo.asset.id not in difference.before:
                return False
            if album.role_of(photo.person.user) not in ("owner", "editor"):
                return False
        return not set(difference.before) - set(difference.after)

    def _tag(self, difference: Difference) -> bool:
        return difference.came and (difference.label == "Sidecar" or difference.label.startswith("Sidecar/"))

    def _workflow(self, difference: Difference) -> bool:
        return difference.came and difference.label == "immich-sidecar"

    def _key(self, difference: Difference) -> bool:
        return difference.came and difference.label.startswith("immich-sidecar")

    # ---- what had to happen

    def _look_at(self, photo: Photo) -> None:
        versions, name = self.ours.get(photo.asset.id, {}), f"{photo.person.name}'s {photo.asset.name}"
        if photo.fate is not Fate.DEVELOP or photo.deleted:
            return
        mode, current = photo.person.mode, photo.version
        if photo.review == "pending" and "Sidecar/Review" not in self.real.tags_of(photo.asset):
            self._wrong(f"{name} waits and is not tagged")
        # An earlier version that was replaced before it was sent is not sent any more.
        possible: list[set[int]] = [{current}] if photo.review == "approved" or mode != "review" else [set(), {current}]
        if current == 2 and mode != "review":
            possible = [{1, 2}, {2}] if photo.review == "approved" else [{1}, set()]
        if photo.review == "rejected":
            # Rejected before it was sent.
            possible.append(set())
        if set(versions) not in possible:
            self._wrong(f"{name} ({mode}, {photo.review}) has the versions {sorted(versions)}, not one of {possible}")
            return
        if not versions:
            return
        asset = versions[max(versions)]
        mark = self.real.metadata_of(asset, KEY) or {}
        if mark.get("review") != photo.review:
            self._wrong(f"the mark of {asset.name} says {mark.get('review')}, not {photo.review}")
        if photo.asset.visibility == "timeline" and asset.visibility != "timeline" and asset.deleted_at is None:
            self._wrong(f"{asset.name} is in {asset.visibility}")
        if photo.asset.visibility == "archive" and asset.visibility != "archive":
            self._wrong(f"{asset.name} is not in the archive like its original")
        self._look_at_stack(photo, asset, name)
        self._look_at_albums(photo, asset)
        retires = "retire" in photo.person.features
        for n, version in versions.items():
            gone = n != current or photo.review == "rejected"
            if version.deleted_at is not None and not (retires and gone):
                self._wrong(f"{version.name} is in the trash")
            if version.deleted_at is None and retires and n != current and photo.review == "approved":
                self._wrong(f"{version.name} was replaced and is not in the trash")
        # One that was published before is not asked about later.
        if mode == "review" and photo.asset.is_favorite and not asset.is_favorite:
            self._wrong(f"{asset.name} is no favourite like its original")

    def _look_at_stack(self, photo: Photo, asset: Asset, name: str) -> None:
        if photo.apart:
            if photo.asset.stack_id is not None or asset.stack_id is not None:
                self._wrong(f"{name} was taken apart and is stacked again")
            return
        if photo.asset.stack_id is None or asset.stack_id != photo.asset.stack_id:
            self._wrong(f"{asset.name} ({photo.review}) is not in a stack with {name}")
            return
        primary = self.real.stacks[photo.asset.stack_id].primary_asset_id
        before = self.control.assets[photo.asset.id].stack_id
        top = self.control.stacks[before].primary_asset_id if before else photo.asset.id
        ours = photo.review == "approved" and not photo.put_back
        if top == photo.asset.id and primary != (asset.id if ours else photo.asset.id):
            there = self.real.assets[primary].name
            self._wrong(f"{there} is on top of the stack of {name} ({photo.review})")
        if top != photo.asset.id and primary == asset.id:
            self._wrong(f"{asset.name} took the place of another in the stack of {name}")

    def _look_at_albums(self, photo: Photo, asset: Asset) -> None:
        for album in self.real.albums.values():
            writable = album.role_of(photo.person.user) in ("owner", "editor")
            wanted = photo.asset.id in album.asset_ids and writable and photo.review == "approved"
            if wanted and asset.id not in album.asset_ids:
                self._wrong(f"{asset.name} is not in the album {album.name}")

    def _count(self) -> None:
        """One key, one webhook; nothing uploaded that is not there; nothing lost."""
        for person in self.day.people:
            keys = [key for key in self.real.keys_of(person.user) if key.name != "phone"]
            if len(keys) != 1:
                self._wrong(f"{person.name} has {len(keys)} keys of ours")
            hooks = self.real.workflows_of(person.user)
            if len(hooks) != 1:
                self._wrong(f"{person.name} has {len(hooks)} webhooks of ours")
        sent = Counter(upload.asset_id for upload in self.real.uploads if upload.status == 201)
        ours = sum(self.our_ids.__contains__(asset_id) for asset_id in sent)
        lost = [one for one in sent if one not in self.real.assets and one not in self.day.photos]
        if ours != len(self.our_ids) or lost:
            self._wrong(f"{len(self.our_ids)} versions are there, {ours} of them were uploaded; {lost} are lost")

    # ---- looking

    def _made_of(self, asset_id: str) -> str | None:
        """The id of the original that one of ours was made of."""
        return next(
            (
                original
                for original, versions in self.ours.items()
                for asset in versions.values()
                if asset.id == asset_id
            ),
            None,
        )

    def _members(self, stack_id: Any) -> set[str]:
        found = self.after["stack"].get(str(stack_id))
        return set(found["assets"]) if found else set()
