"""Calls about the server itself."""

from datetime import UTC, datetime, timedelta

from immich_py_client.api.account import create_notification
from immich_py_client.api.server import (
    get_about_info,
    get_server_config,
    get_server_features,
    get_server_version,
    get_supported_media_types,
    ping_server,
)
from immich_py_client.models import (
    NotificationCreate,
    ServerAbout,
    ServerConfig,
    ServerFeatures,
    ServerMediaTypes,
    ServerVersion,
)
from immich_py_client.models.notification_level import NotificationLevel

from immich_sidecar.errors import ImmichRefusedError
from immich_sidecar.immich.compatibility import Version
from immich_sidecar.immich.transport import Transport


class ServerCalls(Transport):
    """What Immich says of itself; most of it to everybody."""

    def server_now(self) -> datetime:
        """The present moment on Immich's clock, to about a second; ours where it is not known."""
        return datetime.now(UTC) + (self.clock_offset or timedelta(0))

    async def ping(self) -> bool:
        """Whether an Immich answers at the address; something else there raises ImmichRefusedError."""
        answer = await self.call(ping_server, tried=f"reach Immich at {self.url}")
        return bool(answer.res == "pong")

    async def version(self) -> Version:
        """The version, asked for anew; it is remembered as `server_version`."""
        answer: ServerVersion = await self.call(get_server_version, tried="ask Immich for its version")
        try:
            self.server_version = int(answer.major or 0), int(answer.minor or 0), int(answer.patch or 0)
        except (TypeError, ValueError) as error:
            raise ImmichRefusedError(f"Could not read Immich's version: {error}") from error
        return self.server_version

    async def known_version(self) -> Version:
        """The version, asked for at most once."""
        return self.server_version or await self.version()

    async def config(self) -> ServerConfig:
        """Public settings; Immich in maintenance mode has them too."""
        answer: ServerConfig = await self.call(get_server_config, tried="ask Immich for its public settings")
        return answer

    async def in_maintenance(self) -> bool:
        """Whether Immich is in maintenance mode, where it knows almost no other route."""
        answer: ServerConfig = await self.call(get_server_config, tried="ask whether Immich is in maintenance")
        return bool(answer.maintenance_mode)

    async def features(self) -> ServerFeatures:
        """What is switched on, such as signing in by password or by OAuth."""
        answer: ServerFeatures = await self.call(get_server_features, tried="ask Immich what is switched on")
        return answer

    async def about(self) -> ServerAbout:
        """The version in words, and the links that the operator set."""
        answer: ServerAbout = await self.call(get_about_info, tried="ask Immich about itself")
        return answer

    async def media_types(self) -> ServerMediaTypes:
        """Endings of the file names that Immich takes, such as `.cr3`."""
        answer: ServerMediaTypes = await self.call(get_supported_media_types, tried="ask Immich which files it takes")
        return answer

    async def notify(self, user_id: str, *, title: str, description: str, level: NotificationLevel = "info") -> None:
        """Show a user a notification, as plain text.

        Raises
        ------
        ImmichPermissionError
            If the one who asks is no admin, or the key may not do everything.
        """
        body = NotificationCreate(user_id=user_id, title=title, description=description, level=level)
        await self.call(create_notification, tried="show a notification in Immich", body=body)
