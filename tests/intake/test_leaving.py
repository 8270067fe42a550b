"""Files that leave a hot folder: only the bytes that are stored, never over another file, whatever interrupts it."""

import errno
import hashlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from immich_sidecar.intake import leaving
from immich_sidecar.intake.leaving import ChangedError, Leaver, StuckError
from immich_sidecar.intake.processed_folder import MARKER, is_processed_folder, processed_folder
from immich_sidecar.intake.scanning import Territory

CONTENT = b"a photo" * 1000
ROOT = Path(__file__).parents[2]


def _leaver(path: Path, content: bytes = CONTENT, number: int = 7) -> Leaver:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    status = path.stat()
    return Leaver(path, status.st_size, status.st_mtime_ns, hashlib.sha256(content).hexdigest(), number)


def _all(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MARKER
    }


def test_a_file_is_deleted(tmp_path: Path) -> None:
    leaving.delete(_leaver(tmp_path / "a.jpg"))
    assert _all(tmp_path) == {}


def test_a_file_is_moved_below_as_it_lay(tmp_path: Path) -> None:
    file = _leaver(tmp_path / "2024" / "a.jpg")
    (place,) = leaving.places(tmp_path, [file])
    leaving.move(file, place)
    assert _all(tmp_path) == {"Processed/2024/a.jpg": CONTENT}
    assert place.stat().st_mtime_ns == file.mtime_ns


def test_other_bytes_stay_even_with_the_same_size_and_time(tmp_path: Path) -> None:
    file = _leaver(tmp_path / "a.jpg")
    other = CONTENT[:-1] + b"!"
    file.path.write_bytes(other)
    os.utime(file.path, ns=(file.mtime_ns, file.mtime_ns))
    (place,) = leaving.places(tmp_path, [file])
    for leave in (lambda: leaving.delete(file), lambda: leaving.move(file, place)):
        with pytest.raises(ChangedError, match="other bytes"):
            leave()
        assert _all(tmp_path) == {"a.jpg": other}


@pytest.mark.parametrize("change", ["grown", "touched", "gone", "link"])
def test_a_file_that_is_not_what_it_was_stays(tmp_path: Path, change: str) -> None:
    file = _leaver(tmp_path / "a.jpg")
    if change == "grown":
        file.path.write_bytes(CONTENT + b"x")
    elif change == "touched":
        os.utime(file.path, (1, 1))
    else:
        file.path.unlink()
    if change == "link":
        (tmp_path / "real").write_bytes(CONTENT)
        file.path.symlink_to(tmp_path / "real")
    before = _all(tmp_path)
    with pytest.raises(ChangedError):
        leaving.delete(file)
    assert _all(tmp_path) == before
    assert file.path.is_symlink() == (change == "link")


def test_a_file_that_is_written_to_while_it_leaves_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody had it open: it is written to under its hidden name."""
    file = _leaver(tmp_path / "a.jpg")
    hash_file = leaving.hash_file
    with file.path.open("r+b") as open_elsewhere:

        def write_then_hash(path: Path) -> object:
            found = hash_file(path)
            open_elsewhere.write(b"changed")
            open_elsewhere.flush()
            os.utime(path, (5, 5))
            return found

        monkeypatch.setattr(leaving, "hash_file", write_then_hash)
        with pytest.raises(ChangedError, match="while it was read"):
            leaving.delete(file)
    assert _all(tmp_path) == {"a.jpg": b"changed" + CONTENT[7:]}


def test_a_new_file_of_the_name_is_not_touched(tmp_path: Path) -> None:
    """Interrupted while it had its hidden name; meanwhile another one came."""
    file = _leaver(tmp_path / "a.CR2.xmp")
    file.path.rename(file.hidden)
    file.path.write_bytes(b"another")
    assert leaving.bring_back(file)
    assert _all(tmp_path) == {"a.CR2.xmp": b"another", "a (2).CR2.xmp": CONTENT}
    assert not leaving.bring_back(file)


def test_files_of_one_photo_get_one_number(tmp_path: Path) -> None:
    first = [_leaver(tmp_path / name, name.encode(), number) for number, name in enumerate(("a.CR2", "a.CR2.xmp"))]
    for file, place in zip(first, leaving.places(tmp_path, first), strict=True):
        leaving.move(file, place)
    second = [_leaver(tmp_path / "a.CR2", b"new"), _leaver(tmp_path / "a.CR2.xmp", b"a.CR2.xmp", 8)]
    places = leaving.places(tmp_path, second)
    assert [place.name for place in places] == ["a (2).CR2", "a (2).CR2.xmp"]
    # The same bytes again: what is there serves.
    third = [_leaver(tmp_path / "a.CR2", b"a.CR2")]
    (place,) = leaving.places(tmp_path, third)
    leaving.move(third[0], place)
    assert set(_all(tmp_path)) == {"Processed/a.CR2", "Processed/a.CR2.xmp", "a.CR2.xmp"}


def test_a_file_system_without_second_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SMB and FAT refuse hard links."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(leaving.os, "link", refuse)
    file = _leaver(tmp_path / "a.jpg")
    (place,) = leaving.places(tmp_path, [file])
    leaving.move(file, place)
    assert _all(tmp_path) == {"Processed/a.jpg": CONTENT}
    other = _leaver(tmp_path / "a.jpg", b"other")
    with pytest.raises(ChangedError, match="there already"):
        leaving.move(other, place)
    assert _all(tmp_path) == {"Processed/a.jpg": CONTENT, "a.jpg": b"other"}


def test_a_folder_on_another_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = os.link

    def refuse(source: Path, target: Path, **more: object) -> None:
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        link(source, target)

    monkeypatch.setattr(leaving.os, "link", refuse)
    file = _leaver(tmp_path / "a.jpg")
    (place,) = leaving.places(tmp_path, [file])
    leaving.move(file, place)
    assert _all(tmp_path) == {"Processed/a.jpg": CONTENT}
    assert place.stat().st_mtime_ns == file.mtime_ns


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ESTALE])
def test_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    file = _leaver(tmp_path / "a.jpg")

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StuckError, match=os.strerror(number)):
        leaving.delete(file)
    monkeypatch.undo()
    assert _all(tmp_path) == {"a.jpg": CONTENT}


def test_a_target_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = _leaver(tmp_path / "a.jpg")
    (place,) = leaving.places(tmp_path, [file])
    link = os.link

    def refuse(source: Path, target: Path, **more: object) -> None:
        if target == place:
            raise OSError(errno.ENOSPC, "No space left on device")
        link(source, target)

    monkeypatch.setattr(leaving.os, "link", refuse)
    with pytest.raises(StuckError, match="No space"):
        leaving.move(file, place)
    assert _all(tmp_path) == {"a.jpg": CONTENT}


def test_names_at_the_limit(tmp_path: Path) -> None:
    file = _leaver(tmp_path / ("n" * 251 + ".jpg"))
    assert len(os.fsencode(file.hidden.name)) <= 255
    leaving.delete(file)
    assert _all(tmp_path) == {}


def test_the_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "Processed").mkdir()
    (tmp_path / "Processed" / "mine.jpg").write_bytes(b"mine")
    folder = processed_folder(tmp_path)
    assert folder.name == "Processed (2)"
    assert processed_folder(tmp_path) == folder
    assert not is_processed_folder(tmp_path / "Processed")
    (folder / "a.jpg").write_bytes(b"x")
    territory = Territory([tmp_path], tmp_path / "data")
    found = [one.path for batch in territory.files(tmp_path) for one in batch]
    assert found == [tmp_path / "Processed" / "mine.jpg"]
    assert not territory.admits(tmp_path, folder / "a.jpg")
    assert not territory.enters(tmp_path, folder)


_LEAVES_UNTIL_KILLED = """
import hashlib, os, signal, sys
from pathlib import Path
from immich_sidecar.intake import leaving
root, after, how = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
calls = 0
def counted(function):
    def call(*arguments, **named):
        global calls
        calls += 1
        if calls > after:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return call
for name in ("link", "rename", "unlink", "replace", "fsync", "lstat", "open", "mkdir"):
    setattr(os, name, counted(getattr(os, name)))
path = root / "a.jpg"
status = path.stat()
file = leaving.Leaver(path, status.st_size, status.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest(), 7)
if how == "delete":
    leaving.delete(file)
else:
    leaving.move(file, leaving.places(root, [file])[0])
"""


@pytest.mark.parametrize("how", ["delete", "move"])
def test_killed_at_each_step(tmp_path: Path, how: str) -> None:
    """At every moment the bytes are there under one of the names, or they have left altogether."""
    killed = 0
    for after in range(40):
        root = tmp_path / f"{after}"
        file = _leaver(root / "a.jpg")
        ended = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(_LEAVES_UNTIL_KILLED), str(root), str(after), how],
            cwd=ROOT,
            check=False,
            capture_output=True,
            text=True,
        )
        found = [content for content in _all(root).values() if content]
        if ended.returncode == 0:
            assert found == ([] if how == "delete" else [CONTENT])
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        killed += 1
        deleted = how == "delete" and not found
        assert deleted or set(found) == {CONTENT}
        leaving.bring_back(file)
        if not deleted and file.path.exists():
            # It goes on from there.
            if how == "delete":
                leaving.delete(file)
            else:
                leaving.move(file, leaving.places(root, [file])[0])
        names = {name for name, content in _all(root).items() if content}
        assert names == (set() if how == "delete" else {"Processed/a.jpg"})
    else:
        pytest.fail("it never ended by itself")
    assert killed >= 3


@pytest.mark.parametrize("moves", [False, True], ids=["deleted", "moved"])
def test_what_is_stuck_under_its_hidden_name_leaves_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moves: bool
) -> None:
    """A share fails between hiding a file and putting it back."""
    file = _leaver(tmp_path / "a.jpg")

    def away(*_: object, **__: object) -> None:
        raise OSError(errno.EHOSTDOWN, "Host is down")

    def leave() -> None:
        if moves:
            leaving.move(file, leaving.places(tmp_path, [file])[0])
        else:
            leaving.delete(file)

    with monkeypatch.context() as broken:
        broken.setattr(leaving, "_has", away)
        broken.setattr(os, "link", away)
        with pytest.raises(StuckError):
            leave()
    assert list(_all(tmp_path)) == [file.hidden.name]
    leave()
    assert _all(tmp_path) == ({"Processed/a.jpg": CONTENT} if moves else {})
