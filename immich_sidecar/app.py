"""The one place where everything is built, wired, started and stopped."""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web
from filelock import FileLock

from immich_sidecar import __version__
from immich_sidecar.errors import ImmichAwayError, ImmichCredentialsError, ImmichError, SettingsError
from immich_sidecar.immich.connections import Connection, ConnectionState
from immich_sidecar.immich.intake import ImmichIntake
from immich_sidecar.immich.publish import Publisher
from immich_sidecar.intake.hot_folder import HotFolders
from immich_sidecar.library.cache import Cache
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.intake import Intake
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.leftovers import remove_leftovers
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import LOCAL_OWNER
from immich_sidecar.pipeline import tasks
from immich_sidecar.pipeline.commands import Commands
from immich_sidecar.pipeline.dispatcher import Dispatcher, hold_data_directory
from immich_sidecar.pipeline.executor import PoolExecutor
from immich_sidecar.pipeline.publish_queue import PublishQueue
from immich_sidecar.pipeline.publishing import Publishing
from immich_sidecar.pipeline.schedule import Schedule
from immich_sidecar.pipeline.stages import Tools
from immich_sidecar.settings import Mode, Settings
from immich_sidecar.web.context import WebContext
from immich_sidecar.web.previews import Previews
from immich_sidecar.web.server import build_web

log = logging.getLogger(__name__)

#: Seconds that a whole stop may take; the system's patience is longer.
STOP_SECONDS = 7.0
#: Where a password that we made is kept, in the data directory.
PASSWORD_FILE = "password"  # noqa: S105 - a file's name


@dataclass(frozen=True)
class ImmichTarget:
    """A connection, as publishing sees it."""

    mode: Mode
    albums: bool
    publisher: Publisher
    connection: Connection
    database: Database
    events: EventLog

    async def ping(self) -> None:
        """Do nothing where Immich answers to our key; see `pipeline.publishing.Target`."""
        check = await self.connection.refresh(self.database, self.events)
        if not self.connection.may_publish:
            raise _as_error(check.state, check.message or "Immich does not answer")


class Service:
    """The whole service. Builds everything from the settings; `start` and `stop` it once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.layout = Layout(settings.data_dir)
        self.database = Database(self.layout.database)
        self.events = EventLog(self.database)
        self.space = Space(settings.data_dir, settings.min_free)
        self.cache = Cache(self.layout, self.database, settings.cache_max)
        self.executor = PoolExecutor(settings.workers, warm_up=tasks.warm_up)
        # A person who moves a slider does not queue behind a thousand photos.
        self.preview_executor = PoolExecutor(1, niceness=0, warm_up=tasks.warm_up)
        self.intake = Intake(self.database, self.layout, self.events, self.space)
        self.connection: Connection | None = None
        self.immich_intake: ImmichIntake | None = None
        key = settings.api_key()
        if settings.immich_url and key:
            self.connection = Connection(owner_id=LOCAL_OWNER, url=settings.immich_url, key=key, albums=settings.albums)
            self.immich_intake = ImmichIntake(
                self.connection, self.database, self.intake, self.layout, space=self.space, events=self.events
            )
            self.publisher = Publisher(self.connection, self.database)
        self.publish_queue = PublishQueue(
            self.database,
            Publishing(self.database, self.layout, self.events, keep_originals=settings.keep_originals),
            self._targets,
        )
        self.tools = Tools(
            database=self.database,
            layout=self.layout,
            events=self.events,
            executor=self.executor,
            space=self.space,
            quality=settings.quality,
            task_timeout=settings.task_timeout,
            mode=settings.mode,
            refetch=self.immich_intake.refetch if self.immich_intake else None,
        )
        self.address = ""
        self.password: str | None = None
        self._lock: FileLock | None = None
        self._runner: web.AppRunner | None = None
        self.dispatcher: Dispatcher | None = None
        self.hot_folders: HotFolders | None = None
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
        if self.connection is not None:
            await self.connection.prepare(self.database)
        await self.executor.start()
        await self.preview_executor.start()
        dispatcher = Dispatcher(self.tools, slots=settings.workers + 1, publishing=self.publish_queue, lock=self._lock)
        self.dispatcher = dispatcher
        self.intake.wake = dispatcher.wake
        commands = Commands(self.database, self.layout, self.events, wake=dispatcher.wake, abandon=dispatcher.abandon)
        self.hot_folders = HotFolders(
            settings.folders(),
            self.database,
            self.intake,
            self.space,
            data_dir=settings.data_dir,
            polling=settings.hot_folder_polling,
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
                    refetch=self.immich_intake.refetch if self.immich_intake else None,
                ),
                password=self.password,
                hot_folders=self.hot_folders.states,
                retry_intake=self._retry_intake,
            )
        )
        await dispatcher.start()
        await self.hot_folders.start()
        self.schedule = Schedule(
            events=self.events,
            cache=self.cache,
            commands=commands,
            poll=self._ask_immich if self.immich_intake else None,
            poll_seconds=settings.poll_seconds,
        )
        await self.schedule.start()

    async def stop(self) -> None:
        """Stop everything; what was under way goes on at the next start."""
        if self.schedule is not None:
            await self.schedule.stop()
        if self.hot_folders is not None:
            await self.hot_folders.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        # The dispatcher first: it lets go of what runs, so that no ended worker counts against a photo.
        if self.dispatcher is not None:
            await self.dispatcher.stop(2.5)
        await asyncio.gather(self.executor.stop(1.5), self.preview_executor.stop(1.5))
        if self.connection is not None:
            await self.connection.close()
        await self.database.close()

    async def _ask_immich(self) -> None:
        """Ask Immich for what is new."""
        if self.connection is None or self.immich_intake is None:
            return
        could = self.connection.may_publish
        await self.immich_intake.tick()
        if self.connection.may_publish and not could:
            # What became due meanwhile was not looked at.
            self.publish_queue.wake()

    def _targets(self) -> Mapping[int, ImmichTarget]:
        connection = self.connection
        # Not before this process has seen whose key it is: it may be another user's than before.
        if connection is None or connection.id is None or not connection.verified:
            return {}
        return {
            connection.id: ImmichTarget(
                self.settings.mode,
                self.settings.albums,
                self.publisher,
                connection,
                self.database,
                self.events,
            )
        }

    async def _retry_intake(self, owner: str) -> int:
        """Let the next poll try again what the intake from Immich gave up; gives the number of assets."""
        if self.immich_intake is None or self.connection is None or owner != self.connection.owner_id:
            return 0
        return await self.immich_intake.retry_failed()

    async def _serve(self, context: WebContext) -> None:
        settings = self.settings
        runner = web.AppRunner(build_web(context), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._runner = runner
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except OSError as error:
            raise SettingsError(
                f"SIDECAR_HOST={settings.host} SIDECAR_PORT={settings.port}: cannot listen there "
                f"({error.strerror}); choose another port or host"
            ) from error
        port = runner.addresses[0][1]
        # A host that means "all addresses" is none that a browser can open.
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
        self.address = settings.public_url or f"http://{f'[{host}]' if ':' in host else host}:{port}"


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
    if service.connection is not None:
        lines.append(f"Immich: {settings.immich_url} (mode {settings.mode})")
    elif settings.immich_url:
        lines.append(f"Immich: {settings.immich_url} is not used: IMMICH_API_KEY is not set")
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


def _as_error(state: ConnectionState, message: str) -> ImmichError:
    return ImmichCredentialsError(message) if state is ConnectionState.CREDENTIALS else ImmichAwayError(message)
