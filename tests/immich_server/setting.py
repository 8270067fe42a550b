"""The state that recorded requests meet: users, keys, and the assets and stacks whose making was not recorded.

It is read from the recordings themselves: an asset that an answer describes before anything recorded made it is put
there as it is first described.
"""

from __future__ import annotations

import io
import random
import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from PIL import ExifTags, Image

from . import ImmichServer
from .processing import upsert_tags
from .records import Asset, User, parse_checksum
from .sessions import make_session

FORM_DATE = "2026-01-02T03:04:05"
#: Keys that the recordings name but did not make.
KEYS = {
    "tiny": ["asset.read"],
    "keymaker": ["apiKey.create", "asset.read"],
    "stack-read": ["stack.read"],
    "stack.create": ["stack.create"],
}


class Setting:
    """Puts things there when their time in the order of the recordings has come."""

    def __init__(self, server: ImmichServer, recordings: list[dict[str, Any]]) -> None:
        self._server = server
        self._recordings = {recording["name"][:3]: recording for recording in recordings}
        self._recordings |= {recording["name"]: recording for recording in recordings}
        #: Recorded checksums to ours.
        self.checksums: dict[str, str] = {}
        #: The ids that what is made next gets.
        self.ids: deque[str] = deque()
        self._described: dict[str, list[dict[str, Any]]] = {}
        #: Tags by their value, and those that requests made.
        self._tag_ids: dict[str, str] = {}
        self._asked_tags = {"immediate"}
        for recording in recordings:
            self._collect(recording.get("response", recording))
            if recording.get("request", {}).get("path") == "/api/tags" and recording["response"]["status"] == 200:
                for tag in recording["response"]["body"] if recording["request"]["method"] == "PUT" else ():
                    parts = tag["value"].split("/")
                    self._asked_tags |= {"/".join(parts[: index + 1]) for index in range(len(parts))}
        server.store.new_tag_id = lambda value: self._tag_ids.get(value) or str(uuid.uuid4())
        server.plugins_loaded = False
        self._same_bytes = {self._said("428")["id"]: self._said("203")["assets"][1]["id"]}
        self._events: dict[str, Callable[[], object]] = {
            "013": self._first_keys,
            "041": self._load_plugins,
            "101": self._hold,
            "104": self._go_on,
            "201": self._second_run,
            "231": self._stack_before_search,
            "322": self._hold,
            "324": self._go_on,
            "409": lambda: self._seed("DSC_0001.JPG"),
            "425": self._second_user,
            "438": lambda: self._seed("now.jpg"),
            "439": self._immediate,
            "601": self._third_run,
            "611": lambda: self._key(self.admin, "stack.create"),
            "604": lambda: self._delete("s2.jpg"),
            "605": lambda: self._delete("s1.jpg"),
            "606": self._promoted,
            "607": lambda: self._server.trash(self.asset("s5.jpg")),
            "608": lambda: self._server.stacks.pop(self._unstack("s4.jpg")),
        }
        #: When, by the recording's clock, the asset changed that a search asks for.
        self.changed_at = self._recordings["285"]["request"]["body"]["updatedAfter"]
        self.admin = self._first_users()

    def prepare(self, name: str) -> None:
        """Let happen what happened before this recording without being recorded."""
        if event := self._events.get(name[:3]):
            event()

    def _said(self, number: str) -> Any:
        return self._recordings[number]["response"]["body"]

    def _first_users(self) -> User:
        admin = self._server.add_user("Admin", is_admin=True)
        described = self._said("020")
        del self._server.store.users[admin.id]
        admin.id, admin.password = described["id"], "<password>"
        self._server.store.users[admin.id] = admin
        make_session(self._server.store, admin, "<session-token>")
        # The order of making is the order of the list of keys.
        self._server.store.new_id = lambda: self.ids.popleft() if self.ids else str(uuid.uuid4())
        keys = self._said("019")
        self._key_ids = {key["name"]: key["id"] for key in keys}
        return admin

    def _first_keys(self) -> None:
        self._key(self.admin, "tiny")
        self._key(self.admin, "keymaker")

    def _key(self, user: User, name: str, permissions: list[str] | None = None) -> None:
        secret = self._server.add_key(user, permissions or KEYS[name], name)
        key = self._server.store.keys.pop(secret)
        key.id, key.secret = self._key_ids.get(name, key.id), f"<api-key-{name}>"
        self._server.store.keys[key.secret] = key

    def _load_plugins(self) -> None:
        self._server.plugins_loaded = True

    def _hold(self) -> None:
        self._server.hold_processing()

    def _go_on(self) -> None:
        self._server.go_on_processing()

    def _second_run(self) -> None:
        self._key(self.admin, "stack-read")
        for name in (
            *("tanners_ridge.jpg", "wood_anemones.jpg", "polemonium_reptans.jpg", "el_torcal_rocks.jpg"),
            *("thompson-springs.jpg", "density_plot.png", "denali.webp", "IMG_2682.heic", "8bit-sRGB.avif"),
            *("8bit-sRGB.jxl", "portrait-orientation-6.jpg", "mongolels.jpg"),
        ):
            self._seed(name)
        # Of files whose tags no answer tells.
        values = [tag["value"] for tag in self._said("237")]
        upsert_tags(self._server.store, self.admin, [value for value in values if value not in self._asked_tags])

    def _stack_before_search(self) -> None:
        stack_id = self._said("327")["id"]
        self._stack(stack_id, "tanners_ridge.jpg", "wood_anemones.jpg")

    def _second_user(self) -> None:
        self._key(self._server.add_user("Second"), "user2", ["all"])

    def _immediate(self) -> None:
        self._seed("imm.jpg")
        self._seed("imm2.jpg")
        (tag,) = upsert_tags(self._server.store, self.admin, ["immediate"])
        for name in ("imm.jpg", "imm2.jpg"):
            self.asset(name).tag_ids = [tag.id]
        other = self._server.add_asset(self.admin, b"its companion", "companion.jpg")
        self._stack(self._said("439")["stack"]["id"], "imm.jpg", other.name)

    def _third_run(self) -> None:
        promoted = [asset["originalFileName"] for asset in self._said("606")["assets"]]
        for name in ("s1.jpg", "s2.jpg", "s3.jpg", *promoted, "s6.jpg", "s7.jpg"):
            self._seed(name)
        self._stack(self._said("602")["id"], "s1.jpg", "s2.jpg")

    def _promoted(self) -> None:
        lost = self._server.add_asset(self.admin, b"a lost primary", "lost.jpg")
        promoted = self._said("606")
        self._stack(promoted["id"], lost.name, *(asset["originalFileName"] for asset in promoted["assets"]))
        self._server.delete(lost)

    def _unstack(self, name: str) -> str:
        stack_id = self.asset(name).stack_id
        assert stack_id is not None
        for member in self._server.store.members(stack_id, hidden=True):
            member.stack_id = None
        return stack_id

    def _delete(self, name: str) -> None:
        self._server.delete(self.asset(name))

    def _stack(self, stack_id: str, *names: str) -> None:
        self.ids.append(stack_id)
        self._server.add_stack(*(self.asset(name) for name in names))

    def asset(self, name: str) -> Asset:
        return self._server.asset_named(name)

    def _seed(self, name: str) -> None:
        """Put an asset there whose upload was not recorded, in the state in which it first appears."""
        first = [entries[0] for entries in self._described.values() if entries[0]["originalFileName"] == name]
        self._put(self.admin, first[0])

    def _put(self, owner: User, described: dict[str, Any]) -> Asset:
        name = described["originalFileName"]
        with_exif = next((entry for entry in self._described[described["id"]] if "exifInfo" in entry), {})
        exif = dict(with_exif.get("exifInfo", {}))
        size = exif.pop("fileSizeInByte", None) or 40_000
        dates = {
            attribute: _date(described[field])
            for attribute, field in (
                ("created_at", "createdAt"),
                ("file_created_at", "fileCreatedAt"),
                ("file_modified_at", "fileModifiedAt"),
                ("local_date_time", "localDateTime"),
            )
        }
        attributes = {name: described[name] for name in ("id", "thumbhash", "width", "height", "visibility")}
        attributes |= {"is_favorite": described["isFavorite"], "exif": exif, **dates}
        if "deviceId" in described:
            attributes |= {"device_asset_id": described["deviceAssetId"], "device_id": described["deviceId"]}
        return self._server.add_asset(owner, self.content(described["id"], size), name, **attributes)

    def _collect(self, value: Any) -> None:
        if isinstance(value, dict):
            if {"id", "name", "value"} <= value.keys():
                self._tag_ids[value["value"]] = value["id"]
                if "parentId" in value:
                    self._tag_ids[value["value"].rpartition("/")[0]] = value["parentId"]
            if "originalFileName" in value and "checksum" in value:
                self._described.setdefault(value["id"], []).append(value)
            for item in value.values():
                self._collect(item)
        elif isinstance(value, list):
            for item in value:
                self._collect(item)

    def note_checksums(self) -> None:
        for asset in self._server.assets.values():
            for described in self._described.get(asset.id, []):
                # A file can be replaced.
                if described["originalFileName"] != asset.name:
                    continue
                self.checksums[described["checksum"]] = asset.checksum_base64
                self.checksums[_hex(described["checksum"])] = asset.checksum.hex()

    def content(self, asset_id: str, size: int) -> bytes:
        """Bytes that stand for the recorded file: a picture of its size with its EXIF, as long as it was."""
        asset_id = self._same_bytes.get(asset_id, asset_id)
        entries = [entry for entry in self._described.get(asset_id, []) if "exifInfo" in entry]
        picture = b""
        if entries and size > 20_000:
            # As it was first read: later answers may tell what was written into the sidecar.
            read = [entry for entry in entries if entry["exifInfo"]["dateTimeOriginal"]]
            told = (read or entries)[0]
            # A camera's name would make LibRaw take the JPEG that stands for a RAW file for one.
            raw = told["originalMimeType"] == "image/nef"
            exif = {**told["exifInfo"], "make": None if raw else told["exifInfo"]["make"]}
            tagged = next((entry["tags"] for entry in entries if entry.get("tags")), [])
            picture = _jpeg(exif, [tag["value"] for tag in tagged if tag["value"] not in self._asked_tags])
        filler = random.Random(asset_id).randbytes(max(0, size - len(picture)))
        return (picture + filler)[: max(size, len(picture))]


_XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:digiKam="http://www.digikam.org/ns/1.0/"><digiKam:TagsList><rdf:Seq>{}</rdf:Seq>'
    "</digiKam:TagsList></rdf:Description></rdf:RDF></x:xmpmeta>"
)


def _jpeg(told: dict[str, Any], words: list[str]) -> bytes:
    exif = Image.Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    tags = ExifTags.Base
    if told["orientation"]:
        exif[tags.Orientation] = int(told["orientation"])
    for tag, name in ((tags.Make, "make"), (tags.Model, "model"), (tags.ImageDescription, "description")):
        if told[name]:
            exif[tag] = told[name]
    for tag, name in ((tags.FNumber, "fNumber"), (tags.FocalLength, "focalLength"), (tags.LensModel, "lensModel")):
        if told[name]:
            details[tag] = told[name]
    if told["iso"]:
        details[tags.ISOSpeedRatings] = told["iso"]
    if told["exposureTime"]:
        numerator, _, denominator = told["exposureTime"].partition("/")
        details[tags.ExposureTime] = int(numerator) / int(denominator or 1)
    taken = told["dateTimeOriginal"]
    if taken and not taken.startswith(FORM_DATE):
        moment = _date(taken)
        details[tags.DateTimeOriginal] = moment.strftime("%Y:%m:%d %H:%M:%S")
        details[tags.SubsecTimeOriginal] = f"{moment.microsecond:06d}".rstrip("0")
    size = (told["exifImageWidth"] or 8, told["exifImageHeight"] or 8)
    buffer = io.BytesIO()
    Image.new("RGB", size, "olive").save(buffer, "JPEG", exif=exif, xmp=_xmp(words))
    return buffer.getvalue()


def _xmp(tags: list[str]) -> bytes:
    return _XMP.format("".join(f"<rdf:li>{escape(tag)}</rdf:li>" for tag in tags)).encode()


def _date(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _hex(checksum: str) -> str:
    return parse_checksum(checksum).hex()
