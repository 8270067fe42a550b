"""Sends the recorded requests to a stand-in that was put into the same state, and compares the answers."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp

from . import ImmichServer
from .likeness import differences, header_differences
from .setting import FORM_DATE, Setting
from .setting_second import SecondSetting
from .specs import Held
from .wire import js_date

#: Answers that tell what a file says of itself, to be compared by value.
EXACT_EXIF = ("104-", "105-", "250-", "251-")
#: What cannot be told by the stand-in: it reads nothing from videos, and is not as busy as the real one was.
_READINESS = ("thumbhash", "width", "height", "duration")
UNKNOWN = {
    "411-": ("width", "height", "duration"),
    **dict.fromkeys(("710-", "732-", "741-", "742-", "743-", "744-", "748-", "752-", "753-", "754-"), _READINESS),
}


class Replay:
    """One run over the recordings; `run` gives the differences by name of recording."""

    def __init__(self, server: ImmichServer, recordings: list[dict[str, Any]], held: Held | None = None) -> None:
        self._server = server
        self._held = held
        #: What is wrong by the document that answers are held to.
        self.problems: list[str] = []
        self._recordings = recordings
        self._second = server.dialect.is_second
        self._setting = SecondSetting(server, recordings) if self._second else Setting(server, recordings)
        self._device = [("deviceAssetId", "rec"), ("deviceId", "recorder")] if self._second else []

    async def run(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        async with aiohttp.ClientSession(self._server.url) as session:
            for recording in self._recordings:
                name = recording["name"]
                self._setting.prepare(name)
                if self._server.store.may_process.is_set():
                    await self._server.settled()
                self._setting.note_checksums()
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
        if isinstance(body, dict) and (expected["status"] == 201 or body.get("status") == "replaced"):
            made = body.get("apiKey", body).get("id")
            self._setting.ids += [made] if made else []
            self._setting.ids += [action["id"] for action in body.get("actions", ())]
        if request["path"].endswith("/edits") and isinstance(body, dict):
            self._setting.ids += [entry["id"] for entry in body.get("edits", ())]
        async with session.request(
            request["method"],
            request["path"],
            params=request.get("query"),
            headers=self._headers(request),
            allow_redirects=False,
            **self._body(recording["name"], request, body),
        ) as response:
            content = await response.read()
        if self._held and response.status < 300 and response.content_type == "application/json" and content:
            path = request["path"]
            self.problems += self._held.problems(request["method"], path, response.status, json.loads(content))
        self._setting.ids.clear()
        self._setting.note_checksums()
        if response.status != expected["status"]:
            yield f"status {response.status} where Immich has {expected['status']}: {content[:200]!r}"
            return
        ours: Any = content
        if response.content_type == "application/json":
            ours = await response.json() if content else None
        elif not isinstance(body, dict):
            ours = content.decode() or None
        edited = (request.get("query") or {}).get("edited")
        sent = "binary" in (body or {"binary": True}) and response.status < 400
        original = "/original" in request["path"] and not edited and sent
        asked = request.get("headers", {}).get("X-Correlation-ID")
        if asked and not self._second and response.headers.get("X-Correlation-ID") != asked:
            yield "the correlation id is not given back"
        for line in header_differences(expected["headers"], _lower(response), original=original, second=self._second):
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
            checksums=self._setting.checksums,
            exact_exif=recording["name"].startswith(EXACT_EXIF),
            unknown=next((names for number, names in UNKNOWN.items() if recording["name"].startswith(number)), ()),
            any_order=self._second,
        ):
            yield line
        if isinstance(body, dict) and "apiKey" in body:
            key = self._server.store.keys.pop(ours["secret"])
            key.secret = body["secret"]
            self._server.store.keys[key.secret] = key

    def _headers(self, request: dict[str, Any]) -> dict[str, str]:
        headers = {key: value for key, value in request.get("headers", {}).items() if key != "Content-Type"}
        if checksum := headers.get("x-immich-checksum"):
            headers["x-immich-checksum"] = self._setting.checksums.get(checksum, checksum)
        return headers

    def _body(self, name: str, request: dict[str, Any], answer: Any) -> dict[str, Any]:
        body = request.get("body")
        if body is None:
            return {}
        if "raw" in body:
            return {"data": _raw_order(name, self._device)}
        if "multipart" not in body:
            return {"json": self._translated(body)}
        form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
        for field, value in body["multipart"]["fields"].items():
            form.add_field(field, value)
        asset_id = answer.get("id", name) if isinstance(answer, dict) else name
        if request["method"] == "PUT":
            asset_id = request["path"].split("/")[3]
        for field, file in body["multipart"]["files"].items():
            content = self._setting.content(asset_id, file["bytes"]) if field == "assetData" else b"x" * file["bytes"]
            form.add_field(field, content, filename=file["filename"], content_type=file["type"])
        return {"data": form}

    def _translated(self, value: Any) -> Any:
        """The body with our checksums, and with our time where it names an asset's `updatedAt`."""
        if isinstance(value, dict):
            return {key: self._translated(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._translated(item) for item in value]
        if value == self._setting.changed_at:
            return js_date(self._setting.asset("polemonium_reptans.jpg").updated_at)
        return self._setting.checksums.get(value, value) if isinstance(value, str) else value

    async def _concurrent(self, session: aiohttp.ClientSession) -> list[int]:
        async def upload() -> int:
            form = aiohttp.FormData()
            form.add_field("fileCreatedAt", f"{FORM_DATE}Z")
            form.add_field("fileModifiedAt", f"{FORM_DATE}Z")
            for name, value in self._device:
                form.add_field(name, value)
            form.add_field("assetData", b"the same bytes", filename="same.jpg", content_type="image/jpeg")
            headers = {"x-api-key": "<api-key-all>"}
            async with session.post("/api/assets", data=form, headers=headers) as response:
                return response.status

        return sorted(await asyncio.gather(*(upload() for _ in range(6))))


def _raw_order(name: str, device: list[tuple[str, str]]) -> aiohttp.MultipartWriter:
    """The recordings about the order of the parts, which were sent by hand."""
    dates = [("fileCreatedAt", f"{FORM_DATE}Z"), ("fileModifiedAt", f"{FORM_DATE}Z"), *device]
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
