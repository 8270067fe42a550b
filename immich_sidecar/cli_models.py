"""The commands about models: what there is, fetching it, checking it, removing it, and whether it sees."""

import asyncio
import sys
from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from immich_sidecar.errors import ModelError, NotFoundError, StorageError, UndecodableError
from immich_sidecar.pipeline.printing import json_text
from immich_sidecar.settings import Settings, load_settings

if TYPE_CHECKING:
    from immich_sidecar.analysis.models_catalogue import Entry
    from immich_sidecar.analysis.selftest import Result
    from immich_sidecar.analysis.weights import Standing

app = typer.Typer(
    no_args_is_help=True, help="The models that look at photos: list, download, verify, remove, try. They are optional."
)

_Names = Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Names from `models list`.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Profile(StrEnum):
    """Sets of models, by what they do."""

    STANDARD = "standard"
    FULL = "full"


@app.command("list")
def list_models(*, as_json: _Json = False) -> None:
    """Show every model: what it is for, its size, licence and source, and whether it is here."""
    from immich_sidecar.analysis import weights
    from immich_sidecar.analysis.weights_words import size_words, state_words, to_json
    from immich_sidecar.pipeline.model_setup import jobs_of

    settings = load_settings()
    found = [weights.standing(entry, settings.weights_dir(), settings.models_consent) for entry in weights.catalogue()]
    if as_json:
        typer.echo(json_text([to_json(standing) for standing in found], indent=1))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("Job", "Name", "Size", "Licence", "State", "Source"):
        table.add_column(title, overflow="fold", min_width=24 if title == "State" else None)
    job = ""
    for standing in found:
        entry = standing.entry
        table.add_row(
            "" if entry.job.value == job else entry.job.value,
            f"{entry.name}{' *' if entry.default else ''}",
            size_words(standing),
            entry.licence + ("" if entry.commercial else " (not commercial)"),
            escape(state_words(standing)),
            entry.short_source,
        )
        job = entry.job.value
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 220
    console.print(table)
    console.print(f"* the default of its job. Folder: {escape(str(settings.weights_dir()))}", soft_wrap=True)
    jobs = [f"{job.value} ({name})" for job, name in jobs_of(settings).items()]
    console.print(f"Asked for by the settings: {', '.join(jobs) or 'none; see SIDECAR_PROFILE'}.", soft_wrap=True)


@app.command()
def download(
    names: _Names = None,
    *,
    profile: Annotated[
        Profile | None, typer.Option(help="The default models of a profile: standard (all but words) or full.")
    ] = None,
    i_agree: Annotated[
        bool,
        typer.Option(
            "--i-agree", help="Agree to files that could run code, or to licences that exclude commercial use."
        ),
    ] = False,
    as_json: _Json = False,
) -> None:
    """Fetch models; what broke off before goes on where it was. Ends with status 1 if one could not be had."""
    from immich_sidecar.analysis import weights
    from immich_sidecar.analysis.weights_words import state_words, to_json

    settings = load_settings()
    wanted = _entries(names or [], profile)
    if not wanted:
        raise typer.BadParameter("name models, or a profile", param_hint="NAME or --profile")
    results, failed = [], 0
    for entry in wanted:
        if i_agree and entry.why_consent() is not None:
            weights.consent_to(entry, settings.weights_dir(), "immich-sidecar models download --i-agree")
        try:
            standing = asyncio.run(_download(entry, settings, quiet=as_json))
        except (ModelError, StorageError) as error:
            failed += 1
            results.append({"name": entry.name, "error": str(error)})
            Console(stderr=True, highlight=False).print(str(error), markup=False, soft_wrap=True)
            continue
        results.append(to_json(standing))
        if not as_json:
            typer.echo(f"{entry.name}: {state_words(standing)}")
    if as_json:
        typer.echo(json_text(results, indent=1))
    if failed:
        raise typer.Exit(1)


@app.command()
def verify(names: _Names = None, *, as_json: _Json = False) -> None:
    """Read all files of models and hold them against what is pinned or recorded; those put there by hand are recorded.

    Without names: all that are here. Ends with status 1 if a file is missing or not what it should be.
    """
    from immich_sidecar.analysis import weights

    settings = load_settings()
    folder = settings.weights_dir()
    entries = _entries(names or [], None) or [
        entry for entry in weights.catalogue() if weights.standing(entry, folder).size
    ]
    verdicts = []
    with _bar(quiet=as_json) as bar:
        for entry in entries:
            task = bar.add_task(entry.name, total=weights.standing(entry, folder).size or None)
            verdicts.append(weights.verify(entry, folder, tell=partial(bar.advance, task)))
    if as_json:
        rows = [
            {"name": v.entry.name, "ok": v.is_right, "files": [file.__dict__ for file in v.files]} for v in verdicts
        ]
        typer.echo(json_text(rows, indent=1))
    else:
        for verdict in verdicts:
            for file in verdict.files:
                typer.echo(f"{verdict.entry.name}: {file.problem or f'{file.path}: {file.found}'}")
        if not verdicts:
            typer.echo(f"There are no models in {folder}.")
    if not all(verdict.is_right for verdict in verdicts):
        raise typer.Exit(1)


@app.command()
def remove(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names from `models list`.")],
    *,
    forget: Annotated[
        bool,
        typer.Option("--forget", help="Also forget which files were recorded, so that others may come next time."),
    ] = False,
) -> None:
    """Delete the files of models; what was recorded of them stays, so that the same ones must come again."""
    from immich_sidecar.analysis import weights
    from immich_sidecar.analysis.weights_words import decimal_size

    settings = load_settings()
    for entry in _entries(names, None):
        freed = weights.remove(entry, settings.weights_dir(), forget=forget)
        typer.echo(f"{entry.name}: {decimal_size(freed)} freed")


@app.command()
def consent(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names from `models list`.")],
    *,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take it back.")] = False,
) -> None:
    """Agree to use models whose files could run code, or whose licence excludes commercial use."""
    from immich_sidecar.analysis import weights

    settings = load_settings()
    for entry in _entries(names, None):
        why = entry.why_consent()
        if withdraw:
            weights.withdraw_consent(entry, settings.weights_dir())
            typer.echo(f"{entry.name}: nobody agrees to it any more")
        elif why is None:
            typer.echo(f"{entry.name}: needs nobody's consent")
        else:
            weights.consent_to(entry, settings.weights_dir(), "immich-sidecar models consent")
            typer.echo(f"{why} You agreed to use it.")


@app.command()
def selftest(
    names: _Names = None,
    *,
    photos: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder with the known photos. Default: those of installed libraries."),
    ] = None,
    as_json: _Json = False,
) -> None:
    """Run models on photos with known answers and show what was expected and what they found.

    Without names: all that are here, and those on other servers that the settings choose (`immich`, `endpoint`). Ends
    with status 1 if an answer is another than expected.
    """
    from immich_sidecar.analysis import weights
    from immich_sidecar.analysis.known_photos import read_known_photos
    from immich_sidecar.analysis.runtime.offers import ELSEWHERE, offered
    from immich_sidecar.analysis.runtime.placement import find_devices
    from immich_sidecar.analysis.selftest import run, run_offer
    from immich_sidecar.pipeline.model_setup import jobs_of, sources_of

    settings = load_settings()
    folder, consents = settings.weights_dir(), settings.models_consent
    away = [name for name in names or jobs_of(settings).values() if name in ELSEWHERE]
    entries = _entries([name for name in names or () if name not in ELSEWHERE], None)
    if not names:
        entries = [entry for entry in weights.catalogue() if weights.standing(entry, folder, consents).usable]
    if not entries and not away:
        raise NotFoundError(
            f"There are no models in {folder} that could be tried; `immich-sidecar models download --profile standard` "
            "fetches the usual ones"
        )
    try:
        views = read_known_photos(photos)
    except UndecodableError as error:
        raise NotFoundError(str(error)) from error
    devices, problem = find_devices(settings.device, settings.device_ids)
    errors = Console(stderr=True, highlight=False)
    if problem:
        errors.print(problem, markup=False, soft_wrap=True)
    results = []

    def tell(result: "Result") -> None:
        results.append(result)
        if not as_json:
            _show(result)

    for entry in entries:
        tell(run(entry, folder, views, consents=consents, devices=devices[:1]))
    for name in away:
        job = ELSEWHERE[name][0]
        tell(run_offer(name, job, offered({job: name}, sources_of(settings))[job], views))
    if as_json:
        typer.echo(json_text([_result_json(result) for result in results], indent=1))
    right = sum(result.ok for result in results)
    (errors.print if as_json else typer.echo)(f"{right} of {len(results)} models answered as expected")
    if right < len(results):
        raise typer.Exit(1)


def _entries(names: Sequence[str], profile: Profile | None) -> "list[Entry]":
    from immich_sidecar.analysis import weights
    from immich_sidecar.analysis.findings import Job

    found = [weights.find(name) for name in names]
    if profile is not None:
        jobs = [job for job in Job if profile is Profile.FULL or job is not Job.WORDS]
        found += [entry for job in jobs if (entry := weights.default_for(job)) is not None]
    return list({entry.name: entry for entry in found}.values())


async def _download(entry: "Entry", settings: Settings, *, quiet: bool) -> "Standing":
    from immich_sidecar.analysis.download import Progress, download

    with _bar(quiet=quiet) as bar:
        task = bar.add_task(entry.name, total=None)

        def tell(progress: Progress) -> None:
            bar.update(task, completed=progress.done, total=progress.total)

        return await download(
            entry,
            settings.weights_dir(),
            mirror=settings.models_mirror,
            min_free=settings.min_free,
            consents=settings.models_consent,
            tell=tell,
        )


def _bar(*, quiet: bool) -> Bar:
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True, highlight=False),
        transient=True,
        disable=quiet or not sys.stderr.isatty(),
    )


def _show(result: "Result") -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for check in result.checks:
        mark = "[green]ok[/]" if check.ok else "[red]no[/]"
        table.add_row(mark, escape(check.photo), f"expected {escape(check.expected)}", f"found {escape(check.found)}")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 200
    where = f" ({result.revision}) on {result.device}" if result.device else ""
    console.print(f"[bold]{escape(result.name)}[/]{where}", soft_wrap=True)
    if result.checks:
        console.print(table)
    if result.problem:
        console.print(f"[red]no[/] {escape(result.problem)}", soft_wrap=True)


def _result_json(result: "Result") -> dict[str, Any]:
    return {
        "name": result.name,
        "revision": result.revision,
        "device": result.device,
        "seconds": round(result.seconds, 3),
        "ok": result.ok,
        "problem": result.problem,
        "checks": [check._asdict() for check in result.checks],
    }
