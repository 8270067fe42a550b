"""Process files without a service: analyse, advise, render, and write next to nothing that is not ours.

A recipe file written here carries the digest of the picture it belongs to (`ai_metadata.output.sha256`); that is
how a later run knows which files it may replace.
"""

import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid4

from immich_sidecar.advise.presets import Chosen
from immich_sidecar.errors import (
    NotAPhotoError,
    SettingsError,
    SidecarError,
    StorageError,
    UndecodableError,
    UnsupportedError,
)
from immich_sidecar.intake.names import is_ignored_file, is_ignored_folder
from immich_sidecar.library.files import adopt, write_atomically
from immich_sidecar.pipeline.printing import printable

if TYPE_CHECKING:
    from immich_sidecar.pipeline.executor import Executor
    from immich_sidecar.recipe.recipe import Recipe

Status = Literal["rendered", "left_alone", "skipped", "failed"]

#: Quality of JPEGs where none is asked for.
DEFAULT_QUALITY = 92
#: How names of pictures may end, by the ending that we give them.
_ENDINGS = {
    "jpg": {".jpg", ".jpeg"},
    "heic": {".heic", ".heif"},
    "avif": {".avif"},
    "jxl": {".jxl"},
    "tif": {".tif", ".tiff"},
}
#: How names of recipe files end.
_RECIPE = ".recipe.json"
#: Time that one file may take before its worker is ended, in seconds.
FILE_TIMEOUT = 300.0


@dataclass(frozen=True)
class Job:
    """One input and the two files that may come of it."""

    #: The original; only ever read.
    source: Path
    #: The picture to write, absolute.
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
    #: The picture that was written.
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
        ours = _pictures_of_ours(here, names)
        for name in sorted(names):
            path = here / name
            if is_ignored_file(name) or name.endswith(_RECIPE):
                continue
            if not _has_one_of(path, ours.get(printable(name), set())):
                yield path


def _digests(written: dict[str, Any]) -> set[str]:
    """SHA-256 that the picture of a recipe file may have, by what that tells of it."""
    return {str(written[key]) for key in ("sha256", "replaces") if written.get(key)}


def _has_one_of(path: Path, digests: set[str]) -> bool:
    try:
        return bool(digests) and _sha256(path) in digests
    except OSError:
        return False


def _pictures_of_ours(folder: Path, names: Iterable[str]) -> dict[str, set[str]]:
    """Printed names of pictures that earlier runs wrote beside their recipe files, with the SHA-256 of those."""
    found: dict[str, set[str]] = {}
    for name in names:
        if name.endswith(_RECIPE):
            with suppress(SidecarError):
                written = read_recipe_file(folder / name).ai_metadata.get("output")
                if isinstance(written, dict):
                    found.setdefault(str(written.get("file")), set()).update(_digests(written))
    return found


@dataclass(frozen=True)
class Wanted:
    """What the command line asks of the files."""

    #: Format of `output`; None: what the recipe says, else JPEG.
    format: str | None
    #: Quality in the sense of the format; None: the recipe's, or the usual one.
    quality: int | None
    #: Ending of the files' names.
    extension: str = "jpg"


def wanted_output(format_name: str | None, quality: int | None, recipe: Path | None) -> Wanted:
    """What files to make; reads the recipe file, if there is one, for its format.

    Raises what `read_recipe_file` raises.
    """
    from immich_sidecar.recipe.operations import plan as plan_of
    from immich_sidecar.recipe.plan import OutputPlan

    asked = OutputPlan() if recipe is None else plan_of(read_recipe_file(recipe).operations).output
    return Wanted(format_name, quality, (asked if format_name is None else OutputPlan(format_name)).extension)


def plan(files: Sequence[tuple[Path, Path]], output: Path, extension: str = "jpg") -> list[Job]:
    """Give every file names of its own in the output folder.

    `{stem}.jpg` (or the given ending); `{stem}_{ext}.jpg` where two inputs of a folder share the stem (compared
    without case, as some file systems do); a number after that where they share the extension too.
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
        jobs.append(Job(path, target / f"{candidate}.{extension}", target / f"{candidate}{_RECIPE}"))
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


def lut_folders(named: Path | None) -> tuple[Path, ...]:
    """Where the LUTs of recipes lie: the folder that was named, else those of the data directory.

    Raises
    ------
    StorageError
        If the named folder is none.
    """
    from immich_sidecar.library.layout import Layout
    from immich_sidecar.settings import load_settings

    if named is not None:
        if not named.is_dir():
            raise StorageError(f"{named}: no such folder; --luts names the folder that holds the .cube files")
        return (named,)
    try:
        layout = Layout(load_settings().data_dir)
        return tuple(layout.absolute(layout.luts(owner)) for owner, _ in layout.homes())
    except (SettingsError, OSError):
        return ()


async def process(
    jobs: Sequence[Job],
    executor: "Executor",
    *,
    slots: int,
    recipe: Path | None,
    wanted: Wanted,
    luts: tuple[Path, ...] = (),
    preset: Chosen | None = None,
) -> AsyncIterator[Outcome]:
    """Process the jobs, as many at a time as there are slots, and yield each outcome as it comes."""
    import asyncio

    from immich_sidecar.pipeline.executor import WorkerDied, WorkerTimeout
    from immich_sidecar.pipeline.worker import TaskFailed

    async def one(job: Job) -> Outcome:
        text = None if recipe is None else str(recipe)
        try:
            outcome: Outcome = await executor.run(process_file, job, text, wanted, luts, preset, timeout=FILE_TIMEOUT)
            return outcome
        except WorkerDied:
            return Outcome(str(job.source), "failed", "the file crashed the decoder; it is probably damaged")
        except WorkerTimeout:
            return Outcome(str(job.source), "failed", f"not finished after {FILE_TIMEOUT:.0f} s; given up")
        except TaskFailed as error:
            return Outcome(str(job.source), "failed", f"could not be developed: {error}")

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


def process_file(
    job: Job, recipe: str | None, wanted: Wanted, luts: tuple[Path, ...] = (), preset: Chosen | None = None
) -> Outcome:
    """Process one file in a worker. What goes wrong with the photo becomes its outcome."""
    from immich_sidecar.develop.probe import looks_like_photo_name

    name = str(job.source)
    seconds: dict[str, float] = {}
    try:
        if job.source.stat().st_size == 0:
            return Outcome(name, "skipped", "the file is empty")
        if not os.access(job.source, os.R_OK):
            return Outcome(name, "failed", "the file cannot be read; check its permissions")
        return _process_photo(job, recipe, wanted, luts, preset or Chosen(), seconds)
    except (NotAPhotoError, UnsupportedError) as error:
        return Outcome(name, "skipped", str(error), seconds=seconds)
    except UndecodableError as error:
        # Only a name that promises a photo makes a broken promise.
        status: Status = "failed" if looks_like_photo_name(job.source) else "skipped"
        return Outcome(name, status, str(error), seconds=seconds)
    except (SidecarError, OSError, MemoryError) as error:
        return Outcome(name, "failed", str(error) or type(error).__name__, seconds=seconds)


def _process_photo(  # noqa: PLR0917  what `process_file` was given
    job: Job,
    recipe_file: str | None,
    wanted: Wanted,
    luts: tuple[Path, ...],
    preset: Chosen,
    seconds: dict[str, float],
) -> Outcome:
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
        advice = advise(analysis, preset=preset)
        recipe = recipe_for(digest, advice, analysis, at=at, recipe_id=derived_id(digest), preset=preset)
        left_alone = advice.left_alone
        seconds["advise"] = _lap(lap)
    recipe = _with_output(recipe, wanted)
    quality = wanted.quality or DEFAULT_QUALITY
    replaced = _refuse_foreign(job)
    earlier = _of_another_ending(job)
    job.recipe.parent.mkdir(parents=True, exist_ok=True)
    if left_alone is None:
        lap = time.perf_counter()
        temporary = _temporary(job.picture)
        try:
            report = develop(job.source, recipe, temporary, quality=quality, luts=luts)
            # The recipe comes first and knows both pictures, so a crash between the two leaves nothing foreign.
            written = {"sha256": report.sha256, "quality": quality, "file": printable(job.picture.name)}
            if replaced is not None and replaced != report.sha256:
                written["replaces"] = replaced
            recipe = recipe.model_copy(update={"ai_metadata": recipe.ai_metadata | {"output": written}})
            write_atomically(job.recipe, recipe.to_json().encode())
            adopt(temporary, job.picture)
            if earlier is not None:
                earlier.unlink(missing_ok=True)
        finally:
            temporary.unlink(missing_ok=True)
        seconds["render"] = _lap(lap)
        seconds |= {f"render.{name}": round(value, 4) for name, value in report.seconds.items()}
    else:
        # A picture of ours from an earlier run would contradict what the recipe file says now.
        job.picture.unlink(missing_ok=True)
        if earlier is not None:
            earlier.unlink(missing_ok=True)
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


def replay(
    recipe_file: Path, original: Path, output: Path, *, quality: int | None = None, luts: Sequence[Path] = ()
) -> None:
    """Render a recipe file for its original into `output`, in this process; `luts` are folders of LUTs.

    Without a quality it is the one that the recipe file says its picture was made with.

    Raises
    ------
    StorageError
        If a file cannot be read or written, or the output is one of the inputs or has the ending of another format.
    RecipeError
        If the recipe is none, was made for another original, or names a LUT that is in none of the folders.
    PhotoError
        If the original cannot be decoded.
    """
    from immich_sidecar.develop.engine import develop
    from immich_sidecar.errors import RecipeError
    from immich_sidecar.recipe.operations import plan as plan_of

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
    ending = plan_of(recipe.operations).output.extension
    if output.suffix.lower() not in _ENDINGS[ending]:
        raise StorageError(f"{output}: this recipe makes a {ending.upper()} file; let its name end in .{ending}")
    if output.exists() and (output.samefile(original) or output.samefile(recipe_file)):
        raise StorageError(f"{output} is one of the inputs; choose another output file")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(output)
        try:
            develop(original, recipe, temporary, quality=quality or _quality_of(recipe), luts=luts)
            adopt(temporary, output)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{output}: cannot be written ({error.strerror})") from error


def _quality_of(recipe: "Recipe") -> int:
    """The quality with which the picture of a recipe file was made."""
    written = recipe.ai_metadata.get("output")
    quality = written.get("quality") if isinstance(written, dict) else None
    return quality if isinstance(quality, int) and 1 <= quality <= 100 else DEFAULT_QUALITY


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
            known = _digests(written)
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


def _with_output(recipe: "Recipe", wanted: Wanted) -> "Recipe":
    """The recipe with the format and quality that were asked for on the command line."""
    from immich_sidecar.recipe.recipe import Operation, Source, canonical

    present = recipe.operation("output")
    if wanted.format is None and (present is None or wanted.quality is None):
        return recipe
    before = dict(present.parameters) if present else {}
    if wanted.format is not None and wanted.format != before.get("format"):
        before |= {"format": wanted.format, "quality": None}
    if wanted.quality is not None:
        before["quality"] = wanted.quality
    step = Operation(type="output", parameters=before, timestamp=recipe.created_at, source=Source.USER)
    others = [operation for operation in recipe.operations if operation.type != "output"]
    overrides = {**recipe.user_overrides, "output": step.parameters}
    return recipe.model_copy(update={"operations": canonical([*others, step]), "user_overrides": overrides})


def _of_another_ending(job: Job) -> Path | None:
    """The picture that an earlier run made of the same file with another ending, if it is still that one."""
    if not job.recipe.exists():
        return None
    written = read_recipe_file(job.recipe).ai_metadata.get("output", {})
    path = job.recipe.with_name(Path(str(written.get("file") or job.picture.name)).name)
    if path == job.picture or not path.is_file() or path.samefile(job.source):
        return None
    return path if _sha256(path) == written.get("sha256") else None


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


def is_worth_a_line(outcome: Outcome) -> bool:
    """Whether to say why a file was not developed: not of what no name promised to be a photo."""
    from immich_sidecar.develop.probe import looks_like_photo_name

    promised = outcome.status == "skipped" and looks_like_photo_name(Path(outcome.file))
    return promised or outcome.status in {"failed", "left_alone"}
