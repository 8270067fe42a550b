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
_BASE_PATH = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~-]+)+\Z|/\Z")
#: How POSIX writes a zone without its name, e.g. CET-1CEST,M3.5.0,M10.5.0/3.
_ZONE_RULE = re.compile(r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]{3,}>)[+-]?\d{1,2}(?!\w*/)")
_PORTS = {"http": 80, "https": 443}

#: First parts of the paths that Immich's own pages and its API have.
IMMICH_PATHS = frozenset(
    """
    api _app custom.css photos albums explore map tags folders utilities workflows plugins admin auth share s link
    search trash user-settings favorites archive locked memory partners people places sharing shared-links
    maintenance install duplicates large-files geolocation server-status activity buy oauth recently-added
    .well-known robots.txt manifest.json service-worker.js favicon.ico
    """.split()  # noqa: SIM905  a table of words
)

#: First parts of our own paths: a base path like one of these would lead to the wrong page.
OWN_PATHS = frozenset(
    """
    healthz readyz login logout setup account status queue upload static hooks ws filters failed-files rules backfill
    open review presets luts search groups models
    """.split()  # noqa: SIM905  a table of words
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Mode(StrEnum):
    """What is written to Immich, and when."""

    #: Nothing before approval; then our version on top.
    REVIEW = "review"
    #: Upload and stack at once; the original stays on top until approval.
    STACK = "stack"
    #: Like `stack`, but versions of high confidence are approved by themselves.
    AUTO = "auto"


class After(StrEnum):
    """What becomes of a file in a hot folder once it is safe."""

    #: It stays.
    KEEP = "keep"
    #: It is moved to a folder of its own in the hot folder, which is not looked at.
    MOVE = "move"
    #: It is deleted.
    DELETE = "delete"


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
        description="Time zone, e.g. `Europe/Berlin`, for capture times without one and for times on the pages. "
        "Default: the system's.",
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
    hot_folder_after: After = Field(
        default=After.KEEP,
        description="What becomes of a file in a hot folder once it is stored, read again and, where there is a "
        "connection, confirmed by Immich: `keep`, `move` (to `Processed` in the hot folder) or `delete`.",
    )
    pairs: bool = Field(
        default=True,
        description="Treat a RAW file and the JPEG of its name, from the same shot, as one photo.",
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
    base_path: str | None = Field(
        default=None,
        description="Path under which a reverse proxy shows the pages, e.g. `/develop`; not one that Immich uses "
        "itself. Default: the path of `SIDECAR_PUBLIC_URL`.",
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        default=(),
        description="Addresses or networks of reverse proxies, separated by commas, e.g. `172.16.0.0/12`. Only from "
        "these `X-Forwarded-For`, `-Proto` and `-Host` are believed. Default: from none.",
    )
    password: SecretStr | None = Field(
        default=None,
        description="Password of the pages and the API. Without one, a service that listens on loopback is open; "
        "any other makes one, keeps it in the data directory and prints it.",
    )

    # Connections
    secret_key: SecretStr | None = Field(
        default=None,
        description="Secret that the API keys of users are encrypted with: 32 random bytes in base64, as "
        "`openssl rand -base64 32` prints them. Default: one is made and kept in the data directory.",
    )
    secret_key_file: Path | None = Field(
        default=None, description="File that holds the secret, instead of `SIDECAR_SECRET_KEY`."
    )
    webhook_url: str | None = Field(
        default=None,
        description="Our address as Immich's server sees it, e.g. `http://immich-sidecar:2380`, to be told of new "
        "photos at once (Immich 3). Empty: no webhook is made.",
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
    native_edits: bool = Field(
        default=False,
        description="Let Immich itself do a crop, quarter turns and mirroring, as edits of the original that can be "
        "undone, instead of uploading a version. A user may choose otherwise.",
    )
    uploads: int = Field(
        default=3, ge=1, le=32, description="Photos of one user that are on their way to Immich at once."
    )
    output: Literal["jpeg", "small", "heic", "avif", "jxl", "tiff16"] = Field(
        default="jpeg",
        description="What kind of file versions are, where their recipe says nothing else: `jpeg`, `small` (JPEG by "
        "jpegli, about a third as large), `heic`, `avif`, `jxl` (JPEG XL) or "
        "`tiff16` (16 bits, large).",
    )
    quality: int = Field(
        default=92, ge=1, le=100, description="JPEG quality of versions whose recipe has no `output` step."
    )
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

    # Models
    profile: Literal["auto", "basic", "standard", "full"] = Field(
        default="auto",
        description="Which models look at photos: `basic` (none: measurements only, nothing to download), `standard` "
        "(all but words), `full` (all), `auto` (`standard` where there is a GPU, else `basic`). A model that is named "
        "below is used under every profile but a `basic` that is set here.",
    )
    detection: str = Field(
        default="default",
        description="Model that finds objects: `default`, `off`, or a name from `immich-sidecar models list`.",
    )
    segmentation: str = Field(
        default="default", description="Model that outlines them: `default`, `off`, or a name from the list."
    )
    embedding: str = Field(
        default="default",
        description="Model behind search, tags and likeness: `default`, `off`, `immich` (Immich's own, see "
        "`SIDECAR_IMMICH_ML_URL`), or a name from the list.",
    )
    scoring: str = Field(
        default="default",
        description="Models that score how photos look and how well they are made: `default` or `off`.",
    )
    faces: str = Field(
        default="default",
        description="Model that finds faces where Immich has not: `default`, `off`, or a name from the list.",
    )
    words: str = Field(
        default="default",
        description="Model that describes photos: `default`, `off`, `endpoint` (see `SIDECAR_WORDS_URL`), or a name "
        "from the list.",
    )
    words_url: str | None = Field(
        default=None,
        description="Address of a server that speaks OpenAI's protocol (Ollama, vLLM, llama.cpp), e.g. "
        "`http://ollama:11434/v1`, for `SIDECAR_WORDS=endpoint`.",
    )
    words_model: str | None = Field(default=None, description="Name of the model on that server, e.g. `qwen2.5vl:7b`.")
    words_key: SecretStr | None = Field(default=None, description="Key of that server, where it wants one.")
    immich_ml_url: str | None = Field(
        default=None,
        description="Address of Immich's machine-learning container, e.g. `http://immich-machine-learning:3003`, for "
        "`SIDECAR_EMBEDDING=immich`.",
    )
    immich_ml_model: str = Field(
        default="ViT-B-32__openai",
        min_length=1,
        description="Its model for search: the one chosen in Immich under Administration, Settings, Machine Learning, "
        "Smart Search.",
    )
    tone_model: str = Field(
        default="off",
        description="Model that makes a colour table for each photo: `off`, or a name from the list.",
    )
    models_dir: Path | None = Field(
        default=None, description="Folder of downloaded weights. Default: `models` in the data directory."
    )
    models_consent: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Names of models, separated by commas, that may be used although their weights could run code (a "
        "pickle of unknown digest) or their licence excludes commercial use. Default: none.",
    )
    models_mirror: str | None = Field(
        default=None,
        description="Address to fetch weights from in place of `https://huggingface.co`, e.g. `https://hf-mirror.com`. "
        "Pinned and recorded digests hold there too.",
    )
    device: Literal["auto", "cuda", "rocm", "mps", "xpu", "cpu"] = Field(
        default="auto", description="Where models compute: `auto`, `cuda`, `rocm`, `mps`, `xpu` or `cpu`."
    )
    device_ids: Annotated[tuple[int, ...], NoDecode] = Field(
        default=(), description="Numbers of the GPUs to use, separated by commas, e.g. `0,1`. Default: the first."
    )
    model_ttl: float = Field(
        default=300, ge=0, description="Seconds without work after which a model gives its memory back; 0: never."
    )
    model_timeout: float = Field(
        default=60,
        gt=0,
        description="Seconds that a photo waits for models; then it goes on without those that have not answered.",
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="How much is logged: `debug`, `info`, `warning` or `error`."
    )

    @field_validator("immich_url", "immich_public_url", "public_url", "webhook_url", "immich_ml_url", "models_mirror")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an address that begins with http:// or https://")
        return value.rstrip("/").removesuffix("/api")

    @field_validator("base_path")
    @classmethod
    def _is_base_path(cls, value: str | None) -> str | None:
        if value is None:
            return None
        path = "/" + value.strip("/")
        if not _BASE_PATH.match(path):
            raise ValueError("a path such as /develop (letters, digits, - . _ and ~)")
        return _not_immichs("" if path == "/" else path)

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _parse_networks(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return tuple(ipaddress.ip_network(part, strict=False) for part in re.split(r"[\s,]+", value) if part)
        except ValueError:
            raise ValueError("addresses or networks separated by commas, e.g. 127.0.0.1,172.16.0.0/12") from None

    @field_validator("device_ids", mode="before")
    @classmethod
    def _parse_numbers(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = [part for part in re.split(r"[\s,]+", value) if part]
        if not all(part.isdecimal() for part in parts):
            raise ValueError("numbers separated by commas, e.g. 0,1")
        return tuple(int(part) for part in parts)

    @field_validator("models_consent", mode="before")
    @classmethod
    def _parse_names(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(part for part in re.split(r"[\s,]+", value) if part)

    @field_validator("min_free", "cache_max", mode="before")
    @classmethod
    def _is_size(cls, value: Any) -> Any:
        return parse_size(value) if isinstance(value, str) else value

    @field_validator("mode", "log_level", "hot_folder_after", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @field_validator("tz")
    @classmethod
    def _is_time_zone(cls, value: str | None) -> str | None:
        if value is None or _ZONE_RULE.match(value):
            return value
        name = value.removeprefix(":")
        if Path(name).is_absolute() and Path(name).is_file():
            return value
        try:
            ZoneInfo(name)
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
        if self.secret_key and self.secret_key_file:
            raise ValueError("SIDECAR_SECRET_KEY and SIDECAR_SECRET_KEY_FILE are both set; keep one")
        return self

    @model_validator(mode="after")
    def _beside_immich(self) -> "Settings":
        if self.base_path is None and self.public_url and origin_of(self.public_url) == origin_of(self.immich_link()):
            _not_immichs(urlsplit(self.public_url).path)
        return self

    def pages_path(self) -> str:
        """The path under which browsers see us, without a slash at its end; empty at the root of a host."""
        if self.base_path is not None:
            return self.base_path
        return urlsplit(self.public_url or "").path.rstrip("/")

    def folders(self) -> tuple[HotFolder, ...]:
        """The hot folders, with the default where none is set."""
        if self.hot_folders:
            return tuple(HotFolder(folder.path.expanduser().absolute(), folder.owner) for folder in self.hot_folders)
        return (HotFolder(self.data_dir / "inbox", "local"),)

    def weights_dir(self) -> Path:
        """The folder of downloaded weights."""
        return (self.models_dir or self.data_dir / "models").expanduser().absolute()

    def api_key(self) -> str | None:
        """The Immich API key, from the variable or its file.

        Raises
        ------
        SettingsError
            If the file cannot be read or is empty.
        """
        if self.immich_api_key:
            return self.immich_api_key.get_secret_value()
        return _in_file("IMMICH_API_KEY_FILE", self.immich_api_key_file, "the API key")

    def secret_key_text(self) -> str | None:
        """The secret that keys are encrypted with, from the variable or its file; None where none is set.

        Raises
        ------
        SettingsError
            If the file cannot be read or is empty.
        """
        if self.secret_key:
            return self.secret_key.get_secret_value()
        return _in_file("SIDECAR_SECRET_KEY_FILE", self.secret_key_file, "the secret")

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


def origin_of(url: str | None) -> str | None:
    """Scheme, host and port of an address, as browsers write an origin; None where there is none."""
    try:
        parts = urlsplit(url or "")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in _PORTS or not host:
        return None
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port and port != _PORTS[parts.scheme] else "")


def _not_immichs(path: str) -> str:
    first = path.split("/")[1] if path else ""
    if first in IMMICH_PATHS:
        raise ValueError(f"a path that Immich does not use itself; {path} leads to Immich's own pages")
    if first in OWN_PATHS:
        raise ValueError(f"a path that is not one of our own pages, as {path} is; /develop is a good one")
    return path


def _in_file(variable: str, file: Path | None, what: str) -> str | None:
    if file is None:
        return None
    try:
        text = file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}={file}: cannot be read ({error}); name a readable file") from error
    if not text:
        raise SettingsError(f"{variable}={file}: is empty; put {what} into it")
    return text


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
