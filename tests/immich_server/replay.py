"""Sends the recorded requests to a stand-in that was put into the same state, and compares the answers."""

from __future__ import annotations

import asyncio
import io
import random
import uuid
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp
from PIL import ExifTags, Image

from . import ImmichServer
from .likeness import differences, header_differences
from .records import Asset, User, parse_checksum
from .wire import js_date

FORM_DATE = "2026-01-02T03:04:05"
#: Keys that the recordings name but did not make.
KEYS = {
    "tiny": ["asset.read"],
    "keymaker": ["apiKey.create", "asset.read"],
    "stack-read": ["stack.read"],
    "stack.create": ["stack.create"],
}
#: Files that are the same bytes as another asset's.
SAME_BYTES = {"3c2ba8b0-9767-4ddb-8e96-b177098666f6": "44adfd4f-b18b-4db0-92ba-1b4d3eff547f"}
#: Answers that tell what a file says of itself, to be compared by value.
EXACT_EXIF = ("104-", "105-", "250-", "251-")
#: The stand-in reads nothing from videos.
VIDEO_NULLS = ("width", "height", "duration")


class Replay:
    """One run over the recordings; `run` gives the differences by name of recording."""

    def __init__(self, server: ImmichServer, recordings: list[dict[str, Any]]) -> None:
        self._server = server
        self._recordings = recordings
        self._checksums: dict[str, str] = {}
        self._ids: deque[str] = deque()
        self._described: dict[str, list[dict[str, Any]]] = {}
        for recording in recordings:
            self._collect(recording.get("response", recording))
        self._events: dict[str, Callable[[], object]] = {
            "013": self._first_keys,
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
            "607": lambda: self._server.trash(self._asset("s5.jpg")),
            "608": lambda: self._server.stacks.pop(self._unstack("s4.jpg")),
        }
        self.admin = self._first_users()

    async def run(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        async with aiohttp.ClientSession(self._server.url) as session:
            for recording in self._recordings:
                name = recording["name"]
                if event := self._events.get(name[:3]):
                    event()
                if self._server.store.may_process.is_set():
                    await self._server.settled()
                self._note_checksums()
                if name.startswith("501-"):
                    answers = await self._concurrent(session)
                    found[name] = [] if answers == [200] * 5 + [201] else [f"answered {answers}"]
                else:
                    found[name] = [line async for line in self._differences(session, recording)]
        return found

    # ---- one request

    async def _differences(self, session: aiohttp.ClientSession, recording: dict[str, Any]) -> Any:
        request, expected = recording["request"], recording["response"]
        body = expected["body"]
        if expected["status"] == 201 and isinstance(body, dict):
            self._ids.append(body["apiKey"]["id"] if "apiKey" in body else body["id"])
        async with session.request(
            request["method"],
            request["path"],
            params=request.get("query"),
            headers=self._headers(request),
            allow_redirects=False,
            **self._body(recording["name"], request, body),
        ) as response:
            content = await response.read()
        self._ids.clear()
        self._note_checksums()
        if response.status != expected["status"]:
            yield f"status {response.status} where Immich has {expected['status']}: {content[:200]!r}"
            return
        ours: Any = content
        if response.content_type == "application/json":
            ours = await response.json() if content else None
        elif not isinstance(body, dict):
            ours = content.decode() or None
        original = "/original" in request["path"] and "binary" in (body or {"binary": True})
        asked = request.get("headers", {}).get("X-Correlation-ID")
        if asked and response.headers.get("X-Correlation-ID") != asked:
            yield "the correlation id is not given back"
        for line in header_differences(expected["headers"], _lower(response), original=original):
            yield line
        if isinstance(body, dict) and body.get("binary"):
            # A RAW file cannot be made here; a JPEG stands for it.
            raw = response.content_type == "image/nef"
            begins = expected["headers"].get("content-range", "bytes 0-").startswith("bytes 0-")
            if begins and not raw and not content.startswith(bytes.fromhex(body["magic"][:4])):
                yield f"the body begins with {content[:4]!r}"
            return
        for line in differences(
            body,
            ours,
            checksums=self._checksums,
            exact_exif=recording["name"].startswith(EXACT_EXIF),
            may_be_null=VIDEO_NULLS if recording["name"].startswith("411-") else (),
        ):
            yield line
        if isinstance(body, dict) and "apiKey" in body:
            key = self._server.store.keys.pop(ours["secret"])
            key.secret = body["secret"]
            self._server.store.keys[key.secret] = key

    def _headers(self, request: dict[str, Any]) -> dict[str, str]:
        headers = {key: value for key, value in request.get("headers", {}).items() if key != "Content-Type"}
        if checksum := headers.get("x-immich-checksum"):
            headers["x-immich-checksum"] = self._checksums.get(checksum, checksum)
        return headers

    def _body(self, name: str, request: dict[str, Any], answer: Any) -> dict[str, Any]:
        body = request.get("body")
        if body is None:
            return {}
        if "raw" in body:
            return {"data": _raw_order(name)}
        if "multipart" not in body:
            return {"json": self._translated(body)}
        form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
        for field, value in body["multipart"]["fields"].items():
            form.add_field(field, value)
        asset_id = answer.get("id", name) if isinstance(answer, dict) else name
        for field, file in body["multipart"]["files"].items():
            content = self._content(asset_id, file["bytes"]) if field == "assetData" else b"x" * file["bytes"]
            form.add_field(field, content, filename=file["filename"], content_type=file["type"])
        return {"data": form}

    def _translated(self, value: Any) -> Any:
        """The body with our checksums, and with our time where it names an asset's `updatedAt`."""
        if isinstance(value, dict):
            return {key: self._translated(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._translated(item) for item in value]
        if value == "2026-11-22T11:17:12.706Z":
            return js_date(self._asset("polemonium_reptans.jpg").updated_at)
        return self._checksums.get(value, value) if isinstance(value, str) else value

    async def _concurrent(self, session: aiohttp.ClientSession) -> list[int]:
        async def upload() -> int:
            form = aiohttp.FormData()
            form.add_field("fileCreatedAt", f"{FORM_DATE}Z")
            form.add_field("fileModifiedAt", f"{FORM_DATE}Z")
            form.add_field("assetData", b"the same bytes", filename="same.jpg", content_type="image/jpeg")
            headers = {"x-api-key": "<api-key-all>"}
            async with session.post("/api/assets", data=form, headers=headers) as response:
                return response.status

        return sorted(await asyncio.gather(*(upload() for _ in range(6))))

    # ---- the state that the requests meet

    def _first_users(self) -> User:
        admin = self._server.add_user("Admin", is_admin=True)
        described = next(r for r in self._recordings if r["name"] == "020-users-me")["response"]["body"]
        del self._server.store.users[admin.id]
        admin.id = described["id"]
        self._server.store.users[admin.id] = admin
        self._server.store.sessions["<session-token>"] = admin
        # The order of making is the order of the list of keys.
        self._server.store.new_id = lambda: self._ids.popleft() if self._ids else str(uuid.uuid4())
        keys = next(r for r in self._recordings if r["name"] == "019-api-keys-list")["response"]["body"]
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

    def _stack_before_search(self) -> None:
        self._stack("9486adec-14ac-4174-b3b5-93d44c20bb4a", "tanners_ridge.jpg", "wood_anemones.jpg")

    def _second_user(self) -> None:
        self._key(self._server.add_user("Second"), "user2", ["all"])

    def _immediate(self) -> None:
        self._seed("imm.jpg")
        self._seed("imm2.jpg")
        other = self._server.add_asset(self.admin, b"its companion", "companion.jpg")
        self._stack("3cd71e6d-44a1-4d05-a6f6-f43f47f528cd", "imm.jpg", other.name)

    def _third_run(self) -> None:
        for name in ("s1.jpg", "s2.jpg", "s3.jpg", "s5.jpg", "s4.jpg", "s6.jpg", "s7.jpg"):
            self._seed(name)
        self._stack("8d7655a9-c4f5-4e5b-832b-1e972519704c", "s1.jpg", "s2.jpg")

    def _promoted(self) -> None:
        lost = self._server.add_asset(self.admin, b"a lost primary", "lost.jpg")
        self._stack("b3d3c419-8ef9-471a-b58f-d409e16a86e7", lost.name, "s5.jpg", "s4.jpg")
        self._server.delete(lost)

    def _unstack(self, name: str) -> str:
        stack_id = self._asset(name).stack_id
        assert stack_id is not None
        for member in self._server.store.members(stack_id, hidden=True):
            member.stack_id = None
        return stack_id

    def _delete(self, name: str) -> None:
        self._server.delete(self._asset(name))

    def _stack(self, stack_id: str, *names: str) -> None:
        self._ids.append(stack_id)
        self._server.add_stack(*(self._asset(name) for name in names))

    def _asset(self, name: str) -> Asset:
        return self._server.asset_named(name)

    def _seed(self, name: str) -> None:
        """Put an asset there whose upload was not recorded, in the state in which it first appears."""
        described = next(
            first for entries in self._described.values() if (first := entries[0])["originalFileName"] == name
        )
        with_exif = next((entry for entry in self._described[described["id"]] if "exifInfo" in entry), {})
        exif = dict(with_exif.get("exifInfo", {}))
        size = exif.pop("fileSizeInByte", 40_000)
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
        self._server.add_asset(self.admin, self._content(described["id"], size), name, **attributes)

    def _collect(self, value: Any) -> None:
        if isinstance(value, dict):
            if "originalFileName" in value and "checksum" in value:
                self._described.setdefault(value["id"], []).append(value)
            for item in value.values():
                self._collect(item)
        elif isinstance(value, list):
            for item in value:
                self._collect(item)

    def _note_checksums(self) -> None:
        for asset in self._server.assets.values():
            for described in self._described.get(asset.id, [])[:1]:
                self._checksums[described["checksum"]] = asset.checksum_base64
                self._checksums[_hex(described["checksum"])] = asset.checksum.hex()

    def _content(self, asset_id: str, size: int) -> bytes:
        """Bytes that stand for the recorded file: a picture of its size with its EXIF, as long as it was."""
        asset_id = SAME_BYTES.get(asset_id, asset_id)
        entries = [entry for entry in self._described.get(asset_id, []) if "exifInfo" in entry]
        picture = b""
        if entries and size > 20_000:
            told = max(entries, key=lambda entry: sum(v is not None for v in entry["exifInfo"].values()))
            # A camera's name would make LibRaw take the JPEG that stands for a RAW file for one.
            raw = told["originalMimeType"] == "image/nef"
            picture = _jpeg({**told["exifInfo"], "make": None if raw else told["exifInfo"]["make"]})
        filler = random.Random(asset_id).randbytes(max(0, size - len(picture)))
        return (picture + filler)[: max(size, len(picture))]


def _jpeg(told: dict[str, Any]) -> bytes:
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
    Image.new("RGB", size, "olive").save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def _raw_order(name: str) -> aiohttp.MultipartWriter:
    """The recordings about the order of the parts, which were sent by hand."""
    dates = [("fileCreatedAt", f"{FORM_DATE}Z"), ("fileModifiedAt", f"{FORM_DATE}Z")]
    file_name = "after.jpg" if name.startswith("502-") else "blob"
    before = [("filename", "early.jpg")] if name.startswith("504-") else []
    after = dates if before else [*dates, ("filename", "late.jpg")]
    writer = aiohttp.MultipartWriter("form-data")
    for field, value in [*before, ("assetData", None), *(after if not name.startswith("502-") else dates)]:
        part = writer.append(value if value is not None else name.encode())
        parameters = {"name": field} if value is not None else {"name": field, "filename": file_name}
        part.set_content_disposition("form-data", quote_fields=False, **parameters)
    return writer


def _lower(response: aiohttp.ClientResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _date(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _hex(checksum: str) -> str:
    return parse_checksum(checksum).hex()
