"""The table of the API's routes: the server registers from it and the OpenAPI document is written from it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def enum(kind: Iterable[StrEnum]) -> dict[str, Any]:
    """The schema of one word out of those of a kind."""
    return {"type": "string", "enum": [item.value for item in kind]}


def ref(name: str) -> dict[str, str]:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


@dataclass(frozen=True)
class Query:
    """One query parameter."""

    name: str
    description: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True)
class Body:
    """What a request carries: the name of a schema, or None for bytes; and the content types."""

    schema: str | None
    content_types: tuple[str, ...] = ("application/json",)


@dataclass(frozen=True)
class Answer:
    """What comes back: the name of a schema (JSON), or None with the content types of the bytes."""

    description: str
    schema: str | None = None
    content_types: tuple[str, ...] = ("application/json",)


@dataclass(frozen=True)
class Route:
    """One operation of the API."""

    method: str
    path: str
    name: str
    handler: Handler
    summary: str
    answers: Mapping[int, Answer]
    query: tuple[Query, ...] = ()
    body: Body | None = None
    #: Failures it can answer with, beside 401 and 403.
    failures: tuple[int, ...] = ()
    #: Whether it is about an owner's photos and takes `?owner=`.
    owned: bool = True
    #: Whether it answers without a password.
    open: bool = False
