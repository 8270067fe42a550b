"""Takes what lies in a hot folder until it is killed: `python -m tests.intake.taking DATA_DIR FOLDER`.

Prints a line for each photo, so that whoever kills it can choose the moment.
"""

import asyncio
import sys
from pathlib import Path

from immich_sidecar.intake.hot_folder import HotFolders, Pace
from immich_sidecar.library.leftovers import remove_leftovers
from immich_sidecar.settings import HotFolder
from tests.library.parts import open_library


async def main(data_dir: Path, folder: Path) -> None:
    async with open_library(data_dir) as library:
        await remove_leftovers(library.database, library.layout)
        library.intake.wake = lambda: print("taken", flush=True)
        following = HotFolders(
            [HotFolder(folder, "local"), HotFolder(folder, "anna")],
            library.database,
            library.intake,
            library.space,
            data_dir=data_dir,
            pace=Pace(settle=0.1, look=0.03),
        )
        await following.start()
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
