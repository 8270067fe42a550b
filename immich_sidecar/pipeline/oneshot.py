"""Process files without a service: analyse, advise, render, and write next to nothing that is not ours.

A recipe file written here carries the digest of the picture it belongs to (`ai_metadata.output.sha256`); that is
how a later run knows which files it may replace.
"""

import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from immich_sidecar.errors import (
    NotAPhotoError,
    SidecarError,
    StorageError,
    UndecodableError,
    UnsupportedError,
)
from immich_sidecar.intake.names import is_ignored_file, is_ignored_folder
from immich_sidecar.library.files import adopt, write_atomically

if TYPE_CHECKING:
    from immich_sidecar.pipeline.executor import Executor
    from immich_sidecar.recipe.recipe import Recipe

Status = Literal["rendered", "left_alone", "skipped", "failed"]

#: Time that one file may take before its worker is ended, in seconds.
FILE_TIMEOUT = 300.0


@dataclass(frozen=True)
class Job:
    """One input and the two files that may come of it."""

    #: The original; only ever read.
    source: Path
    #: The JPEG to write, absolute.
    picture: Path
    #: The recipe file to write, absolute.
    recipe: Path


@dataclass(frozen=True)
class Outcome:
    """What came of one file."""

    #: The original, as it was named on the command line or found in a folder.
    file: str
    status: Status
    #: Why it was left alone, skipped or failed.
    reason: str | None = None
    #: The JPEG that was written.
    output: str | None = None
    #: The recipe file that was written.
    recipe: str | None = None
    #: What was proposed: operation, parameters, confidence, reason, applied.
    suggestions: list[dict[str, Any]] = field(default_factory=list)
    #: Seconds of each stage.
    seconds: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The outcome as a JSON object."""
        return asdict(self)


def find_files(inputs: Sequence[Path], output: Path) -> list[tuple[Path, Path]]:
    """List the files behind the inputs as (file, folder below the output), each file once, in a stable order.

    Folders are walked without following links to folders; hidden, temporary and system files in them are not
    listed, nor is anything below the output folder where that lies inside an input.

    Raises
    ------
    StorageError
        If an input does not exist.
    """
    output = output.absolute()
    found: dict[Path, tuple[Path, Path]] = {}
    for item in inputs:
        if item.is_dir():
            for path in _walk(item, output):
                found.setdefault(path.resolve(), (path, path.parent.relative_to(item)))
        elif item.exists():
            found.setdefault(item.resolve(), (item, Path()))
        else:
            raise StorageError(f"{item}: no such file or folder")
    return list(found.values())


def _walk(folder: Path, output: Path) -> Iterable[Path]:
    for root, folders, names in os.walk(folder):
        here = Path(root)
        folders[:] = sorted(
            name for name in folders if not is_ignored_folder(name) and (here / name).absolute() != output
        )
        for name in sorted(names):
            if not is_ignored_file(name) and not name.endswith(".recipe.json"):
                yield here / name


def plan(files: Sequence[tuple[Path, Path]], output: Path) -> list[Job]:
    """Give every file names of its own in the output folder.

    `{stem}.jpg`; `{stem}_{ext}.jpg` where two inputs of a folder share the stem (compared without case, as some
    file systems do); a number after that where they share the extension too.
    """
    stems: dict[tuple[str, str], int] = {}
    for path, folder in files:
        key = (str(folder).casefold(), path.stem.casefold())
        stems[key] = stems.get(key, 0) + 1
    jobs, taken = [], set()
    for path, folder in files:
        stem = path.stem
        if stems[str(folder).casefold(), stem.casefold()] > 1 and path.suffix:
            stem = f"{stem}_{path.suffix[1:].lower()}"
        candidate, number = stem, 1
        while (str(folder).casefold(), candidate.casefold()) in taken:
            number += 1
            candidate = f"{stem}_{number}"
        taken.add((str(folder).casefold(), candidate.casefold()))
        target = output.absolute() / folder
        jobs.append(Job(path, target / f"{candidate}.jpg", target / f"{candidate}.recipe.json"))
    return jobs


def read_recipe_file(path: Path) -> "Recipe":
    """Read a recipe from a file.

    Raises
    ------
    RecipeError
        If it is no recipe.
    StorageError
        If it cannot be read.
    """
    from immich_sidecar.recipe.recipe import Recipe

    try:
        text = path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: the recipe cannot be read ({error.strerror}); name a readable file") from error
    return Recipe.from_json(text)


async def process(
    jobs: Sequence[Job], executor: "Executor", *, slots: int, recipe: Path | None, quality: int
) -> AsyncIterator[Outcome]:
    """Process the jobs, as many at a time as there are slots, and yield each outcome as it comes."""
    import asyncio

    from immich_sidecar.pipeline.executor import WorkerDied, WorkerTimeout

    async def one(job: Job) -> Outcome:
        text = None if recipe is None else str(recipe)
        try:
            outcome: Outcome = await executor.run(process_file, job, text, quality, timeout=FILE_TIMEOUT)
            return outcome
        except WorkerDied:
            return Outcome(str(job.source), "failed", "the file crashed the decoder; it is probably damaged")
        except WorkerTimeout:
            return Outcome(str(job.source), "failed", f"not finished after {FILE_TIMEOUT:.0f} s; given up")

    waiting = iter(jobs)
    running: set[asyncio.Task[Outcome]] = set()
    try:
        while True:
            while len(running) < slots and (job := next(waiting, None)) is not None:
                running.add(asyncio.create_task(one(job)))
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()


def process_file(job: Job, recipe: str | None, quality: int) -> Outcome:
    """Process one file in a worker. What goes wrong with the photo becomes its outcome."""
    from immich_sidecar.develop.probe import looks_like_photo_name

    name = str(job.source)
    seconds: dict[str, float] = {}
    try:
        if job.source.stat().st_size == 0:
            return Outcome(name, "skipped", "the file is empty")
        if not os.access(job.source, os.R_OK):
            return Outcome(name, "failed", "the file cannot be read; check its permissions")
        return _process_photo(job, recipe, quality, seconds)
    except (NotAPhotoError, UnsupportedError) as error:
        return Outcome(name, "skipped", str(error), seconds=seconds)
    except UndecodableError as error:
        # Only a name that promises a photo makes a broken promise.
        status: Status = "failed" if looks_like_photo_name(job.source) else "skipped"
        return Outcome(name, status, str(error), seconds=seconds)
    except (SidecarError, OSError, MemoryError) as error:
        return Outcome(name, "failed", str(error) or type(error).__name__, seconds=seconds)


def _process_photo(job: Job, recipe_file: str | None, quality: int, seconds: dict[str, float]) -> Outcome:
    from immich_sidecar.advise.adviser import advise, recipe_for
    from immich_sidecar.analysis.analysis import analyse
    from immich_sidecar.develop.engine import develop
    from immich_sidecar.develop.probe import probe
    from immich_sidecar.recipe.recipe import derived_id

    began = time.perf_counter()
    digest = _sha256(job.source)
    at = datetime.fromtimestamp(job.source.stat().st_mtime, UTC)
    left_alone: str | None = None
    if recipe_file is not None:
        facts = probe(job.source)
        recipe = _for_original(read_recipe_file(Path(recipe_file)), digest, is_raw=facts.is_raw, at=at)
        seconds["read"] = _lap(began)
    else:
        seconds["read"] = _lap(began)
        lap = time.perf_counter()
        analysis = analyse(job.source)
        seconds["analyse"] = _lap(lap)
        lap = time.perf_counter()
        advice = advise(analysis)
        recipe = recipe_for(digest, advice, analysis, at=at, recipe_id=derived_id(digest))
        left_alone = advice.left_alone
        seconds["advise"] = _lap(lap)
    replaced = _refuse_foreign(job)
    job.recipe.parent.mkdir(parents=True, exist_ok=True)
    if left_alone is None:
        lap = time.perf_counter()
        temporary = _temporary(job.picture)
        try:
            report = develop(job.source, recipe, temporary, quality=quality)
            # The recipe comes first and knows both pictures, so a crash between the two leaves nothing foreign.
            written = {"sha256": report.sha256, "quality": quality}
            if replaced is not None and replaced != report.sha256:
                written["replaces"] = replaced
            recipe = recipe.model_copy(update={"ai_metadata": recipe.ai_metadata | {"output": written}})
            write_atomically(job.recipe, recipe.to_json().encode())
            adopt(temporary, job.picture)
        finally:
            temporary.unlink(missing_ok=True)
        seconds["render"] = _lap(lap)
        seconds |= {f"render.{name}": round(value, 4) for name, value in report.seconds.items()}
    else:
        # A picture of ours from an earlier run would contradict what the recipe file says now.
        job.picture.unlink(missing_ok=True)
        write_atomically(job.recipe, recipe.to_json().encode())
    seconds["total"] = _lap(began)
    return Outcome(
        str(job.source),
        "left_alone" if left_alone is not None else "rendered",
        left_alone,
        None if left_alone is not None else str(job.picture),
        str(job.recipe),
        list(recipe.ai_metadata.get("suggestions", [])),
        seconds,
    )


def replay(recipe_file: Path, original: Path, output: Path, *, quality: int) -> None:
    """Render a recipe file for its original into `output`, in this process.

    Raises
    ------
    StorageError
        If a file cannot be read or written, or the output is one of the inputs.
    RecipeError
        If the recipe is none, or was made for another original.
    PhotoError
        If the original cannot be decoded.
    """
    from immich_sidecar.develop.engine import develop
    from immich_sidecar.errors import RecipeError

    recipe = read_recipe_file(recipe_file)
    try:
        digest = _sha256(original)
    except OSError as error:
        raise StorageError(f"{original}: cannot be read ({error.strerror})") from error
    if digest != recipe.original_hash:
        raise RecipeError(
            f"{recipe_file} was made for another original (SHA-256 {recipe.original_hash[:12]}..., this one is "
            f"{digest[:12]}...); name the photo it belongs to, or use `process --recipe` to copy its look"
        )
    if output.exists() and (output.samefile(original) or output.samefile(recipe_file)):
        raise StorageError(f"{output} is one of the inputs; choose another output file")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(output)
        try:
            develop(original, recipe, temporary, quality=quality)
            adopt(temporary, output)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{output}: cannot be written ({error.strerror})") from error


def _for_original(recipe: "Recipe", digest: str, *, is_raw: bool, at: datetime) -> "Recipe":
    """The recipe itself where it was made for this original, else one with the same look for this one."""
    from immich_sidecar.recipe.recipe import Recipe, derived_id

    if recipe.original_hash == digest:
        return recipe
    operations = [operation for operation in recipe.operations if is_raw or operation.type != "decode"]
    return Recipe(
        id=derived_id(digest + recipe.id),
        original_hash=digest,
        created_at=at,
        operations=tuple(operations),
        ai_metadata={"copied_from": recipe.id},
        user_overrides={},
    )


def _refuse_foreign(job: Job) -> str | None:
    """Raise where a file to be written exists and is not ours, or is an input itself.

    Returns the SHA-256 of the picture of ours that is about to be replaced, or None.
    """
    known: set[str] = set()
    if job.recipe.exists():
        try:
            written = read_recipe_file(job.recipe).ai_metadata.get("output", {})
            known = {str(written[key]) for key in ("sha256", "replaces") if written.get(key)}
        except (SidecarError, AttributeError) as error:
            raise StorageError(f"{job.recipe} exists and is no recipe of ours; choose another output folder") from error
    if not job.picture.exists():
        return None
    present = _sha256(job.picture)
    if present not in known or job.picture.samefile(job.source):
        raise StorageError(
            f"{job.picture} exists and was not written by this program, or changed since; choose another output folder"
        )
    return present


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _temporary(final: Path) -> Path:
    """A hidden name beside a file that is about to be written."""
    return final.with_name(f".{uuid4().hex}.part")


def _lap(since: float) -> float:
    return round(time.perf_counter() - since, 4)


def summary(outcomes: Iterable[Outcome]) -> dict[str, int]:
    """How many files came to which end."""
    counts = dict.fromkeys(("rendered", "left_alone", "skipped", "failed"), 0)
    for outcome in outcomes:
        counts[outcome.status] += 1
    return counts


def json_line(outcome: Outcome) -> str:
    """The outcome as one line of JSON."""
    return json.dumps(outcome.as_dict(), ensure_ascii=False, sort_keys=True)
