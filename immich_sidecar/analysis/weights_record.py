"""What was seen of weights when they came, and who agreed to use them: two small files beside them."""

import hashlib
import json
import os
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from immich_sidecar.analysis.findings import Frozen
from immich_sidecar.analysis.models_catalogue import Entry, Sha256
from immich_sidecar.errors import StorageError

RECORD = "sidecar-record.json"
CONSENT = "sidecar-consent.json"

_CHUNK = 1 << 20
#: Called with the number of bytes that were read since the last call.
Tell = Callable[[int], None]


class Seen(Frozen):
    """What was seen of a file."""

    size: int = Field(ge=0)
    sha256: Sha256
    #: When the file was last changed, as the system tells it, when it was last found to be right.
    mtime_ns: int


class Record(Frozen):
    """What was seen of a model's files."""

    #: Revision (commit) that the source named; empty where it names none, or files came by hand.
    revision: str = ""
    #: When they were first seen.
    at: str = ""
    files: dict[str, Seen] = Field(default_factory=dict)


class Consent(Frozen):
    """That somebody agreed to use a model."""

    at: str
    by: str


def folder_of(entry: Entry, folder: Path) -> Path:
    """The folder of one model below that of all."""
    return folder / entry.name


def read_record(entry: Entry, folder: Path) -> Record:
    """What was seen of a model's files; nothing where nothing was, or where the record cannot be read."""
    try:
        return Record.model_validate_json((folder_of(entry, folder) / RECORD).read_bytes())
    except (OSError, ValidationError):
        return Record()


def write_record(entry: Entry, folder: Path, record: Record) -> None:
    """Keep what was seen.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    _write(folder_of(entry, folder) / RECORD, record.model_dump(mode="json"))


def consent_to(entry: Entry, folder: Path, by: str) -> None:
    """Keep that somebody agreed to use a model; `by` says where.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    _write(folder_of(entry, folder) / CONSENT, Consent(at=now_text(), by=by).model_dump(mode="json"))


def withdraw_consent(entry: Entry, folder: Path) -> None:
    """Forget that somebody agreed."""
    (folder_of(entry, folder) / CONSENT).unlink(missing_ok=True)


def has_consent(entry: Entry, folder: Path, consents: Collection[str]) -> bool:
    """Whether somebody agreed, in a setting (`consents`: names of models) or beside the files."""
    if any(entry.is_called(name) for name in consents):
        return True
    try:
        Consent.model_validate_json((folder_of(entry, folder) / CONSENT).read_bytes())
    except (OSError, ValidationError):
        return False
    return True


def digest(path: Path, *, tell: Tell | None = None) -> tuple[Seen, str]:
    """What is seen of a file, and git's id of its content.

    Raises
    ------
    StorageError
        If it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            sha256 = hashlib.sha256()
            # Git's id of a file: SHA-1 over a header with its size, and its bytes.
            blob = hashlib.sha1(b"blob %d\0" % status.st_size, usedforsecurity=False)
            while chunk := stream.read(_CHUNK):
                sha256.update(chunk)
                blob.update(chunk)
                if tell is not None:
                    tell(len(chunk))
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror})") from error
    return Seen(size=status.st_size, sha256=sha256.hexdigest(), mtime_ns=status.st_mtime_ns), blob.hexdigest()


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _write(path: Path, content: Any) -> None:
    """Write a small file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump(content, stream, indent=1, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({error.strerror}); let the service write to the folder of models "
            "(SIDECAR_MODELS_DIR)"
        ) from error
