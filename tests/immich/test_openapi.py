"""`openapi/immich.yaml` against the official documents of three versions, and the client made from it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from immich_py_client import AuthenticatedClient
from immich_py_client.api.assets import upload_asset
from immich_py_client.models import AssetUpload
from immich_py_client.types import File

from immich_sidecar.immich.compatibility import FEATURES, NEEDED_PERMISSIONS
from tests.immich_server import ImmichServer
from tests.immich_server.specs import VERSIONS, Json, official, operations, ours, reduced

#: Where ours differs on purpose: (version, place) and why. A difference that is not there any more must go.
ALLOWED = {
    ("3.1.0", "uploadAsset.request.deviceAssetId: unknown"): "gone in 3.x, ignored there; 2.x demands it",
    ("3.1.0", "uploadAsset.request.deviceId: unknown"): "gone in 3.x, ignored there; 2.x demands it",
    ("3.1.0", "getAllAlbums.shared: no such parameter in query"): "3.x lists all at once",
    ("3.1.0", "getAllAlbums.200[].ownerId: unknown"): "3.x names the owner among the users of the album instead",
    ("3.1.0", "getAlbumInfo.200.ownerId: unknown"): "3.x names the owner among the users of the album instead",
    ("3.1.0", "createAlbum.201.ownerId: unknown"): "3.x names the owner among the users of the album instead",
    **{
        (version, f"uploadAsset.request.{field}"): "a form carries texts"
        for version in VERSIONS
        for field in ("metadata: string, not array", "isFavorite: string, not boolean")
    },
    **{
        (version, f"{operation}.request.rating: may not be null"): "left out before 2.6, which cannot take it away"
        for version in ("2.5.6",)
        for operation in ("updateAsset", "updateAssets")
    },
}

#: Operations that came with a version, or whose older namesakes are of another kind and never called.
SINCE = dict.fromkeys(
    (
        *("searchWorkflows", "createWorkflow", "getWorkflow"),
        *("updateWorkflow", "deleteWorkflow", "getWorkflowTriggers"),
    ),
    "3.1.0",
)


@pytest.mark.parametrize("version", VERSIONS)
def test_every_operation_and_field_exists_in_immich(version: str) -> None:
    theirs, mine = official(version), ours()
    known = operations(theirs)
    found = []
    for name, (method, path, operation) in operations(mine).items():
        if name in SINCE and VERSIONS.index(version) < VERSIONS.index(SINCE[name]):
            continue
        if name not in known or known[name][:2] != (method, path):
            found.append(f"{name}: no {method.upper()} {path}")
            continue
        found += Comparison(mine, theirs).operation(name, operation, known[name][2])
    allowed = {place for at, place in ALLOWED if at == version}
    assert set(found) == allowed


def test_a_wrong_field_is_noticed() -> None:
    mine = ours()
    stack = mine["components"]["schemas"]["Stack"]["properties"]
    stack["primaryId"] = {"type": "string"}
    stack["id"] = {"type": "integer"}
    mine["components"]["schemas"]["AssetStack"]["properties"]["assetCount"]["enum"] = [2]
    operation = operations(mine)["getStack"][2]
    operation["parameters"].append({"name": "slug", "in": "query", "schema": {"type": "string"}})
    found = Comparison(mine, official("3.1.0")).operation(
        "getStack", operation, operations(official("3.1.0"))["getStack"][2]
    )
    assert set(found) == {
        "getStack.slug: no such parameter in query",
        "getStack.200.id: integer, not string",
        "getStack.200.primaryId: unknown",
        "getStack.200.assets[].stack.assetCount: an enum in a response",
    }


def test_every_call_but_the_public_ones_needs_a_key_or_a_session() -> None:
    document = ours()
    assert document["security"] == [{"api_key": []}, {"session": []}]
    assert document["components"]["securitySchemes"] == {
        "api_key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        "session": {"type": "apiKey", "in": "header", "name": "x-immich-user-token"},
    }
    open_to_all = {name for name, (_, _, operation) in operations(document).items() if "security" in operation}
    assert open_to_all == {
        "pingServer",
        "getServerVersion",
        "getServerConfig",
        "getServerFeatures",
        "getSupportedMediaTypes",
        "login",
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_what_we_say_is_open_to_all_is(version: str) -> None:
    theirs = operations(official(version))
    for name, (_, _, operation) in operations(ours()).items():
        if "security" in operation:
            assert theirs[name][2]["x-immich-permission"] is None, name


def test_what_could_destroy_an_original_is_not_in_the_client() -> None:
    names = set(operations(ours()))
    assert not names & {
        *("replaceAsset", "emptyTrash", "restoreTrash", "deleteStacks", "deleteAlbum", "deleteTag", "deletePerson"),
        *("deleteBulkAssetMetadata", "updateAlbumInfo", "deleteAssetFile", "deleteDuplicates", "updateConfig"),
    }


def test_only_permissions_that_a_feature_names_can_be_asked_for() -> None:
    named = {*NEEDED_PERMISSIONS, *(item for feature in FEATURES.values() for item in feature.permissions)}
    assert set(ours()["components"]["schemas"]["Permission"]["enum"]) == named


@pytest.mark.parametrize("version", VERSIONS)
def test_every_operation_needs_a_permission_that_a_feature_names(version: str) -> None:
    #: Operations for which a key needs nothing, or `all`; what a session alone may do is not a feature.
    without = {"getMyApiKey", "getWorkflowTriggers", "login", "logout", "validateAccessToken", "createNotification"}
    of_sessions = {"apiKey.create", "apiKey.read", "apiKey.update"}
    named = {*NEEDED_PERMISSIONS, *(item for feature in FEATURES.values() for item in feature.permissions)}
    wanted = operations(ours())
    for name, (_, _, operation) in operations(official(version)).items():
        permission = operation["x-immich-permission"]
        if permission is None:
            assert name in without or "security" in wanted[name][2], name
        else:
            assert permission in named | of_sessions, name


@pytest.mark.parametrize("version", VERSIONS)
def test_the_committed_copies_are_what_the_official_documents_say(version: str, test_data: Path) -> None:
    complete = json.loads((test_data / "immich" / "specs" / f"immich-{version}.json").read_bytes())
    assert official(version) == reduced(complete), "run python -m tests.immich_server.specs"


class Comparison:
    """Ours against an official document; what is wrong comes as lines of place and reason."""

    def __init__(self, mine: Json, theirs: Json) -> None:
        self._mine = mine
        self._theirs = theirs

    def operation(self, name: str, mine: Json, theirs: Json) -> Iterator[str]:
        parameters = {(item["name"], item["in"]): item for item in theirs["parameters"]}
        own = [self._resolved(item, self._mine) for item in mine.get("parameters", [])]
        for item in own:
            other = parameters.get((item["name"], item["in"]))
            if other is None:
                yield f"{name}.{item['name']}: no such parameter in {item['in']}"
                continue
            if item.get("required", False) != other["required"]:
                yield f"{name}.{item['name']}: required here or there only"
            yield from self._request(f"{name}.{item['name']}", item["schema"], other["schema"])
        sent = {(item["name"], item["in"]) for item in own}
        for key, other in parameters.items():
            if other["required"] and key not in sent:
                yield f"{name}.{key[0]}: a required parameter is not sent"
        if ("requestBody" in mine) != ("requestBody" in theirs):
            yield f"{name}: a body here or there only"
        elif "requestBody" in mine:
            yield from self._bodies(f"{name}.request", mine["requestBody"], theirs["requestBody"])
        for status, response in mine["responses"].items():
            if status not in theirs["responses"]:
                yield f"{name}: no answer {status}"
            else:
                yield from self._bodies(f"{name}.{status}", response, theirs["responses"][status])

    def _bodies(self, place: str, mine: Json, theirs: Json) -> Iterator[str]:
        own, other = mine.get("content", {}), theirs["content"]
        if own.keys() != other.keys():
            yield f"{place}: {list(own)} instead of {list(other)}"
            return
        compare = self._request if place.endswith(".request") else self._response
        for media, entry in own.items():
            yield from compare(place, entry["schema"], other[media]["schema"])

    def _request(self, place: str, mine: Json, theirs: Json) -> Iterator[str]:
        """What we send: all that is required, nothing unknown, no value that is not allowed."""
        mine, theirs = self._resolved(mine, self._mine), self._resolved(theirs, self._theirs)
        # A whole number is a number.
        if (own := mine["type"]) != theirs["type"] and (own, theirs["type"]) != ("integer", "number"):
            yield f"{place}: {own}, not {theirs['type']}"
            return
        if mine.get("nullable") and not theirs.get("nullable"):
            yield f"{place}: may not be null"
        if not set(mine.get("enum", [])) <= set(theirs.get("enum", mine.get("enum", []))):
            yield f"{place}: values that Immich does not know"
        if "enum" in theirs and "enum" not in mine:
            yield f"{place}: any text where Immich takes few values"
        if mine.get("format") == "date-time" and theirs.get("format") != "date-time":
            yield f"{place}: a date where Immich takes none"
        if own == "array":
            yield from self._request(f"{place}[]", mine["items"], theirs["items"])
        known = theirs.get("properties", {})
        for name, schema in mine.get("properties", {}).items():
            if name not in known:
                yield f"{place}.{name}: unknown"
            else:
                yield from self._request(f"{place}.{name}", schema, known[name])
        for name in theirs.get("required", []):
            if name not in mine.get("required", []):
                yield f"{place}.{name}: required by Immich"

    def _response(self, place: str, mine: Json, theirs: Json) -> Iterator[str]:
        """What we read: known fields of the same type, nothing that makes the client raise."""
        mine, theirs = self._resolved(mine, self._mine), self._resolved(theirs, self._theirs)
        if "required" in mine:
            yield f"{place}: required fields in a response"
        if "enum" in mine:
            yield f"{place}: an enum in a response"
        if "format" in mine and mine["format"] != "binary":
            yield f"{place}: a format that the client would parse"
        if theirs.get("nullable") and not mine.get("nullable"):
            yield f"{place}: may be null"
        # A whole number is a number.
        if (own := mine["type"]) != theirs["type"] and (own, theirs["type"]) != ("number", "integer"):
            yield f"{place}: {own}, not {theirs['type']}"
            return
        if own == "array":
            yield from self._response(f"{place}[]", mine["items"], theirs["items"])
        known = theirs.get("properties", {})
        for name, schema in mine.get("properties", {}).items():
            if name not in known:
                yield f"{place}.{name}: unknown"
            else:
                yield from self._response(f"{place}.{name}", schema, known[name])

    def _resolved(self, schema: Json, document: Json) -> Json:
        """The schema with its reference, or its `allOf` of one, followed, and its alternatives as one."""
        if "anyOf" in schema:
            return self._any([self._resolved(item, document) for item in schema["anyOf"]], document)
        if "allOf" in schema:
            (only,) = schema["allOf"]
            return {**self._resolved(only, document), **{k: v for k, v in schema.items() if k != "allOf"}}
        if "$ref" not in schema:
            return schema
        target: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return self._resolved(target, document)

    def _any(self, alternatives: list[Json], document: Json) -> Json:
        """A schema that has what any of the alternatives has and demands what all of them do."""
        result: Json = {"type": alternatives[0]["type"]}
        if enums := [item["enum"] for item in alternatives if "enum" in item]:
            result["enum"] = [value for values in enums for value in values]
        if result["type"] == "object":
            result["required"] = sorted(set.intersection(*(set(item.get("required", [])) for item in alternatives)))
            fields: dict[str, list[Json]] = {}
            for item in alternatives:
                for name, schema in item.get("properties", {}).items():
                    fields.setdefault(name, []).append(self._resolved(schema, document))
            result["properties"] = {name: self._any(schemas, document) for name, schemas in fields.items()}
        return result


class Watched(io.BytesIO):
    """A file that remembers how much of it was asked for at once."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.most = 0

    def read(self, size: int | None = -1, /) -> bytes:
        chunk = super().read(size)
        self.most = max(self.most, len(chunk))
        return chunk


async def test_an_upload_streams_and_its_text_precedes_the_file() -> None:
    content = Watched(b"\xff\xd8" + bytes(8 * 1024 * 1024))
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    body = AssetUpload(
        device_asset_id="device asset",
        device_id="immich-sidecar",
        file_created_at=moment,
        file_modified_at=moment,
        metadata=json.dumps([{"key": "immich-sidecar", "value": {"version": 1}}]),
        visibility="timeline",
        asset_data=File(payload=content, file_name="写真 ü, 1.jpg", mime_type="image/jpeg"),
    )
    async with ImmichServer() as server:
        secret = server.add_key(server.add_user("Ada"), ["asset.upload"])
        client = AuthenticatedClient(
            base_url=f"{server.url}/api", token=secret, prefix="", auth_header_name="x-api-key"
        )
        async with client:
            response = await upload_asset.asyncio_detailed(client=client, body=body)
        assert response.status_code == 201
        assert response.parsed is not None
        assert response.parsed.status == "created"
        (upload,) = server.uploads
        assert upload.parts[-1] == "assetData"
        assert set(upload.parts[:-1]) >= {"deviceAssetId", "deviceId", "fileCreatedAt", "metadata"}
        asset = server.asset_named("写真 ü, 1.jpg")
        assert asset.metadata["immich-sidecar"][0] == {"version": 1}
        assert asset.file_created_at == moment
    assert content.most <= 1024 * 1024
