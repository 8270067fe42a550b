"""Immich's own OpenAPI documents, reduced to the operations that `openapi/immich.yaml` uses.

`python -m tests.immich_server.specs FOLDER` makes the committed copies in `specs/` again from the complete ones.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

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
