"""The one place where everything is built, wired, started and stopped."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from aiohttp import web
from filelock import FileLock

from immich_sidecar import __version__
from immich_sidecar.errors import SettingsError
from immich_sidecar.immich.connected import Connections
from immich_sidecar.immich.notify import LOOK_SECONDS, Notifier
from immich_sidecar.immich.secrets import Secrets
from immich_sidecar.immich.sign_in import SignIn
from immich_sidecar.immich.socket_listener import Change
from immich_sidecar.intake.hot_folder import HotFolders
from immich_sidecar.library import ai_results
from immich_sidecar.library.cache import Cache
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.intake import Intake
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.leftovers import remove_leftovers
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import LOCAL_OWNER
from immich_sidecar.library.vectors import Vectors
from immich_sidecar.pipeline import tasks
from immich_sidecar.pipeline.afterwards import Afterwards
from immich_sidecar.pipeline.backfill_bench import Bench
from immich_sidecar.pipeline.backfills import Backfills
from immich_sidecar.pipeline.commands import Commands
from immich_sidecar.pipeline.describing import Describing
from immich_sidecar.pipeline.dispatcher import Dispatcher, hold_data_directory
from immich_sidecar.pipeline.downloads import Downloads
from immich_sidecar.pipeline.executor import PoolExecutor
from immich_sidecar.pipeline.grouping import GROUP_SECONDS, Grouping
from immich_sidecar.pipeline.model_setup import looking_of
from immich_sidecar.pipeline.models_state import ModelsState
from immich_sidecar.pipeline.pairing import Pairing
from immich_sidecar.pipeline.publish_queue import PublishQueue
from immich_sidecar.pipeline.publishing import Publishing
from immich_sidecar.pipeline.resources import Allowance, Resources
from immich_sidecar.pipeline.schedule import Job, Schedule
from immich_sidecar.pipeline.stages import Tools
from immich_sidecar.pipeline.trials import Trials
from immich_sidecar.settings import After, Settings
from immich_sidecar.web.context import WebContext
from immich_sidecar.web.previews import Previews
from immich_sidecar.web.server import build_web

log = logging.getLogger(__name__)

#: Seconds that a whole stop may take; the system's patience is longer.
STOP_SECONDS = 7.0
#: Where a password that we made is kept, in the data directory.
PASSWORD_FILE = "password"  # noqa: S105 - a file's name


class Service:
    """The whole service. Builds everything from the settings; `start` and `stop` it once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.layout = Layout(settings.data_dir)
        self.database = Database(self.layout.database)
        self.events = EventLog(self.database)
        self.space = Space(settings.data_dir, settings.min_free)
        self.cache = Cache(self.layout, self.database, settings.cache_max)
        self.vectors = Vectors(self.database, self.layout, self.cache)
        self.grouping = Grouping(self.database, self.layout)
        self.executor = PoolExecutor(settings.workers, warm_up=tasks.warm_up)
        # A person who moves a slider does not queue behind a thousand photos.
        self.preview_executor = PoolExecutor(1, niceness=0, warm_up=tasks.warm_up)
        self.looking = looking_of(settings, self.layout)
        self.describing = Describing(self.database, self.layout, self.events, self.looking)
        self.intake = Intake(self.database, self.layout, self.events, self.space)
        self.connections = Connections(
            settings,
            self.database,
            self.layout,
            self.events,
            intake=self.intake,
            space=self.space,
            on_change=self._changed_in_immich,
            absorb=Pairing(self.database, self.events).absorb,
        )
        self.notifier = Notifier(self.database, self.connections.all, lambda: self.address)
        self.sign_in = SignIn(settings.immich_url) if settings.immich_url else None
        self.publish_queue = PublishQueue(
            self.database,
            Publishing(self.database, self.layout, self.events, keep_originals=settings.keep_originals),
            self.connections.targets,
            uploads=settings.uploads,
        )
        self.connections.on_back = self.publish_queue.wake
        self.tools = Tools(
            database=self.database,
            layout=self.layout,
            events=self.events,
            executor=self.executor,
            space=self.space,
            quality=settings.quality,
            output=None if settings.output == "jpeg" else settings.output,
            task_timeout=settings.task_timeout,
            mode=settings.mode,
            refetch=self.connections.refetch,
            looking=self.looking,
            faces=self.connections.faces_of,
            describe=self.describing.add,
        )
        self.address = ""
        self.password: str | None = None
        self._lock: FileLock | None = None
        self._runner: web.AppRunner | None = None
        self.dispatcher: Dispatcher | None = None
        self.commands: Commands | None = None
        self.backfills: Backfills | None = None
        self.downloads = Downloads(settings, self.events, changed=self.looking.renew)
        self.trials = Trials(self.database, self.events, self.connections.of_owner)
        self.hot_folders: HotFolders | None = None
        self.afterwards: Afterwards | None = None
        self.resources: Resources | None = None
        self.schedule: Schedule | None = None

    async def start(self) -> None:
        """Start everything; when it returns the pages answer at `address`.

        Raises
        ------
        SettingsError, StorageError, DataDirectoryBusyError
            If the data directory or the address cannot be used.
        """
        settings = self.settings
        prepare_data_directory(settings)
        self._lock = hold_data_directory(self.layout)
        await self.database.open()
        await remove_leftovers(self.database, self.layout)
        async with self.database.transaction() as session:
            for owner in dict.fromkeys([LOCAL_OWNER, *(folder.owner for folder in settings.folders())]):
                await ensure_owner(session, owner)
        await self.connections.start(Secrets.load(settings))
        # Before workers are started that would have to be ended in the middle of their beginning.
        _check_address(settings)
        await self.executor.start()
        await self.preview_executor.start()
        dispatcher = Dispatcher(self.tools, slots=settings.workers + 1, publishing=self.publish_queue, lock=self._lock)
        self.dispatcher = dispatcher
        self.intake.wake = dispatcher.wake
        self.commands = commands = Commands(
            self.database, self.layout, self.events, wake=dispatcher.wake, abandon=dispatcher.abandon
        )
        self.hot_folders = HotFolders(
            settings.folders(),
            self.database,
            self.intake,
            self.space,
            data_dir=settings.data_dir,
            polling=settings.hot_folder_polling,
            pairs=settings.pairs,
            leaves=settings.hot_folder_after is not After.KEEP,
            absorb=Pairing(self.database, self.events).absorb,
        )
        self.afterwards = Afterwards(
            self.database,
            self.layout,
            self.connections.targets,
            after=settings.hot_folder_after,
            folder_of=self.hot_folders.owners_of,
            tell=self.hot_folders.tell,
        )
        self.backfills = Backfills(
            Bench(
                database=self.database,
                events=self.events,
                layout=self.layout,
                executor=self.preview_executor,
                grounds=self.connections,
                workers=settings.workers,
                cache_max=settings.cache_max,
                wake=dispatcher.wake,
            )
        )
        self.resources = Resources(
            settings.workers,
            busy=lambda: dispatcher.in_work,
            # One more keeps the workers busy while rows are written.
            apply=lambda workers: dispatcher.limit(workers + 1),
            looking=self.looking,
        )
        self.password = page_password(settings)
        await self._serve(
            WebContext(
                settings=settings,
                database=self.database,
                layout=self.layout,
                events=self.events,
                commands=commands,
                dispatcher=dispatcher,
                intake=self.intake,
                space=self.space,
                previews=Previews(
                    self.layout,
                    self.cache,
                    self.preview_executor,
                    refetch=self.connections.refetch,
                ),
                vectors=self.vectors,
                password=self.password,
                hot_folders=self.hot_folders.states,
                retry_intake=self.connections.retry_failed,
                connections=self.connections,
                sign_in=self.sign_in,
                backfills=self.backfills,
                trials=self.trials,
                models=self.looking,
                models_state=self._models_state,
                downloads=self.downloads,
            )
        )
        await dispatcher.start()
        await self.resources.start()
        await self.describing.start()
        await self.afterwards.start()
        await self.hot_folders.start()
        self.schedule = Schedule(
            events=self.events,
            cache=self.cache,
            commands=commands,
            poll=self.connections.tick if settings.immich_url else None,
            poll_seconds=settings.poll_seconds,
            more=(
                Job("telling users what waits", LOOK_SECONDS, self.notifier.tell, first_after=LOOK_SECONDS),
                Job("finding photos that belong together", GROUP_SECONDS, self.grouping.run, first_after=90),
                Job("keeping the search up to date", GROUP_SECONDS, self.vectors.bring_up_to_date, first_after=240),
                Job("forgetting answers of models", 3600, self._forget_answers, first_after=600),
            ),
        )
        await self.schedule.start()
        await self.backfills.start()

    async def stop(self) -> None:
        """Stop everything; what was under way goes on at the next start."""
        if self.schedule is not None:
            await self.schedule.stop()
        if self.backfills is not None:
            await self.backfills.stop()
        await self.trials.stop()
        await self.downloads.stop()
        if self.hot_folders is not None:
            await self.hot_folders.stop()
        if self.afterwards is not None:
            await self.afterwards.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        if self.resources is not None:
            await self.resources.stop()
        await self.describing.stop()
        # The dispatcher first: it lets go of what runs, so that no ended worker counts against a photo.
        if self.dispatcher is not None:
            await self.dispatcher.stop(2.5)
        await asyncio.gather(self.executor.stop(1.5), self.preview_executor.stop(1.5), self.looking.stop())
        await self.connections.stop()
        if self.sign_in is not None:
            await self.sign_in.close()
        self.vectors.close()
        await self.database.close()

    async def _models_state(self) -> ModelsState:
        allowance = self.resources.allowance if self.resources is not None else Allowance(self.settings.workers)
        return ModelsState(await self.looking.state(), self.describing.waiting, allowance, self.settings.workers)

    async def _forget_answers(self) -> None:
        await asyncio.to_thread(ai_results.forget_old, self.layout)

    async def _changed_in_immich(self, owner: str, change: Change, asset_ids: Sequence[str]) -> None:
        """What came back from Immich's trash may be published now; the rest is found where it matters."""
        if change is Change.RESTORED and self.commands is not None:
            await self.commands.go_on_with(owner, asset_ids)

    async def _serve(self, context: WebContext) -> None:
        settings = self.settings
        runner = web.AppRunner(build_web(context), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._runner = runner
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except OSError as error:
            raise _cannot_listen(settings, error) from error
        port = runner.addresses[0][1]
        # A host that means "all addresses" is none that a browser can open.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
        base = settings.pages_path()
        own = f"http://{f'[{host}]' if ':' in host else host}:{port}{base}"
        public = settings.public_url
        self.address = own if public is None else public if urlsplit(public).path else public + base


def _check_address(settings: Settings) -> None:
    """Make sure that the address is free.

    Raises
    ------
    SettingsError
        If nobody can listen there.
    """
    if settings.port == 0:
        return
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        socket.create_server((settings.host, settings.port), family=family).close()
    except OSError as error:
        raise _cannot_listen(settings, error) from error


def _cannot_listen(settings: Settings, error: OSError) -> SettingsError:
    return SettingsError(
        f"SIDECAR_HOST={settings.host} SIDECAR_PORT={settings.port}: cannot listen there "
        f"({error.strerror}); choose another port or host"
    )


def run_service(settings: Settings) -> None:
    """Run the service until SIGTERM or SIGINT."""
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    service = Service(settings)
    try:
        await service.start()
        say(service)
        await ended.wait()
        log.info("stopping")
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(service.stop(), STOP_SECONDS)


def say(service: Service) -> None:
    """Tell the person who started us where to look."""
    settings = service.settings
    lines = [f"immich-sidecar {__version__}: {service.address}"]
    if service.password is not None and settings.password is None:
        lines.append(f"password: {service.password} (kept in {settings.data_dir / PASSWORD_FILE})")
    lines += [f"hot folder: {folder.path} (owner {folder.owner})" for folder in settings.folders()]
    if settings.immich_url:
        count = len(service.connections.all())
        users = f"{count} connected" if count else "nobody is connected yet, sign in on the page"
        lines.append(f"Immich: {settings.immich_url} (mode {settings.mode}, {users})")
    print("\n".join(lines), flush=True)  # noqa: T201 - this is what the command answers


def prepare_data_directory(settings: Settings) -> None:
    """Make the data directory, and the default hot folder in it.

    Raises
    ------
    SettingsError
        If it cannot be made or written to.
    """
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        if not settings.hot_folders:
            settings.folders()[0].path.mkdir(exist_ok=True)
        probe = settings.data_dir / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingsError(
            f"SIDECAR_DATA_DIR={settings.data_dir}: cannot be written to ({error.strerror}); "
            "name a folder that this user may write to"
        ) from error


def page_password(settings: Settings) -> str | None:
    """The password of the pages: the one that is set, none on loopback, else one of ours.

    One of ours is made once and kept in the data directory with mode 600.
    """
    if settings.password is not None:
        return settings.password.get_secret_value()
    if settings.listens_on_loopback():
        return None
    file = settings.data_dir / PASSWORD_FILE
    with contextlib.suppress(FileNotFoundError):
        if kept := file.read_text().strip():
            return kept
    password = secrets.token_urlsafe(12)
    temporary = file.with_name(f".{PASSWORD_FILE}-{os.getpid()}")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(password + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)
    return password
