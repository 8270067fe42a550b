"""Vectors of one owner and one set of weights as a matrix of bytes on disk, for looking at all of them at once.

Two files beside each other, both only ever added to: `.i8` holds the rows (each number rounded to -127..127 of the
row's largest), `.ids` a head that says whose rows these are and then 16 bytes about each row. A row is written, and on
the disk, before it is told of: whatever a crash cuts off is a tail that is dropped at the next opening. Nothing here is
more than a copy of rows of the database; whoever doubts it throws it away. Everything here blocks.
"""

import hashlib
import os
import zlib
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.library.files import make_folder, storage

#: What is kept about each row: number of its row in the database, what takes a sum of bytes back to a cosine (over
#: that of the query), and the checksum of the vector that it was made of.
RECORD = np.dtype([("id", "<i8"), ("scale", "<f4"), ("check", "<u4")])
#: Changes with the form of the files.
_FORMAT = 1
_HEAD_BYTES = 32


class VectorMatrix:
    """One matrix, opened; threads may search it while another adds to it.

    Parameters
    ----------
    path
        Of both files, without an ending.
    whose
        Words that say whose rows these are; files of others are thrown away at once.
    dim
        Numbers of a row.
    """

    def __init__(self, path: Path, whose: Sequence[str], dim: int) -> None:
        self.dim = dim
        self._rows_path, self._ids_path = path.with_name(f"{path.name}.i8"), path.with_name(f"{path.name}.ids")
        told = "\0".join((str(_FORMAT), str(dim), *whose))
        self._head = hashlib.sha256(told.encode("utf-8", "surrogatepass")).digest()
        self._inodes: tuple[int, int] | None = None
        self.records: NDArray[np.void] = np.empty(0, RECORD)
        self.rows: NDArray[np.int8] = np.empty((0, dim), np.int8)
        #: Whether the row of the database is still there.
        self.alive: NDArray[np.bool_] = np.empty(0, np.bool_)

    @classmethod
    def opened(cls, path: Path, whose: Sequence[str], dim: int) -> Self:
        """What is on disk as far as it is whole; empty where nothing usable is there.

        Raises
        ------
        StorageError
            If the files cannot be read or made.
        """
        matrix = cls(path, whose, dim)
        with storage(f"opening {matrix._ids_path}"):
            make_folder(path.parent)
            matrix._open()
        return matrix

    @property
    def last_id(self) -> int:
        """The highest number in it; 0 where it is empty."""
        return int(self.records["id"][-1]) if len(self.records) else 0

    @property
    def count(self) -> int:
        """How many of its rows are alive."""
        return int(np.count_nonzero(self.alive))

    @property
    def paths(self) -> tuple[Path, Path]:
        """Its two files."""
        return self._rows_path, self._ids_path

    def is_in_place(self) -> bool:
        """Whether its files are still the ones that were opened: a cache may have been emptied."""
        try:
            return self._inodes == self._inodes_now()
        except OSError:
            return False

    def add(self, ids: Sequence[int], vectors: NDArray[np.float32]) -> None:
        """Add rows whose numbers are higher than all before.

        Parameters
        ----------
        ids
            Rising.
        vectors
            (n, dim) float32, each of length 1, as they are in the database.

        Raises
        ------
        StorageError
            If they cannot be written; the matrix is then as before.
        """
        if not len(ids):
            return
        rows, records = _rounded(ids, vectors)
        n = len(self.records)
        with storage(f"writing {self._rows_path}"):
            _write_at(self._rows_path, n * self.dim, rows)
            _write_at(self._ids_path, _HEAD_BYTES + n * RECORD.itemsize, records)
        all_records = np.concatenate([self.records, records])
        alive = np.concatenate([self.alive, np.ones(len(records), np.bool_)])
        self._show(all_records, alive)

    def keep_only(self, ids: NDArray[np.int64]) -> None:
        """Mask all rows but those of the given numbers."""
        self.alive = np.isin(self.records["id"], ids)

    def throw_away(self) -> None:
        """Remove the files and begin with an empty matrix; searches under way go on with what they had."""
        with storage(f"removing {self._ids_path}"):
            # First what tells of rows, then the rows.
            self._ids_path.unlink(missing_ok=True)
            self._rows_path.unlink(missing_ok=True)
            make_folder(self._ids_path.parent)
            self._open()

    def nearest(self, query: NDArray[np.float32], most: int, threads: Executor, parts: int = 2) -> NDArray[np.void]:
        """The records of the rows most like the query, roughly in order; at most `most`, none that is masked.

        Parameters
        ----------
        query
            (dim,) float32 of length 1.
        threads, parts
            Where the parts of the work are done, and how many.
        """
        rows, records, alive = self.rows, self.records, self.alive
        n = min(len(rows), len(records), len(alive))
        peak = float(np.abs(query).max())
        if not n or peak == 0:
            return records[:0]
        bytes_of_query = np.rint(query * (127 / peak)).astype(np.int8)
        bounds = np.linspace(0, n, parts + 1).astype(int)

        def best(start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
            from immich_sidecar.library.vector_kernels import likenesses

            out = np.empty(end - start, np.float32)
            scales = np.ascontiguousarray(records["scale"][start:end])
            likenesses(rows[start:end], bytes_of_query, scales, alive[start:end], out)
            found = np.argpartition(out, -most)[-most:] if len(out) > most else np.arange(len(out))
            found = found[np.isfinite(out[found])]
            return found + start, out[found]

        pieces = list(threads.map(best, bounds[:-1], bounds[1:]))
        where = np.concatenate([places for places, _ in pieces])
        scores = np.concatenate([values for _, values in pieces])
        order = where[np.argsort(-scores, kind="stable")[:most]]
        return np.asarray(records[order], RECORD)

    def _open(self) -> None:
        for path in (self._rows_path, self._ids_path):
            path.touch()
        with self._ids_path.open("r+b") as ids:
            if ids.read(_HEAD_BYTES) != self._head:
                # Of somebody else, of an older form, or never finished.
                ids.truncate(0)
                ids.seek(0)
                ids.write(self._head)
                ids.flush()
                os.fsync(ids.fileno())
            ids.seek(_HEAD_BYTES)
            data = ids.read()
            records = np.frombuffer(data[: len(data) // RECORD.itemsize * RECORD.itemsize], RECORD).copy()
            whole = min(len(records), self._rows_path.stat().st_size // self.dim)
            records = records[:whole]
            # After a loss of power a tail may be zeros.
            rising = np.diff(records["id"], prepend=0) > 0
            whole = len(records) if rising.all() else int(np.argmin(rising))
            ids.truncate(_HEAD_BYTES + whole * RECORD.itemsize)
        os.truncate(self._rows_path, whole * self.dim)
        self._inodes = self._inodes_now()
        self._show(records[:whole], np.ones(whole, np.bool_))

    def _show(self, records: NDArray[np.void], alive: NDArray[np.bool_]) -> None:
        n = len(records)
        shape = (n, self.dim)
        self.rows = np.memmap(self._rows_path, np.int8, "r", shape=shape) if n else np.empty(shape, np.int8)
        self.records, self.alive = records, alive

    def _inodes_now(self) -> tuple[int, int]:
        return self._rows_path.stat().st_ino, self._ids_path.stat().st_ino


def check_of(vector: bytes) -> int:
    """The checksum by which a row is known to be made of a vector of the database."""
    return zlib.crc32(vector)


def _rounded(ids: Sequence[int], vectors: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[Any]]:
    peaks = np.maximum(np.abs(vectors).max(axis=1), np.float32(1e-12))
    rows = np.rint(vectors * (np.float32(127) / peaks)[:, None]).astype(np.int8)
    records = np.empty(len(rows), RECORD)
    records["id"], records["scale"] = ids, peaks
    records["check"] = [check_of(vector.tobytes()) for vector in np.ascontiguousarray(vectors, "<f4")]
    return rows, records


def _write_at(path: Path, offset: int, data: NDArray[Any]) -> None:
    with path.open("r+b", buffering=0) as target:
        target.seek(offset)
        rest = memoryview(data.tobytes())
        while rest:
            rest = rest[target.write(rest) :]
        os.fsync(target.fileno())
