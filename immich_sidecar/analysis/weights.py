"""Weights on disk: what is here, whether it is what it should be, and handing it to models.

Each model has a folder of its own below the folder of models, laid out as its source is. Beside the files lie
`sidecar-record.json`, which says what was seen of them when they came (size, SHA-256, revision), and
`sidecar-consent.json`, where somebody agreed to use them. A file whose digest `weights.toml` pins must have that one;
any other must stay as it was first seen. Files that somebody put there by hand count once `verify` has read them.
"""

import contextlib
import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from immich_sidecar.analysis.models.model import Model, ModelFiles
from immich_sidecar.analysis.models_catalogue import Entry, WeightFile, catalogue, default_for, find
from immich_sidecar.analysis.weights_record import (
    CONSENT,
    RECORD,
    Record,
    Seen,
    Tell,
    consent_to,
    digest,
    folder_of,
    has_consent,
    now_text,
    read_record,
    withdraw_consent,
    write_record,
)
from immich_sidecar.errors import StorageError, WeightsDamagedError, WeightsMissingError, WeightsRefusedError

#: Ending of files that are still arriving.
PART = ".part"


class State(StrEnum):
    """How the weights of a model stand."""

    #: Nothing, or not everything, is here.
    MISSING = "missing"
    #: Files are here that nobody has verified.
    UNVERIFIED = "unverified"
    #: Everything is here and is what it should be.
    READY = "ready"
    #: A file is not what was pinned or recorded.
    DAMAGED = "damaged"


class Known(StrEnum):
    """How we know what a file should be."""

    #: By a digest that this version of the program brings.
    PINNED = "pinned"
    #: By what was seen when it first came.
    RECORDED = "recorded"


@dataclass(frozen=True)
class Standing:
    """How a model stands; found by looking at sizes and times alone, so it costs nothing."""

    entry: Entry
    state: State
    #: What is wrong and what to do about it; empty where nothing is.
    problem: str = ""
    #: How its weights are known; None where they are not here.
    known: Known | None = None
    #: Bytes that are here, of a download that broke off as well.
    size: int = 0
    #: Whether a download broke off that can be resumed.
    broken_off: bool = False
    #: Why somebody has to agree before it is used, where nobody has.
    needs_consent: str | None = None
    #: Why somebody had to agree, where somebody has.
    consented: str | None = None
    #: Revision and digest in short; empty where it is not ready.
    revision: str = ""

    @property
    def usable(self) -> bool:
        """Whether it can be loaded."""
        return self.state is State.READY and self.needs_consent is None

    @property
    def reason(self) -> str:
        """Why it cannot be loaded; empty where it can."""
        if self.state is not State.READY:
            return self.problem
        return self.refusal

    @property
    def refusal(self) -> str:
        """Why somebody has to agree first, and how; empty where nobody has to, or somebody has."""
        if self.needs_consent is None:
            return ""
        name = self.entry.name
        return (
            f"{self.needs_consent} If that is fine with you: `immich-sidecar models consent {name}`, or put {name} "
            "into SIDECAR_MODELS_CONSENT."
        )


@dataclass(frozen=True)
class Verified:
    """What reading a file found."""

    path: str
    #: `right`, `recorded` (first seen now), `missing` or `damaged`.
    found: str
    problem: str = ""


@dataclass
class Verdict:
    """What reading all files of a model found."""

    entry: Entry
    files: list[Verified] = field(default_factory=list)

    @property
    def is_right(self) -> bool:
        """Whether all are there and right."""
        return bool(self.files) and all(file.found in ("right", "recorded") for file in self.files)


def needed(entry: Entry, home: Path, record: Record | None = None) -> Iterator[WeightFile]:
    """The files that have to be in a model's folder: pieces of large ones and what was recorded once among them.

    Raises
    ------
    WeightsDamagedError
        If a list of pieces cannot be read.
    """
    recorded = record.files if record is not None else {}
    for file in entry.files:
        index = home / f"{file.path}.index.json"
        if file.sharded and (index.exists() or f"{file.path}.index.json" in recorded):
            yield WeightFile(path=f"{file.path}.index.json")
            if index.exists():
                yield from pieces(entry, index)
        elif not file.optional or file.path in recorded or (home / file.path).exists():
            yield file


def pieces(entry: Entry, index: Path) -> list[WeightFile]:
    """The pieces that a list of safetensors pieces names.

    Raises
    ------
    WeightsDamagedError
        If it cannot be read, or names something else than files beside it.
    """
    try:
        names = sorted(set(json.loads(index.read_bytes())["weight_map"].values()))
        found = [WeightFile(path=name) for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsDamagedError(f"{entry.name}: {index.name} is no list of pieces; {_again(entry)}") from error
    if not found or any("/" in file.path or not file.path.endswith(".safetensors") for file in found):
        raise WeightsDamagedError(f"{entry.name}: {index.name} names files that cannot be its pieces; {_again(entry)}")
    return found


def standing(entry: Entry, folder: Path, consents: Collection[str] = ()) -> Standing:
    """How a model stands, by sizes and times of its files."""
    home = folder_of(entry, folder)
    record = read_record(entry, folder)
    why = entry.why_consent()
    agreed = why is not None and has_consent(entry, folder, consents)
    known = Known.PINNED if entry.is_pinned else Known.RECORDED
    broken_off = any(home.glob(f"*{PART}"))

    def answer(state: State, problem: str = "") -> Standing:
        return Standing(
            entry,
            state,
            problem=problem,
            known=None if state is State.MISSING else known,
            size=_bytes_in(home),
            broken_off=broken_off,
            needs_consent=None if agreed else why,
            consented=why if agreed else None,
            revision=_revision(record) if state is State.READY else "",
        )

    try:
        files = list(needed(entry, home, record))
    except WeightsDamagedError as error:
        return answer(State.DAMAGED, str(error))
    missing = [file.path for file in files if not (home / file.path).is_file()]
    if missing:
        return answer(State.MISSING, _missing(entry, missing, everything=len(missing) == len(files)))
    for file in files:
        seen, size = record.files.get(file.path), (home / file.path).stat().st_size
        expected = file.size if file.size is not None else seen.size if seen else None
        if expected is not None and size != expected:
            return answer(State.DAMAGED, f"{entry.name}: {file.path} has {size} bytes, not {expected}; {_again(entry)}")
    if unseen := [file.path for file in files if file.path not in record.files]:
        return answer(
            State.UNVERIFIED,
            f"{entry.name}: {unseen[0]} is here and was not verified; run `immich-sidecar models verify {entry.name}`",
        )
    return answer(State.READY)


def open(entry: Entry | str, folder: Path, consents: Collection[str] = ()) -> ModelFiles:  # noqa: A001  as gzip.open
    """The files of a model, ready to be loaded.

    Sizes and times of change are compared; a file whose time has changed is read as a whole.

    Parameters
    ----------
    entry
        The model, or a name of it.
    folder
        The folder of all models (`Settings.weights_dir()`).
    consents
        Names of models that somebody agreed to by a setting.

    Raises
    ------
    NotFoundError
        If there is no such model.
    WeightsMissingError
        If files are missing, or were put there by hand and not verified yet.
    WeightsDamagedError
        If a file is not what was pinned or recorded.
    WeightsRefusedError
        If somebody has to agree first, and nobody has.
    """
    entry = find(entry) if isinstance(entry, str) else entry
    found = standing(entry, folder, consents)
    if found.needs_consent is not None:
        raise WeightsRefusedError(found.refusal)
    if found.state in (State.MISSING, State.UNVERIFIED):
        raise WeightsMissingError(found.problem)
    if found.state is State.DAMAGED:
        raise WeightsDamagedError(found.problem)
    home, record = folder_of(entry, folder), read_record(entry, folder)
    changed = [
        file
        for file in needed(entry, home, record)
        if (home / file.path).stat().st_mtime_ns != record.files[file.path].mtime_ns
    ]
    if changed:
        record = _read_again(entry, folder, record, changed)
    return ModelFiles(
        name=entry.name,
        folder=home,
        revision=_revision(record),
        licence=entry.licence,
        files={file.part: home / file.path for file in entry.files if file.part is not None},
        options=dict(entry.options),
    )


def build(entry: Entry | str, folder: Path, consents: Collection[str] = ()) -> Model[Any, Any]:
    """The model itself, not loaded yet; raises what `open` and `Entry.model_class` raise."""
    entry = find(entry) if isinstance(entry, str) else entry
    files = open(entry, folder, consents)
    return entry.model_class()(files)


def verify(entry: Entry, folder: Path, *, tell: Tell | None = None) -> Verdict:
    """Read all files of a model and hold them against what is pinned and recorded; record what is new and right.

    Raises
    ------
    StorageError
        If a file cannot be read, or the record cannot be written.
    """
    home, record, verdict = folder_of(entry, folder), read_record(entry, folder), Verdict(entry)
    seen = dict(record.files)
    try:
        files = list(needed(entry, home, record))
    except WeightsDamagedError as error:
        verdict.files.append(Verified("", "damaged", str(error)))
        return verdict
    for file in files:
        path = home / file.path
        if not path.is_file():
            verdict.files.append(Verified(file.path, "missing", f"{file.path} is not here"))
            continue
        now, blob = digest(path, tell=tell)
        problem = mismatch(file, now, blob) or _differs(file, now, record.files.get(file.path))
        if problem:
            verdict.files.append(Verified(file.path, "damaged", problem))
            continue
        verdict.files.append(Verified(file.path, "right" if file.path in record.files else "recorded"))
        seen[file.path] = now
    if seen != record.files:
        write_record(entry, folder, record.model_copy(update={"files": seen, "at": record.at or now_text()}))
    return verdict


def remove(entry: Entry, folder: Path, *, forget: bool = False) -> int:
    """Delete a model's files; what was recorded of them stays, so that the same ones must come again.

    Parameters
    ----------
    forget
        Forget what was recorded, and that somebody agreed.

    Returns
    -------
    int
        How many bytes that gave back.

    Raises
    ------
    StorageError
        If a file cannot be deleted.
    """
    home = folder_of(entry, folder)
    kept = set() if forget else {RECORD, CONSENT}
    freed = 0
    try:
        for path in sorted(home.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path.name not in kept or path.parent != home:
                freed += path.lstat().st_size
                path.unlink()
        if home.is_dir() and not any(home.iterdir()):
            home.rmdir()
    except OSError as error:
        raise StorageError(f"{error.filename}: cannot be deleted ({error.strerror}); delete it by hand") from error
    return freed


def mismatch(file: WeightFile, seen: Seen, blob: str) -> str:
    """How a file differs from what is pinned; empty where it does not."""
    if file.size is not None and seen.size != file.size:
        return f"{file.path} has {seen.size} bytes, not {file.size}"
    if file.sha256 is not None and seen.sha256 != file.sha256:
        return f"the SHA-256 of {file.path} is {seen.sha256}, not the pinned {file.sha256}"
    if file.git_blob is not None and blob != file.git_blob:
        return f"git's id of {file.path} is {blob}, not the pinned {file.git_blob}"
    return ""


def _differs(file: WeightFile, seen: Seen, before: Seen | None) -> str:
    if before is None or before.sha256 == seen.sha256:
        return ""
    return f"the SHA-256 of {file.path} is {seen.sha256}; first seen was {before.sha256}"


def _read_again(entry: Entry, folder: Path, record: Record, changed: list[WeightFile]) -> Record:
    """Read files whose time of change is another than before; a copied folder has new times and the same bytes."""
    home, files = folder_of(entry, folder), dict(record.files)
    for file in changed:
        seen, blob = digest(home / file.path)
        problem = mismatch(file, seen, blob) or _differs(file, seen, record.files[file.path])
        if problem:
            raise WeightsDamagedError(f"{entry.name}: {problem}; {_again(entry)}")
        files[file.path] = seen
    record = record.model_copy(update={"files": files})
    with contextlib.suppress(StorageError):  # a folder that cannot be written to: read again next time
        write_record(entry, folder, record)
    return record


def _revision(record: Record) -> str:
    """The commit and a digest of all digests, in short."""
    lines = "".join(f"{seen.sha256} {path}\n" for path, seen in sorted(record.files.items()))
    content = hashlib.sha256(lines.encode()).hexdigest()[:12]
    return f"{record.revision[:8]}-{content}" if record.revision else content


def _bytes_in(home: Path) -> int:
    try:
        return sum(
            path.stat().st_size for path in home.rglob("*") if path.is_file() and path.name not in (RECORD, CONSENT)
        )
    except OSError:
        return 0


def _missing(entry: Entry, paths: list[str], *, everything: bool) -> str:
    what = "its weights are not here" if everything else f"{paths[0]} is missing"
    return f"{entry.name}: {what}; run `immich-sidecar models download {entry.name}`, or use the page Models"


def _again(entry: Entry) -> str:
    return f"run `immich-sidecar models verify {entry.name}`, or remove the model and download it again"


__all__ = [
    "PART",
    "Entry",
    "Known",
    "Record",
    "Seen",
    "Standing",
    "State",
    "Verdict",
    "Verified",
    "build",
    "catalogue",
    "consent_to",
    "default_for",
    "find",
    "folder_of",
    "mismatch",
    "needed",
    "open",
    "pieces",
    "read_record",
    "remove",
    "standing",
    "verify",
    "withdraw_consent",
    "write_record",
]
