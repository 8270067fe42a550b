"""Immich's own OpenAPI documents, reduced to the operations that `openapi/immich.yaml` uses.

`python -m tests.immich_server.specs FOLDER` makes the committed copies in `specs/` again from the complete ones.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

FOLDER = Path(__file__).parent / "specs"
OURS = Path(__file__).parents[2] / "openapi" / "immich.yaml"
VERSIONS = ("2.5.6", "2.7.5", "3.1.0")
METHODS = ("get", "put", "post", "delete", "patch", "head")
KEPT = (
    *("type", "format", "enum", "nullable", "required", "properties", "items", "allOf", "oneOf", "anyOf"),
    *("$ref", "additionalProperties"),
)

Json = dict[str, Any]


def ours() -> Json:
    """The document of the sidecar."""
    document: Json = yaml.safe_load(OURS.read_text(encoding="utf-8"))
    return document


def operations(document: Json) -> dict[str, tuple[str, str, Json]]:
    """Method, path and operation by operationId."""
    return {
        operation["operationId"]: (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    }


def official(version: str) -> Json:
    """Immich's document of a version, reduced."""
    document: Json = json.loads((FOLDER / f"immich-{version}.json").read_bytes())
    return document


def reduced(complete: Json) -> Json:
    """Only the operations we use, with the schemas that they reach, without prose."""
    wanted = operations(ours())
    paths: Json = {}
    reached: Json = {}
    for name, (method, path, operation) in sorted(operations(complete).items()):
        if name not in wanted:
            continue
        kept: Json = {
            "operationId": name,
            "x-immich-permission": operation.get("x-immich-permission"),
            "parameters": [
                {**{key: parameter.get(key, False) for key in ("name", "in", "required")}}
                | {"schema": _schema(parameter["schema"], complete, reached)}
                for parameter in operation.get("parameters", [])
            ],
            "responses": {
                status: _content(response, complete, reached) for status, response in operation["responses"].items()
            },
        }
        if "requestBody" in operation:
            kept["requestBody"] = _content(operation["requestBody"], complete, reached)
        paths.setdefault(path, {})[method] = kept
    return {
        "info": {"version": complete["info"]["version"]},
        "paths": paths,
        "components": {"schemas": dict(sorted(reached.items()))},
    }


# ---- holding answers to a document


class Held:
    """Says what is wrong with answers by the official document of a version."""

    def __init__(self, version: str) -> None:
        self._document = official(version)
        schemas = self._document["components"]["schemas"]
        self._components = {"schemas": {name: _strict(schema) for name, schema in schemas.items()}}
        self._routes = [
            (
                method,
                re.compile("/api" + re.sub(r"\{(id|\w+Id)\}", "[0-9a-f-]{36}", path).replace("{key}", "[^/]+")),
                operation,
            )
            for method, path, operation in operations(self._document).values()
        ]
        #: operationIds of the answers that were held to the document.
        self.seen: set[str] = set()

    def problems(self, method: str, path: str, status: int, body: Any) -> Iterator[str]:
        """What an answer has that the document does not say, or lacks; nothing for routes that it does not have."""
        for known, pattern, operation in self._routes:
            if known != method.lower() or not pattern.fullmatch(path):
                continue
            if str(status) not in operation["responses"]:
                yield f"{method} {path}: {status} is not among the answers {sorted(operation['responses'])}"
                return
            content = operation["responses"][str(status)]["content"]
            if "application/json" in content:
                self.seen.add(operation["operationId"])
                schema = {**_strict(content["application/json"]["schema"]), "components": self._components}
                for error in jsonschema.Draft202012Validator(schema).iter_errors(body):
                    yield f"{method} {path}: {'/'.join(map(str, error.absolute_path))}: {error.message[:300]}"
            return


def _strict(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 as JSON Schema that allows no field that it does not name."""
    if isinstance(schema, list):
        return [_strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: _strict(value) for key, value in schema.items() if key != "nullable"}
    if "properties" in schema:
        result["properties"] = {name: _strict(value) for name, value in schema["properties"].items()}
        result["additionalProperties"] = False
    return {"anyOf": [result, {"type": "null"}]} if schema.get("nullable") else result


# ---- reducing


def _content(body: Json, complete: Json, reached: Json) -> Json:
    content = body.get("content", {})
    return {
        "content": {media: {"schema": _schema(entry["schema"], complete, reached)} for media, entry in content.items()}
    }


def _schema(schema: Any, complete: Json, reached: Json) -> Any:
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name not in reached:
            reached[name] = None
            reached[name] = _schema(complete["components"]["schemas"][name], complete, reached)
    result: Json = {}
    for key, value in schema.items():
        if key == "properties":
            result[key] = {name: _schema(item, complete, reached) for name, item in value.items()}
        elif key in ("items", "additionalProperties"):
            result[key] = _schema(value, complete, reached)
        elif key in ("allOf", "oneOf", "anyOf"):
            result[key] = [_schema(item, complete, reached) for item in value]
        elif key in KEPT:
            result[key] = value
    return result


def main(folder: Path) -> None:
    FOLDER.mkdir(exist_ok=True)
    for version in VERSIONS:
        complete = json.loads((folder / f"immich-{version}.json").read_bytes())
        text = json.dumps(reduced(complete), separators=(",", ":"), sort_keys=True)
        (FOLDER / f"immich-{version}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
