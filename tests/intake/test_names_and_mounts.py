"""Which names are passed over, which mounts have to be looked through, and what lies in a folder."""

import os
from pathlib import Path

import pytest

from immich_sidecar.intake.mounts import needs_polling
from immich_sidecar.intake.names import is_ignored_file, is_ignored_folder
from immich_sidecar.intake.scanning import BATCH, Territory, look_at, path_text


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.jpg",
        "a.jpg.part",
        "a.jpg.crdownload",
        "a.tmp",
        "a.jpg~",
        "a.filepart",
        ".syncthing.a.jpg.tmp",
        "~syncthing~a.jpg.tmp",
        ".a.jpg.Xy12Zq",  # rsync
        "Thumbs.db",
        "desktop.ini",
        ".DS_Store",
        "._a.jpg",
        "IMG_1.AAE",
        "SYNOFILE_THUMB_M.jpg",
    ],
)
def test_ignored_files(name: str) -> None:
    assert is_ignored_file(name)


@pytest.mark.parametrize("name", ["a.jpg", "IMG_1.CR2", "notes.txt", "no extension", "a.part.jpg", "ünïcode.HEIC"])
def test_files_that_are_looked_at(name: str) -> None:
    assert not is_ignored_file(name)


@pytest.mark.parametrize("name", ["@eaDir", ".stfolder", "#recycle", "$RECYCLE.BIN", "System Volume Information"])
def test_ignored_folders(name: str) -> None:
    assert is_ignored_folder(name)
    assert not is_ignored_folder("2024 " + name.strip("."))


def test_network_mounts_are_known(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    share = tmp_path / "my share"
    (share / "deep" / "local").mkdir(parents=True)
    escaped = str(share).replace(" ", "\\040")
    mounts.write_text(
        f"/dev/sda / ext4 rw 0 0\nnas:/x {escaped} nfs4 rw 0 0\ntmpfs {escaped}/deep/local tmpfs rw 0 0\ngarbage\n"
    )
    assert needs_polling(share, mounts)
    assert needs_polling(share / "deep", mounts)
    assert not needs_polling(share / "deep" / "local", mounts)
    assert not needs_polling(tmp_path, mounts)
    assert not needs_polling(tmp_path / "my share and more", mounts)
    assert not needs_polling(tmp_path, tmp_path / "no list")


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse.rclone", "fuse", "9p"])
def test_kinds_of_network_mounts(tmp_path: Path, kind: str) -> None:
    (tmp_path / "mounts").write_text(f"x {tmp_path} {kind} rw 0 0\n")
    assert needs_polling(tmp_path, tmp_path / "mounts")


@pytest.mark.parametrize("kind", ["ext4", "btrfs", "zfs", "overlay", "tmpfs", "xfs", "fuseblk"])
def test_kinds_of_local_mounts(tmp_path: Path, kind: str) -> None:
    (tmp_path / "mounts").write_text(f"x {tmp_path} {kind} rw 0 0\n")
    assert not needs_polling(tmp_path, tmp_path / "mounts")


def _names(territory: Territory, root: Path) -> list[str]:
    return sorted(str(found.path.relative_to(root)) for batch in territory.files(root) for found in batch)


def _file(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_folder_with_everything_in_it(tmp_path: Path) -> None:
    root, data = tmp_path / "photos", tmp_path / "data"
    for name in ("a.jpg", "2024/b.jpg", "2024/.hidden/c.jpg", "@eaDir/d.jpg", "2024/e.jpg.part", ".f.jpg"):
        _file(root / name)
    _file(root / "empty.jpg", b"")
    os.mkfifo(root / "pipe.jpg")
    (root / "loop").symlink_to(root)
    (root / "elsewhere").symlink_to(tmp_path)
    (root / "dangling.jpg").symlink_to(root / "nothing")
    (root / "linked.jpg").symlink_to(_file(tmp_path / "real.jpg"))
    territory = Territory([root], data)
    assert _names(territory, root) == ["2024/b.jpg", "a.jpg", "linked.jpg"]
    for name in ("a.jpg", "2024/b.jpg", "2024/new.jpg"):
        assert territory.admits(root, root / name)
    for name in ("2024/.hidden/c.jpg", "@eaDir/d.jpg", "loop/a.jpg", "elsewhere/x.jpg"):
        assert not territory.admits(root, root / name)
    assert not territory.admits(root, tmp_path / "x.jpg")


def test_of_nested_folders_the_innermost_has_a_file(tmp_path: Path) -> None:
    outer, inner = tmp_path / "outer", tmp_path / "outer" / "anna"
    _file(outer / "a.jpg")
    _file(inner / "b.jpg")
    territory = Territory([outer, inner], tmp_path / "data")
    assert _names(territory, outer) == ["a.jpg"]
    assert _names(territory, inner) == ["b.jpg"]
    assert not territory.admits(outer, inner / "b.jpg")


def test_what_is_ours_is_never_taken(tmp_path: Path) -> None:
    """The data directory in a hot folder, as the hot folder, with the inbox in it, and reached by links."""
    data = tmp_path / "photos" / "data"
    for name in ("originals/x.jpg", "processed/2024/05/x.jpg", "cache/previews/x.jpg", "owners/anna/originals/x.jpg"):
        _file(data / name)
    _file(data / "inbox" / "in.jpg")
    _file(data / "other.jpg")
    root, inbox = tmp_path / "photos", data / "inbox"
    _file(root / "mine.jpg")
    _file(root / "processed" / "by another program.jpg")
    (root / "link.jpg").symlink_to(data / "processed" / "2024" / "05" / "x.jpg")
    territory = Territory([root, inbox, data], data)
    assert _names(Territory([root], data), root) == ["mine.jpg", "processed/by another program.jpg"]
    assert _names(territory, inbox) == ["in.jpg"]
    assert _names(Territory([data], data), data) == ["inbox/in.jpg", "other.jpg"]
    (tmp_path / "alias").symlink_to(data / "originals")
    for folder in (data / "originals", data / "processed" / "2024", tmp_path / "alias"):
        assert territory.is_ours(folder)
    for folder in (root, inbox, data, root / "processed"):
        assert not territory.is_ours(folder)


def test_large_folders_come_in_batches(tmp_path: Path) -> None:
    for n in range(BATCH + 10):
        (tmp_path / f"{n}.jpg").write_bytes(b"x")
    assert [len(batch) for batch in Territory([tmp_path], tmp_path / "data").files(tmp_path)] == [BATCH, 10]


def test_a_folder_that_cannot_be_read_says_so_and_one_in_it_is_passed_over(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such"):
        list(Territory([tmp_path / "x"], tmp_path / "data").files(tmp_path / "x"))


def test_names_that_are_no_utf8_are_found_and_told_apart(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    with open(raw, "wb") as file:  # noqa: PTH123 - a path of bytes
        file.write(b"x")
    _file(tmp_path / "caf\\xe9.jpg")
    found = [one.path for batch in Territory([tmp_path], tmp_path / "data").files(tmp_path) for one in batch]
    texts = {path_text(path) for path in found}
    assert len(texts) == 2
    for text in texts:
        text.encode()
    assert look_at(Path(os.fsdecode(raw))) is not None
