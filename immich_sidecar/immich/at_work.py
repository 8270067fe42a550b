"""One connection at work: its intake, its publisher, its webhook and its socket, side by side and each on its own."""

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from immich_sidecar.errors import ImmichAwayError, ImmichCredentialsError, ImmichError, ImmichServerError
from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.compatibility import features_of, knows_workflows
from immich_sidecar.immich.connections import Connection, ConnectionState
from immich_sidecar.immich.intake import DOWNLOADS, ImmichIntake
from immich_sidecar.immich.publish import Publisher
from immich_sidecar.immich.set_up import Hook, ensure_hook, hook_path, remove_hooks
from immich_sidecar.immich.socket_listener import Change, SocketListener
from immich_sidecar.immich.upkeep import Upkeep
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.tables import AssetRow, ConnectionRow, PhotoRow
from immich_sidecar.settings import Mode

log = logging.getLogger(__name__)

#: Hints (webhook, socket) that are followed at the same time.
HINTS_AT_ONCE = 2
#: Seconds to wait for what was cancelled.
STOP_SECONDS = 1.5
#: Hints that may wait; what comes beyond is found by asking.
MOST_HINTS = 2000

_ASSET_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")

#: Told which assets of an owner were trashed, restored or deleted in Immich.
OnChange = Callable[[str, Change, Sequence[str]], Awaitable[None]]


@dataclass(frozen=True)
class Surroundings:
    """What all connections share."""

    database: Database
    events: EventLog
    #: What is written, and when, where a connection does not say.
    mode: Mode
    #: Our address as Immich's server sees it; None: no webhook is made.
    webhook_url: str | None = None
    #: Called where something that could not be published may be published now.
    on_back: Callable[[], object] | None = None
    on_change: OnChange | None = None


class Connected:
    """A connection with everything that works for it. Also what publishing calls a target.

    Every part runs by itself: what takes long, or fails, keeps no other from going on.
    """

    def __init__(
        self,
        row: ConnectionRow,
        connection: Connection,
        *,
        intake: ImmichIntake,
        publisher: Publisher,
        choices: Choices,
        surroundings: Surroundings,
    ) -> None:
        assert row.id is not None  # noqa: S101  it was written before
        self.id = row.id
        self.connection = connection
        self.intake = intake
        self.publisher = publisher
        self.choices = choices
        self._with = surroundings
        self._upkeep = Upkeep(connection, publisher, surroundings.database)
        self._secret_sha256 = row.webhook_secret_sha256
        self._workflow_ids = list(row.workflow_ids)
        self._hook_problem: str | None = None
        # What the webhook was seen to for: address, version, permissions.
        self._hooked_for: tuple[object, ...] | None = None
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._hints: OrderedDict[str, str] = OrderedDict()
        self._socket: SocketListener | None = None
        # Two at once would make two workflows.
        self._channels = asyncio.Lock()
        # Raised whenever there may be more to fetch.
        self._news = 0
        self._stopping = False

    @property
    def owner_id(self) -> str:
        """Whose photos these are."""
        return self.connection.owner_id

    @property
    def from_settings(self) -> bool:
        """Whether the key is that of `IMMICH_API_KEY`."""
        return self.connection.from_settings

    @property
    def secret_sha256(self) -> str | None:
        """What the webhook's secret is known by; None: there is no webhook."""
        return self._secret_sha256

    @property
    def webhook_address(self) -> str | None:
        """Where Immich is to call us for this connection; None where that is not known."""
        url = self._with.webhook_url
        return None if url is None else url + hook_path(self.id)

    @property
    def problems(self) -> tuple[str, ...]:
        """What was chosen and does not work, in sentences."""
        found = [self._hook_problem] if self.choices.webhook else []
        if self.choices.socket:
            found.append("The socket is not connected." if self._socket is None else self._socket.problem)
        if self.choices.watch:
            found.append(self.intake.problem)
        return (*(problem for problem in found if problem), *self._upkeep.problems)

    # ---- as a target of publishing

    @property
    def mode(self) -> Mode:
        """What is written, and when."""
        return self.choices.mode or self._with.mode

    @property
    def albums(self) -> bool:
        """Whether originals and versions go into albums of ours."""
        return self.choices.albums

    async def look_again(self, photo: PhotoRow) -> str | None:
        """Why no version of the photo may be uploaded now; see `ImmichIntake.look_again`."""
        return await self.intake.look_again(photo)

    async def ping(self) -> None:
        """Do nothing where Immich answers to our key; see `pipeline.targets.Target`."""
        check = await self.connection.refresh(self._with.database, self._with.events)
        if not self.connection.may_publish:
            message = check.message or "Immich does not answer"
            raise (
                ImmichCredentialsError(message)
                if check.state is ConnectionState.CREDENTIALS
                else ImmichAwayError(message)
            )

    # ---- at work

    def begin_round(self) -> None:
        """Ask for what is new, fetch what is due, see to tags and albums; what is still at it goes on with that."""
        self._begin("asking", self._ask)
        self._begin("upkeep", lambda: self._upkeep.see_to(self.choices))
        self._begin_fetching()

    async def rounds_over(self) -> None:
        """Wait for what is under way; new hints may begin more."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    def noticed(self, asset_id: str, by: str) -> bool:
        """Have an asset looked at, and taken, at once; whether there was room for it.

        `by` is `webhook` or `socket`.
        """
        if self._stopping or not self.choices.watch or not _ASSET_ID.match(asset_id):
            return False
        if asset_id not in self._hints and len(self._hints) >= MOST_HINTS:
            log.info("owner %s: too many hints at once; asking finds the rest", self.owner_id)
            return False
        self._hints.setdefault(asset_id, by)
        for number in range(HINTS_AT_ONCE):
            if f"hints {number}" not in self._tasks:
                self._begin(f"hints {number}", self._follow_hints)
                break
        return True

    async def ask_for(self, asset_id: str) -> AssetRow:
        """Take a photo that its owner asked for by name, as soon as there is room; see `ImmichIntake.ask_for`."""
        row = await self.intake.ask_for(asset_id)
        self._begin_fetching()
        return row

    async def change(self, choices: Choices) -> None:
        """Take over other choices; what Immich fails in stands in `problems`."""
        async with self._channels:
            before, self.choices = self.choices, choices
            self.connection.albums, self.connection.pairs = choices.albums, choices.pairs
            self._hooked_for = None
            if before.webhook and not choices.webhook:
                await self._unhook()
            elif choices.webhook and not before.webhook:
                # What its user deleted in Immich is made anew on demand.
                await self._write(workflow_ids=[])
        await self.see_to_channels()

    async def see_to_channels(self) -> None:
        """Bring webhook and socket to what is chosen; what Immich fails in stands in `problems`."""
        async with self._channels:
            if not self._stopping:
                await self._see_to_socket()
                await self._see_to_hook()

    async def stop(self) -> None:
        """End everything that runs, and the HTTP connections."""
        self._stopping = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        if self._socket is not None:
            await self._socket.stop()
        await self.connection.close()

    async def remove_hooks(self) -> tuple[str, ...]:
        """Delete our workflows in Immich; gives a sentence for each that is still there."""
        return await remove_hooks(self.connection.api, self._workflow_ids)

    def _begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        if not self._stopping and name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._guarded(name, work), name=f"{name} of {self.owner_id}")

    async def _guarded(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except Exception:  # the boundary: the next round tries again
            log.exception("owner %s: %s failed", self.owner_id, name)
        finally:
            # Here and not in a callback: whoever begins the same in the same moment must find the place free.
            self._tasks.pop(name, None)

    def _begin_fetching(self) -> None:
        self._news += 1
        for number in range(DOWNLOADS):
            self._begin(f"fetching {number}", self._fetch)

    async def _fetch(self) -> None:
        known = None
        while known != self._news:
            known = self._news
            await self.intake.fetch_alone()

    async def _ask(self) -> None:
        could = self.connection.may_publish
        if not self.choices.watch:
            await self.connection.make_sure(self._with.database, self._with.events)
        else:
            await self.intake.notice()
        self._begin_fetching()
        if self.connection.may_publish and not could and self._with.on_back is not None:
            # What became due meanwhile was not looked at.
            self._with.on_back()
        await self.see_to_channels()

    async def _follow_hints(self) -> None:
        while self._hints:
            asset_id, by = self._hints.popitem(last=False)
            await self.intake.look(asset_id, by=by)

    # ---- the webhook

    async def _see_to_hook(self) -> None:
        check, address = self.connection.last_check, self.webhook_address
        if not self.choices.webhook or check is None or not self.connection.verified:
            return
        seen_to = (address, check.version, check.permissions)
        if self._hooked_for == seen_to:
            return
        hook = self._why_no_hook(address)
        if hook is None:
            try:
                hook = await ensure_hook(
                    self.connection.api,
                    address or "",
                    known=self._workflow_ids,
                    secret_sha256=self._secret_sha256,
                    remember=lambda sha256: self._write(webhook_secret_sha256=sha256),
                )
            except ImmichAwayError:
                return
            except ImmichServerError as error:
                # The next round tries again: a new secret may be known here and not there.
                self._hook_problem = f"There is no webhook yet: {error}"
                return
            except ImmichError as error:
                hook = Hook(None, f"There is no webhook: {error}")
        if hook.workflow_id is not None and self._workflow_ids != [hook.workflow_id]:
            await self._write(workflow_ids=[hook.workflow_id])
        self._hook_problem, self._hooked_for = hook.problem, seen_to

    def _why_no_hook(self, address: str | None) -> Hook | None:
        if address is None:
            return Hook(None, "There is no webhook: SIDECAR_WEBHOOK_URL does not say where Immich finds us.")
        version = self.connection.api.server_version
        if version is not None and not knows_workflows(version):
            return Hook(None, "There is no webhook: Immich can call one from version 3.0 on.")
        granted = self.connection.last_check.permissions if self.connection.last_check else ()
        if "webhook" not in features_of(granted):
            return Hook(None, "There is no webhook: the API key may not make workflows.")
        return None

    async def _unhook(self) -> None:
        left = await self.remove_hooks()
        if left:
            log.warning("owner %s: %s", self.owner_id, " ".join(left))
        await self._write(workflow_ids=[], webhook_secret_sha256=None)
        self._hook_problem = None

    async def _write(self, **values: Any) -> None:
        """Change columns of the row, and what is remembered of them here."""
        async with self._with.database.transaction() as session:
            row = await session.get_one(ConnectionRow, self.id)
            for name, value in values.items():
                setattr(row, name, value)
            session.add(row)
        self._workflow_ids, self._secret_sha256 = list(row.workflow_ids), row.webhook_secret_sha256

    # ---- the socket

    async def _see_to_socket(self) -> None:
        check = self.connection.last_check
        wanted = self.choices.socket and check is not None and "all" in check.permissions
        if wanted and self._socket is None:
            self._socket = SocketListener(
                self.connection.url,
                self.connection.headers(),
                on_new=lambda asset_id: self.noticed(asset_id, "socket"),
                on_change=self._changed,
                on_version=self._version_told,
            )
            self._socket.start()
        elif not wanted and self._socket is not None:
            socket, self._socket = self._socket, None
            await socket.stop()

    async def _changed(self, change: Change, asset_ids: Sequence[str]) -> None:
        if change is Change.RESTORED:
            for asset_id in asset_ids:
                self.noticed(asset_id, "socket")
        if self._with.on_change is not None:
            await self._with.on_change(self.owner_id, change, asset_ids)

    def _version_told(self, version: str) -> None:
        check = self.connection.last_check
        if check is not None and check.version != version:
            # Updated while we run: what may be written is decided anew.
            self.connection.check_soon()
        # What happened while the socket was down is told to nobody.
        self.begin_round()
