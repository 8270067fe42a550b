"""The models that there are, as `weights.toml` lists them."""

import importlib
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from functools import cache
from importlib import resources
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, field_validator, model_validator

from immich_sidecar.analysis.findings import Frozen, Job
from immich_sidecar.errors import ModelError, ModelsNotInstalledError, NotFoundError

if TYPE_CHECKING:
    from immich_sidecar.analysis.models.model import Model

#: Where repositories are, unless `SIDECAR_MODELS_MIRROR` says otherwise.
HUB = "https://huggingface.co"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
GitBlob = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


class Format(StrEnum):
    """What kind of files the weights are."""

    SAFETENSORS = "safetensors"
    HDF5 = "hdf5"
    ONNX = "onnx"
    #: Python objects: reading such a file can run code that is in it.
    PICKLE = "pickle"


class WeightFile(Frozen):
    """One file of a model."""

    #: Its place in the source and in the model's folder, with `/` between folders.
    path: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*$")
    #: What a model asks for it by, as `weights`; None for files that are found by their name.
    part: str | None = None
    #: Bytes, SHA-256 and git's object id; None where they are not known.
    size: int | None = Field(default=None, ge=0)
    sha256: Sha256 | None = None
    git_blob: GitBlob | None = None
    #: Some sources have it, others do not.
    optional: bool = False
    #: Large ones are in pieces, which `{path}.index.json` lists.
    sharded: bool = False

    @property
    def is_pinned(self) -> bool:
        """Whether a digest is known."""
        return self.sha256 is not None or self.git_blob is not None


class Entry(Frozen):
    """One model of the list."""

    #: What settings, commands and pages call it.
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")
    #: Other names that mean it.
    aliases: tuple[str, ...] = ()
    title: str
    #: What a person should know before choosing it.
    about: str = ""
    job: Job
    #: Whether it is the one that `default` means for its job.
    default: bool = False
    #: `module:Class` of a `Model`.
    loader: str = Field(pattern=r"^immich_sidecar\.analysis\.models\.[a-z0-9_]+:[A-Za-z0-9]+$")
    #: SPDX name.
    licence: str
    #: Whether the licence of the weights allows commercial use.
    commercial: bool
    #: A repository of Hugging Face and a revision there, or else the address of a folder.
    repository: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$")
    revision: str = "main"
    url: str | None = Field(default=None, pattern=r"^https://[^\s]+[^/]$")
    format: Format
    #: Decimal megabytes of the download as its source lists them.
    about_mb: int | None = None
    #: About how much memory it needs for one photo on a processor, in decimal megabytes.
    memory_mb: int
    files: tuple[WeightFile, ...] = Field(min_length=1)
    #: Options that the model's class reads.
    options: Mapping[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_source(self) -> "Entry":
        if (self.repository is None) == (self.url is None):
            raise ValueError(f"{self.name}: a repository or a url")
        if self.default and not self.commercial:
            raise ValueError(f"{self.name}: what excludes commercial use is nobody's default")
        return self

    @field_validator("files")
    @classmethod
    def _no_name_twice(cls, files: tuple[WeightFile, ...]) -> tuple[WeightFile, ...]:
        names = [PurePosixPath(file.path).as_posix() for file in files]
        if len({name.lower() for name in names}) < len(names):
            raise ValueError("a file stands there twice")
        return files

    @property
    def source(self) -> str:
        """Where it comes from, for people."""
        return f"{HUB}/{self.repository}" if self.repository else str(self.url)

    @property
    def short_source(self) -> str:
        """Where it comes from, in a few words: `owner/name` on Hugging Face, or the project elsewhere."""
        if self.repository:
            return self.repository
        host, owner, name = str(self.url).removeprefix("https://").split("/")[:3]
        return f"{host.replace('raw.githubusercontent.com', 'github.com')}/{owner}/{name}"

    @property
    def is_pinned(self) -> bool:
        """Whether the digest of every file with a part of its own is known beforehand."""
        return all(file.is_pinned for file in self.files if file.part is not None)

    @property
    def size(self) -> int | None:
        """Bytes of the whole download, where they are known exactly."""
        sizes = [file.size for file in self.files]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    def is_called(self, name: str) -> bool:
        """Whether a name means this model."""
        return name == self.name or name in self.aliases

    def why_consent(self) -> str | None:
        """Why somebody has to agree before it is used; None: nobody has to."""
        if self.format is Format.PICKLE and not self.is_pinned:
            return (
                f"The weights of {self.name} are a pickle whose digest nobody pinned: reading it can run code of "
                f"whoever made it ({self.source})."
            )
        if not self.commercial:
            return f"The licence of {self.name} ({self.licence}) excludes commercial use."
        return None

    def model_class(self) -> "type[Model[Any, Any]]":
        """The class that runs it.

        Raises
        ------
        ModelsNotInstalledError
            If a library is missing that the class needs to be imported.
        """
        module, _, name = self.loader.partition(":")
        try:
            return getattr(importlib.import_module(module), name)  # type: ignore[no-any-return]  # the list says so
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("immich_sidecar"):
                raise ModelError(f"{self.name}: {self.loader} is not part of this version") from error
            raise ModelsNotInstalledError(
                f"{self.name}: {error.name} is not installed; it comes with `pip install 'immich-sidecar[ai]'`"
            ) from error


@cache
def catalogue() -> tuple[Entry, ...]:
    """All models, in the order of the list: by job, the default first."""
    text = resources.files("immich_sidecar.analysis").joinpath("weights.toml").read_text(encoding="utf-8")
    return tuple(Entry.model_validate(entry) for entry in tomllib.loads(text)["models"])


def find(name: str) -> Entry:
    """The model of a name, or of another name for it.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    for entry in catalogue():
        if entry.is_called(name):
            return entry
    raise NotFoundError(f"There is no model {name[:80]!r}; `immich-sidecar models list` shows those there are.")


def default_for(job: Job) -> Entry | None:
    """The model that `default` means for a job; None where there is none, as for the learned tone."""
    return next((entry for entry in catalogue() if entry.job is job and entry.default), None)
