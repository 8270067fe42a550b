"""Run the stand-in as a program: `python -m tests.immich_server --port 2283`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from pathlib import Path

from . import ImmichServer
from .dialect import NEWEST, VERSIONS


async def serve(version: str, host: str, port: int, photos: list[Path]) -> None:
    server = ImmichServer(version=version, extraction_delay=0.2, thumbnail_delay=0.3)
    await server.start(port, host)
    user = server.add_user("Admin", is_admin=True)
    secret = server.add_key(user)
    for photo in photos:
        server.add_asset(user, photo)
    print(f"IMMICH_URL={server.url}")
    print(f"IMMICH_API_KEY={secret}")
    print("Upload with: curl -H 'x-api-key: KEY' -F deviceAssetId=1 -F deviceId=me \\")
    print("  -F fileCreatedAt=2026-01-01T00:00:00Z -F fileModifiedAt=2026-01-01T00:00:00Z \\")
    print(f"  -F assetData=@photo.jpg {server.url}/api/assets", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        await server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.immich_server", description="A stand-in Immich.")
    parser.add_argument("--version", default=NEWEST, help=f"what it plays: {', '.join(VERSIONS)} or another")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=2283)
    parser.add_argument("photos", nargs="*", type=Path, help="photos that are there from the start")
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments.version, arguments.host, arguments.port, arguments.photos))


if __name__ == "__main__":
    main()
