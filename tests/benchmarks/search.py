"""How long does one search over a million photos take, how much memory, and does it find what exact search finds?

Run ``python -m tests.benchmarks.search [--photos 1000000] [--dims 512 768] [--folder FOLDER]``. Vectors are made up,
clustered as those of photos are (a few thousand directions, with deviations), and written in pieces through the same
`VectorMatrix` that the service uses, into a folder that is removed at the end; 2.5 KB a photo at 512 numbers. The peer,
in the same run and on the same two threads, is a product with all of them as float32 in memory, by numpy, with the
choice of the best twenty; it is also the truth for the recall. Times are the smallest and the median of all queries;
the processor's own time (of both threads together, median) says what they would be on a machine that has nothing else
to do: about half of it. Then the words that photos are found by without models: a million rows in SQLite.
"""

import argparse
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import numpy as np
import psutil
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from immich_sidecar.library.vector_matrix import VectorMatrix
from immich_sidecar.library.vectors import LOOKED_AT_AGAIN, THREADS

PIECE = 10_000
QUERIES = 20
BEST = 20


def made_up(photos: int, dim: int) -> Iterator[NDArray[np.float32]]:
    """Vectors of length 1, in pieces."""
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(2000, dim)).astype(np.float32)
    for start in range(0, photos, PIECE):
        n = min(PIECE, photos - start)
        piece = centres[rng.integers(0, len(centres), n)] + 0.8 * rng.standard_normal((n, dim), np.float32)
        yield piece / np.linalg.norm(piece, axis=1, keepdims=True)


def anonymous_bytes() -> int:
    """Memory of this process that is not a file's."""
    facts = psutil.Process().memory_info()
    return int(facts.rss - facts.shared)


def measure(photos: int, dim: int, folder: Path) -> list[str]:
    """One line of the table."""
    floats_path = folder / f"{dim}.f4"
    matrix = VectorMatrix.opened(folder / f"{dim}", ("benchmark",), dim)
    began, adding = time.perf_counter(), 0.0
    with floats_path.open("wb") as floats:
        for n, piece in enumerate(made_up(photos, dim)):
            floats.write(piece.astype("<f4").tobytes())
            at = time.perf_counter()
            matrix.add(range(n * PIECE + 1, n * PIECE + len(piece) + 1), piece)
            adding += time.perf_counter() - at
    print(f"{dim}: {photos} made in {time.perf_counter() - began:.0f} s, {adding:.1f} s of them adding to the matrix")
    on_disk = np.memmap(floats_path, np.float32, "r", shape=(photos, dim))
    rng = np.random.default_rng(11)
    picked = on_disk[np.sort(rng.choice(photos, QUERIES, replace=False))]
    queries = picked + 0.5 * rng.standard_normal(picked.shape, np.float32) / np.sqrt(dim)
    queries = np.asarray(queries / np.linalg.norm(queries, axis=1, keepdims=True), np.float32)
    ours, busy, found, before = [], [], [], anonymous_bytes()
    with ThreadPoolExecutor(THREADS) as threads:
        matrix.nearest(queries[0], LOOKED_AT_AGAIN, threads, THREADS)  # compiled, and read from the disk
        peak = 0
        for query in queries:
            at, processor = time.perf_counter(), time.process_time()
            near = matrix.nearest(query, LOOKED_AT_AGAIN, threads, THREADS)
            again = on_disk[near["id"] - 1] @ query
            found.append(set((near["id"][np.argsort(-again)[:BEST]] - 1).tolist()))
            ours.append(time.perf_counter() - at)
            busy.append(time.process_time() - processor)
            peak = max(peak, anonymous_bytes())
    memory = np.array(on_disk)  # the peer has everything in memory
    theirs, their_busy, hits = [], [], 0
    for query, mine in zip(queries, found, strict=True):
        at, processor = time.perf_counter(), time.process_time()
        scores = memory @ query
        best = np.argpartition(-scores, BEST)[:BEST]
        theirs.append(time.perf_counter() - at)
        their_busy.append(time.process_time() - processor)
        hits += len(mine & set(best.tolist()))
    del memory
    floats_path.unlink()
    return [
        str(dim),
        f"{1000 * min(ours):.0f} / {1000 * float(np.median(ours)):.0f}",
        f"{1000 * float(np.median(busy)):.0f}",
        f"{1000 * min(theirs):.0f} / {1000 * float(np.median(theirs)):.0f}",
        f"{1000 * float(np.median(their_busy)):.0f}",
        f"{float(np.median(theirs)) / float(np.median(ours)):.2f}",
        f"{hits / (QUERIES * BEST):.4f}",
        f"{photos * dim / 1e6:.0f} + {max(0, peak - before + matrix.records.nbytes + matrix.alive.nbytes) / 1e6:.0f}",
        f"{photos * dim * 4 / 1e6:.0f}",
    ]


def words(photos: int, folder: Path) -> str:
    """Milliseconds to find photos by a word among the rows that `library.photo_words` reads."""
    with sqlite3.connect(folder / "words.db") as database:
        database.execute(
            "CREATE TABLE photo_words (owner_id VARCHAR NOT NULL, photo VARCHAR NOT NULL, words VARCHAR NOT NULL, "
            "created_at DATETIME NOT NULL, PRIMARY KEY (owner_id, photo)) WITHOUT ROWID"
        )
        places = ["harbour", "mountain", "kitchen", "station", "garden", "beach", "forest", "office"]
        rows = (
            ("local", f"{n:064x}", f"img_{n:07d}.jpg {places[n % 8]} people dog lamp", str(n)) for n in range(photos)
        )
        database.executemany("INSERT INTO photo_words VALUES (?, ?, ?, ?)", rows)
        database.commit()
        taken = []
        for word in ("0123456", "lighthouse", "garden"):
            at = time.perf_counter()
            database.execute(
                "SELECT photo FROM photo_words WHERE owner_id = 'local' AND instr(words, ?) > 0 "
                "ORDER BY created_at DESC LIMIT 61",
                (word,),
            ).fetchall()
            taken.append(time.perf_counter() - at)
    return f"a word among {photos} photos: {1000 * min(taken):.0f} to {1000 * max(taken):.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1_000_000)
    parser.add_argument("--dims", type=int, nargs="+", default=[512, 768])
    parser.add_argument("--folder", type=Path, help="where the files are made; default: the system's temporary folder")
    arguments = parser.parse_args()
    table = Table(title=f"One search among {arguments.photos} vectors ({THREADS} threads)")
    times = ("ours, ms (least / median)", "processor", "numpy float32, ms", "processor")
    for column in ("dim", *times, "ratio", f"recall@{BEST}"):
        table.add_column(column)
    table.add_column("ours, MB (mapped + own)")
    table.add_column("numpy, MB")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for dim in arguments.dims:
            table.add_row(*measure(arguments.photos, dim, Path(folder)))
        Console(width=120).print(table)
        print(words(arguments.photos, Path(folder)))
    print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
