"""The commands."""

import asyncio
import logging
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from immich_sidecar import __version__, cli_models
from immich_sidecar.errors import SettingsError, SidecarError
from immich_sidecar.settings import Settings, default_workers, load_settings

if TYPE_CHECKING:
    from immich_sidecar.advise.presets import Chosen

_LUTS = "Folder with the .cube files that recipes name. Default: those in the data directory."

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Develops the photos in an Immich library, and never touches an original.",
)
app.add_typer(cli_models.app, name="models")


def main() -> None:
    """Run a command; what went wrong ends it with one line and exit status 2."""
    try:
        app()
    except SidecarError as error:
        print(f"immich-sidecar: {error}", file=sys.stderr)  # noqa: T201 - this is the command's answer
        sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    del version


@app.command()
def run() -> None:
    """Start the service: watch folders and Immich, develop what is new, serve the pages."""
    settings = load_settings()
    _log_to_console(settings.log_level)
    from immich_sidecar.app import run_service

    run_service(settings)


class OutputFormat(StrEnum):
    """Formats of `output`, as the command line takes them."""

    JPEG = "jpeg"
    SMALL = "small"
    HEIC = "heic"
    AVIF = "avif"
    JXL = "jxl"
    TIFF16 = "tiff16"


@app.command()
def process(
    inputs: Annotated[list[Path], typer.Argument(metavar="FILE|FOLDER...", help="Photos, or folders of photos.")],
    *,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.")],
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Use this recipe instead of analysing the photos.")
    ] = None,
    quality: Annotated[
        int | None, typer.Option(min=1, max=100, help="Quality in the sense of the format. [default: its usual one]")
    ] = None,
    file_format: Annotated[
        OutputFormat | None, typer.Option("--format", help="Kind of the files. [default: jpeg, or the recipe's]")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The look: vivid, portrait, black_and_white, film, as_camera, ..."),
    ] = None,
    strength: Annotated[float, typer.Option(min=0, max=200, help="Of the preset's look, in percent.")] = 100,
    luts: Annotated[Path | None, typer.Option(metavar="DIR", help=_LUTS)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per file.")] = False,
) -> None:
    """Develop files without the service: analyse, advise, render. Inputs are only ever read.

    Writes {stem}.jpg (or another ending by --format) and {stem}.recipe.json below DIR; a photo that needs nothing
    gets only its recipe file, which says why. Ends with status 1 if any photo failed.
    """
    from immich_sidecar.pipeline import oneshot
    from immich_sidecar.pipeline.printing import json_text

    if recipe is not None and preset is not None:
        raise typer.BadParameter("give a recipe or a preset, not both", param_hint="--preset")
    look = _preset(preset, strength)
    folders = oneshot.lut_folders(luts)
    wanted = oneshot.wanted_output(file_format.value if file_format else None, quality, recipe)
    jobs = oneshot.plan(oneshot.find_files(inputs, output), output, wanted.extension)
    errors = Console(stderr=True, highlight=False)
    outcomes: list[oneshot.Outcome] = []

    async def work() -> None:
        from immich_sidecar.pipeline.executor import PoolExecutor

        slots = max(1, min(default_workers(), len(jobs)))
        executor = PoolExecutor(slots, niceness=0)
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=errors,
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        try:
            with bar:
                task = bar.add_task("Developing", total=len(jobs))
                async for outcome in oneshot.process(
                    jobs, executor, slots=slots, recipe=recipe, wanted=wanted, luts=folders, preset=look
                ):
                    outcomes.append(outcome)
                    bar.advance(task)
                    if as_json:
                        print(json_text(outcome.as_dict(), sort_keys=True), flush=True)  # noqa: T201
                    elif oneshot.is_worth_a_line(outcome):
                        words = outcome.status.replace("_", " ")
                        errors.print(f"{outcome.file}: {words}: {outcome.reason}", markup=False, soft_wrap=True)
        finally:
            await executor.stop()

    asyncio.run(work())
    counts = oneshot.summary(outcomes)
    line = (
        f"{counts['rendered']} rendered, {counts['left_alone']} left alone, "
        f"{counts['skipped']} skipped, {counts['failed']} failed"
    )
    (errors.print if as_json else typer.echo)(line)
    if counts["failed"]:
        raise typer.Exit(1)


@app.command()
def replay(
    recipe: Annotated[Path, typer.Argument(help="Recipe file.")],
    original: Annotated[Path, typer.Argument(help="The photo it was made for.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Picture to write.")],
    quality: Annotated[
        int | None, typer.Option(min=1, max=100, help="JPEG quality. [default: that of the recipe file, else 92]")
    ] = None,
    luts: Annotated[Path | None, typer.Option(metavar="DIR", help=_LUTS)] = None,
) -> None:
    """Render a recipe again: the same bytes with the same version of the engine."""
    from immich_sidecar.pipeline import oneshot
    from immich_sidecar.pipeline.printing import printable

    oneshot.replay(recipe, original, output, quality=quality, luts=oneshot.lut_folders(luts))
    typer.echo(printable(str(output)))


@app.command()
def verify(
    quick: Annotated[bool, typer.Option("--quick", help="Compare sizes only, not checksums.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object.")] = False,
) -> None:
    """Hold the files in the data directory against the rows of the database. Changes nothing.

    Ends with status 1 if anything is missing, damaged or left over.
    """
    settings = load_settings()
    from immich_sidecar.pipeline.printing import json_text, printable
    from immich_sidecar.surroundings import verify_library

    report = asyncio.run(verify_library(settings, deep=not quick))
    if as_json:
        typer.echo(json_text(report.as_dict()))
    else:
        for problem in report.problems:
            typer.echo(printable(f"{problem.kind}: {problem.message}"))
        typer.echo(report.summary())
    if report.problems:
        raise typer.Exit(1)


@app.command()
def check() -> None:
    """Look whether everything is in place: Immich, its version, the key's permissions, the folders.

    Ends with status 1 if something is not.
    """
    settings = load_settings()
    from immich_sidecar.surroundings import check_surroundings

    findings = asyncio.run(check_surroundings(settings))
    table = Table(show_header=False, box=None, pad_edge=False)
    for finding in findings:
        table.add_row("[green]ok[/]" if finding.ok else "[red]no[/]", finding.what, finding.words)
    Console(highlight=False, soft_wrap=True).print(table)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command()
def health() -> None:
    """Ask the service on this computer whether it is alive; for health checks of containers."""
    settings = load_settings()
    from immich_sidecar.surroundings import ask_health

    if not ask_health(settings):
        raise typer.Exit(1)


def _preset(name: str | None, strength: float) -> "Chosen | None":
    from immich_sidecar.advise.presets import Preset, chosen, is_builtin

    if name is not None and not is_builtin(name):
        raise typer.BadParameter(f"one of {', '.join(Preset)}", param_hint="--preset")
    return None if name is None else chosen(name, strength)


def _log_to_console(level: str) -> None:
    handler: logging.Handler
    if sys.stderr.isatty():
        handler = RichHandler(show_path=False, console=Console(stderr=True))
        form = "%(message)s"
    else:
        handler = logging.StreamHandler()
        form = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
    logging.basicConfig(level=level.upper(), format=form, handlers=[handler])
    for noisy in ("httpx", "httpcore", "apscheduler", "aiohttp.access", "alembic", "watchfiles"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


__all__ = ["Settings", "SettingsError", "app", "main"]
