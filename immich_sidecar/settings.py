"""Every option in one place.

Values come from environment variables (and, for `immich-sidecar run`, from nothing else). What belongs to Immich
has Immich's name (`IMMICH_...`, `TZ`); what belongs to us begins with `SIDECAR_`.
"""

import ipaddress
import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import psutil
from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from immich_sidecar.errors import SettingsError

#: Memory that one worker may need for a large photo; bounds the default number of workers.
WORKER_MEMORY_BYTES = 1 << 30

_SIZES = {"": 1, "B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_OWNER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z")


class Mode(StrEnum):
    """What is written to Immich, and when."""

    #: Nothing before approval; then our version on top.
    REVIEW = "review"
    #: Upload and stack at once; the original stays on top until approval.
    STACK = "stack"
    #: Like `stack`, but versions of high confidence are approved by themselves.
    AUTO = "auto"


class HotFolder:
    """A folder whose photos are taken, and the owner they belong to."""

    __slots__ = ("owner", "path")

    def __init__(self, path: Path, owner: str) -> None:
        self.path = path
        self.owner = owner

    def __repr__(self) -> str:
        return f"{self.path}={self.owner}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HotFolder) and (self.path, self.owner) == (other.path, other.owner)

    def __hash__(self) -> int:
        return hash((self.path, self.owner))


def parse_size(text: str) -> int:
    """Read a number of bytes such as `2GiB`, `500M` or `1048576`; units are powers of 1024.

    Raises
    ------
    ValueError
        If the text is not such a number.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?B)?\s*", text, re.IGNORECASE)
    if not match:
        raise ValueError("a size such as 500M, 2GiB or a number of bytes")
    return int(float(match[1]) * _SIZES[match[2].upper()])


def default_workers() -> int:
    """One worker per core that this process may use, as far as memory allows; at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, int(psutil.virtual_memory().total * 0.6) // WORKER_MEMORY_BYTES))


class Settings(BaseSettings):
    """The options of the service. `docs/settings.md` lists them; a test holds that list to this class."""

    model_config = SettingsConfigDict(
        env_prefix="SIDECAR_", extra="ignore", frozen=True, populate_by_name=True, case_sensitive=False
    )

    # Immich
    immich_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("IMMICH_URL"),
        description="Address of the Immich server, with or without `/api`, e.g. `http://immich-server:2283`. "
        "Empty: no Immich.",
    )
    immich_api_key: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("IMMICH_API_KEY"),
        description="API key of the Immich user whose photos are developed; belongs to the owner `local`.",
    )
    immich_api_key_file: Path | None = Field(
        default=None,
        validation_alias=AliasChoices("IMMICH_API_KEY_FILE"),
        description="File that holds the API key, instead of `IMMICH_API_KEY`.",
    )
    immich_public_url: str | None = Field(
        default=None,
        validation_alias=AliasChoices("IMMICH_PUBLIC_URL"),
        description="Address of Immich for links that a browser can open. Default: `IMMICH_URL`.",
    )
    tz: str | None = Field(
        default=None,
        validation_alias=AliasChoices("TZ"),
        description="Time zone, e.g. `Europe/Berlin`, for capture times without one. Default: the system's.",
    )

    # Where things are
    data_dir: Path = Field(
        default=Path("data"),
        description="Folder for originals, versions, recipes, caches and the database. `/data` in the image.",
    )
    hot_folders: Annotated[tuple[HotFolder, ...], NoDecode] = Field(
        default=(),
        description="Folders to take photos from, separated by `:`; each a path, or `path=owner`. "
        "Default: `inbox` in the data directory, for the owner `local`.",
    )
    hot_folder_polling: bool = Field(
        default=False,
        description="Look through hot folders every few seconds instead of asking the system for changes; "
        "for network mounts. Mounts known to need it are polled anyway.",
    )
    keep_originals: bool = Field(
        default=True,
        description="Keep our copy of originals from hot folders. `false` removes it once Immich has confirmed "
        "the checksum.",
    )
    min_free: Annotated[int, NoDecode] = Field(
        default=2 << 30,
        ge=0,
        description="Free space in the data directory below which intake and rendering pause, e.g. `2GiB`.",
    )
    cache_max: Annotated[int, NoDecode] = Field(
        default=10 << 30,
        ge=0,
        description="Size that the caches may have, e.g. `10GiB`; least recently used files go first.",
    )

    # The pages
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=2380, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    public_url: str | None = Field(
        default=None, description="Address of our pages as a browser sees it. Default: host and port."
    )
    password: SecretStr | None = Field(
        default=None,
        description="Password of the pages and the API. Without one, a service that listens on loopback is open; "
        "any other makes one, keeps it in the data directory and prints it.",
    )

    # What is done
    mode: Mode = Field(
        default=Mode.STACK,
        description="What is written to Immich: `review` (nothing before approval), `stack` (at once, the original "
        "stays on top until approval), `auto` (on top where confidence is high).",
    )
    poll_seconds: float = Field(
        default=15, ge=1, le=3600, description="Seconds between two questions to Immich for new photos."
    )
    albums: bool = Field(
        default=False,
        description="Add originals and versions to the Immich albums `Originals` and `Processed`.",
    )
    quality: int = Field(default=92, ge=1, le=100, description="JPEG quality of versions.")
    workers: int = Field(
        default_factory=default_workers,
        ge=1,
        le=256,
        description="Worker processes. Default: one per core, as far as memory allows (1 GiB each).",
    )
    task_timeout: float = Field(
        default=300,
        ge=1,
        description="Seconds after which a worker that is busy with one photo is ended.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="How much is logged: `debug`, `info`, `warning` or `error`."
    )

    @field_validator("immich_url", "immich_public_url", "public_url")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an address that begins with http:// or https://")
        return value.rstrip("/").removesuffix("/api")

    @field_validator("min_free", "cache_max", mode="before")
    @classmethod
    def _is_size(cls, value: Any) -> Any:
        return parse_size(value) if isinstance(value, str) else value

    @field_validator("mode", "log_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("tz")
    @classmethod
    def _is_time_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value.removeprefix(":"))
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError("the name of a time zone such as Europe/Berlin") from None
        return value

    @field_validator("hot_folders", mode="before")
    @classmethod
    def _parse_hot_folders(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        folders = []
        for item in filter(None, (part.strip() for part in value.split(":"))):
            path, separator, owner = item.rpartition("=")
            if not separator:
                path, owner = item, "local"
            if not path or not _OWNER_ID.match(owner):
                raise ValueError("folders separated by `:`, each `path` or `path=owner` (letters, digits, - and _)")
            folders.append(HotFolder(Path(path), owner))
        return tuple(folders)

    @field_validator("*", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: Any, info: Any) -> Any:
        # Validators of this kind run last to first, so this one stands behind the others.
        # Compose files pass `NAME=` for what is not set; that means the default.
        if isinstance(value, str) and not value.strip():
            return cls.model_fields[info.field_name].get_default(call_default_factory=True, validated_data={})
        return value.strip() if isinstance(value, str) else value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @model_validator(mode="after")
    def _one_key(self) -> "Settings":
        if self.immich_api_key and self.immich_api_key_file:
            raise ValueError("IMMICH_API_KEY and IMMICH_API_KEY_FILE are both set; keep one")
        return self

    def folders(self) -> tuple[HotFolder, ...]:
        """The hot folders, with the default where none is set."""
        if self.hot_folders:
            return tuple(HotFolder(folder.path.expanduser().absolute(), folder.owner) for folder in self.hot_folders)
        return (HotFolder(self.data_dir / "inbox", "local"),)

    def api_key(self) -> str | None:
        """The Immich API key, from the variable or its file.

        Raises
        ------
        SettingsError
            If the file cannot be read or is empty.
        """
        if self.immich_api_key:
            return self.immich_api_key.get_secret_value()
        if self.immich_api_key_file is None:
            return None
        try:
            key = self.immich_api_key_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"IMMICH_API_KEY_FILE={self.immich_api_key_file}: cannot be read ({error}); name a readable file"
            ) from error
        if not key:
            raise SettingsError(f"IMMICH_API_KEY_FILE={self.immich_api_key_file}: is empty; put the API key into it")
        return key

    def immich_link(self) -> str | None:
        """Address of Immich for browsers."""
        return self.immich_public_url or self.immich_url

    def listens_on_loopback(self) -> bool:
        """Whether only this computer can reach the pages."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def variable_of(field: str) -> str:
    """The environment variable that sets a field of `Settings`."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"SIDECAR_{field.upper()}"


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment.

    Raises
    ------
    SettingsError
        With one line that names the variable, its value and what is allowed.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    allowed = re.sub(r"^(Value error, |Input should be )", "", first["msg"])
    if not first["loc"]:
        return allowed
    location = str(first["loc"][0])
    fields = {variable_of(name).lower(): name for name in Settings.model_fields}
    name = fields.get(location.lower(), location if location in Settings.model_fields else "")
    variable = variable_of(name) if name else location.upper()
    secret = "SecretStr" in str(Settings.model_fields[name].annotation) if name else False
    value = "(hidden)" if secret else os.environ.get(variable, first.get("input"))
    return f"{variable}={value}: not allowed; allowed: {allowed}"
