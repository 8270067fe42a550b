"""What a real Immich answered, read by the client: nothing raises, and no field is lost on the way."""

from __future__ import annotations

import importlib
import json
import re
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from immich_py_client import Client

from tests.immich_server.specs import operations, ours

FOLDERS = {"3.1.0": "recordings", "2.7.5": "recordings-2.7.5"}
#: Answers of this many of our operations were recorded; more may come.
FEWEST = {"3.1.0": 43, "2.7.5": 38}
#: Operations of 3.x whose namesakes answered something else before; they are not called there.
NOT_BEFORE_3 = {"searchWorkflows", "createWorkflow", "getWorkflow", "updateWorkflow", "getWorkflowTriggers"}
#: Operations whose answers are files, streamed past the generated client.
FILES = {"downloadAsset", "viewAsset"}


def modules() -> dict[tuple[str, re.Pattern[str]], tuple[str, ModuleType]]:
    """The generated module of each operation by its method and a pattern of its path."""
    found = {}
    for name, (method, path, operation) in operations(ours()).items():
        snake = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        module = importlib.import_module(f"immich_py_client.api.{operation['tags'][0]}.{snake}")
        pattern = re.sub(r"\{\w*[iI]d\}", "[0-9a-f-]{36}", path).replace("{key}", "[^/]+")
        found[method.upper(), re.compile(pattern)] = (name, module)
    return found


def recorded(folder: Path) -> list[tuple[str, Any]]:
    return [(file.name, json.loads(file.read_bytes())) for file in sorted(folder.glob("*.json"))]


@pytest.mark.parametrize("version", FOLDERS)
def test_every_recorded_answer_is_understood(version: str, test_data: Path) -> None:
    known = modules()
    client = Client(base_url="http://immich/api")
    read: Counter[str] = Counter()
    for file, pair in recorded(test_data / "immich" / FOLDERS[version]):
        if not isinstance(pair, dict) or "request" not in pair:
            continue
        request, answer = pair["request"], pair["response"]
        path = request["path"].removeprefix("/api").partition("?")[0]
        match = next(
            (
                (name, module)
                for (method, pattern), (name, module) in known.items()
                if method == request["method"] and pattern.fullmatch(path)
            ),
            None,
        )
        if match is None or not 200 <= answer["status"] < 300 or not isinstance(answer["body"], dict | list):
            continue
        name, module = match
        if name in FILES or (version < "3" and name in NOT_BEFORE_3):
            continue
        response = httpx.Response(answer["status"], json=answer["body"])
        parsed = module._parse_response(client=client, response=response)
        assert parsed is not None, f"{file}: {name} does not expect {answer['status']}"
        many = parsed if isinstance(parsed, list) else [parsed]
        bodies = answer["body"] if isinstance(answer["body"], list) else [answer["body"]]
        if hasattr(many[0] if many else None, "to_dict"):
            assert [item.to_dict() for item in many] == bodies, file
        read[name] += 1
    assert len(read) >= FEWEST[version], sorted(read)
