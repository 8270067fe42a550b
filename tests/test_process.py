"""`immich-sidecar process` and `replay`: files in, files out, no service."""

import hashlib
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from immich_sidecar.develop.cube import read_cube
from immich_sidecar.pipeline import oneshot
from immich_sidecar.recipe.recipe import Recipe, new_recipe
from tests.develop.test_cube import text


def sidecar(*arguments: object, cwd: Path, status: int | None = 0) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(
        [sys.executable, "-m", "immich_sidecar", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if status is not None:
        assert result.returncode == status, result.stdout + result.stderr
    return result


def photo(seed: int = 0, *, dark: float = 1.0, size: tuple[int, int] = (480, 320)) -> Image.Image:
    """Something that looks like a photo: soft shapes, a gradient, a little noise."""
    random = np.random.default_rng(seed)
    small = random.random((8, 12, 3)) * 0.8 + 0.1
    picture = np.asarray(Image.fromarray((small * 255).astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)) / 255
    picture = picture + random.normal(0, 0.01, picture.shape)
    linear = np.clip(picture, 0, 1) ** 2.2 * dark
    return Image.fromarray((linear ** (1 / 2.2) * 255).astype(np.uint8))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as people have it: photos, one very dark, subfolders, rubbish, things that are no photos."""
    root = tmp_path / "in"
    (root / "trip").mkdir(parents=True)
    (root / ".hidden").mkdir()
    photo(1, dark=0.08).save(root / "dark.jpg", quality=95)
    photo(2, dark=0.08).save(root / "trip" / "dark.png")
    photo(3, dark=0.08).save(root / "trip" / "dark.tiff")
    photo(4, dark=0.08).save(root / ".hidden" / "never.jpg")
    (root / "notes.txt").write_text("notes")
    (root / "empty.jpg").write_bytes(b"")
    return root


def tree(root: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_folder_is_developed_and_only_read(folder: Path, tmp_path: Path):
    before = tree(folder)
    result = sidecar("process", folder, "--output", "out", "--json", cwd=tmp_path)
    assert tree(folder) == before
    lines = {Path(line["file"]).name: line for line in map(json.loads, result.stdout.splitlines())}
    assert set(lines) == {"dark.jpg", "dark.png", "dark.tiff", "notes.txt", "empty.jpg"}
    assert lines["dark.jpg"]["status"] == "rendered"
    assert lines["notes.txt"]["status"] == lines["empty.jpg"]["status"] == "skipped"
    assert {"analyse", "advise", "render", "total"} <= set(lines["dark.jpg"]["seconds"])
    assert lines["dark.jpg"]["suggestions"][0]["reason"]
    names = set(tree(tmp_path / "out"))
    assert {"dark.jpg", "dark.recipe.json"} <= names
    # Two inputs of one folder that share their stem are told apart by their extension.
    assert {"trip/dark_png.jpg", "trip/dark_tiff.jpg", "trip/dark_png.recipe.json"} <= names
    assert "2 skipped, 0 failed" in result.stderr
    with Image.open(tmp_path / "out" / "dark.jpg") as made, Image.open(folder / "dark.jpg") as original:
        assert np.asarray(made.convert("L")).mean() > np.asarray(original.convert("L")).mean() + 20


def test_second_run_writes_the_same_and_a_foreign_file_is_never_overwritten(folder: Path, tmp_path: Path):
    out = tmp_path / "out"
    sidecar("process", folder, "--output", out, cwd=tmp_path)
    first = tree(out)
    sidecar("process", folder, "--output", out, cwd=tmp_path)
    assert tree(out) == first
    # Somebody edits a result: it is theirs now.
    Image.new("RGB", (10, 10)).save(out / "dark.jpg")
    edited = (out / "dark.jpg").read_bytes()
    result = sidecar("process", folder, "--output", out, cwd=tmp_path, status=1)
    assert (out / "dark.jpg").read_bytes() == edited
    assert "dark.jpg: failed" in result.stderr
    assert "choose another output folder" in result.stderr


def test_output_into_the_input_folder_overwrites_no_input(folder: Path, tmp_path: Path):
    before = tree(folder)
    sidecar("process", folder, "--output", folder, cwd=tmp_path, status=1)
    after = tree(folder)
    assert {name: after[name] for name in before} == before


def test_output_below_the_input_is_no_input(folder: Path, tmp_path: Path):
    sidecar("process", folder, "--output", folder / "out", cwd=tmp_path)
    first = tree(folder / "out")
    sidecar("process", folder, "--output", folder / "out", cwd=tmp_path)
    assert tree(folder / "out") == first


def test_rubbish_under_a_photos_name_is_a_failure_and_harms_nothing_else(folder: Path, tmp_path: Path):
    (folder / "rubbish.jpg").write_text("this is no photo")
    (folder / "cut.jpg").write_bytes((folder / "dark.jpg").read_bytes()[:4000])
    result = sidecar("process", folder, "--output", "out", cwd=tmp_path, status=1)
    assert "rubbish.jpg: failed" in result.stderr
    assert "cut.jpg: failed" in result.stderr
    assert "2 failed" in result.stdout
    assert (tmp_path / "out" / "dark.jpg").exists()
    assert not (tmp_path / "out" / "cut.jpg").exists()


def test_replay_makes_the_same_bytes(folder: Path, tmp_path: Path):
    sidecar("process", folder / "dark.jpg", "--output", "out", cwd=tmp_path)
    sidecar("replay", "out/dark.recipe.json", folder / "dark.jpg", "--output", "again.jpg", cwd=tmp_path)
    assert (tmp_path / "again.jpg").read_bytes() == (tmp_path / "out" / "dark.jpg").read_bytes()


def test_replay_refuses_another_original_and_an_input_as_output(folder: Path, tmp_path: Path):
    sidecar("process", folder / "dark.jpg", "--output", "out", cwd=tmp_path)
    wrong = sidecar(
        "replay", "out/dark.recipe.json", folder / "trip" / "dark.png", "-o", "x.jpg", cwd=tmp_path, status=2
    )
    assert "another original" in wrong.stderr
    before = (folder / "dark.jpg").read_bytes()
    onto = sidecar(
        "replay", "out/dark.recipe.json", folder / "dark.jpg", "-o", folder / "dark.jpg", cwd=tmp_path, status=2
    )
    assert "one of the inputs" in onto.stderr
    assert (folder / "dark.jpg").read_bytes() == before


def test_a_preset_gives_every_photo_its_look(folder: Path, tmp_path: Path):
    photo(5).save(folder / "good.jpg", quality=95)
    arguments = ("process", folder / "dark.jpg", folder / "good.jpg", "--preset", "black_and_white")
    sidecar(*arguments, "--output", "out", cwd=tmp_path)
    for name in ("dark", "good"):
        with Image.open(tmp_path / "out" / f"{name}.jpg") as opened:
            assert np.ptp(np.asarray(opened.convert("RGB")).astype(int), axis=2).max() <= 2
    recipes = [Recipe.from_json((tmp_path / "out" / f"{name}.recipe.json").read_text()) for name in ("dark", "good")]
    assert recipes[0].operation("exposure") is not None
    assert recipes[1].operation("exposure") is None
    refused = sidecar("process", folder, "-o", "x", "--preset", "sepia", cwd=tmp_path, status=None)
    assert refused.returncode == 2
    assert "vivid" in refused.stderr


def test_replay_finds_a_lut_in_a_named_folder_and_names_one_that_is_not_there(folder: Path, tmp_path: Path):
    (tmp_path / "mine").mkdir()
    cube = text(3, lambda red, green, blue: (1 - red, 1 - green, 1 - blue))
    (tmp_path / "mine" / "Negative.cube").write_bytes(cube)
    digest = read_cube(cube).sha256
    original = folder / "dark.jpg"
    recipe = new_recipe(
        hashlib.sha256(original.read_bytes()).hexdigest(),
        [],
        {"lut": {"sha256": digest, "name": "Negative"}},
        at=datetime(2024, 5, 6, tzinfo=UTC),
    )
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    missing = sidecar("replay", "recipe.json", original, "-o", "a.jpg", cwd=tmp_path, status=2)
    assert digest in missing.stderr
    assert not (tmp_path / "a.jpg").exists()
    assert (
        "no such folder"
        in sidecar("replay", "recipe.json", original, "-o", "a.jpg", "--luts", "none", cwd=tmp_path, status=2).stderr
    )
    sidecar("replay", "recipe.json", original, "-o", "a.jpg", "--luts", "mine", cwd=tmp_path)
    with Image.open(tmp_path / "a.jpg") as after, Image.open(original) as before:
        assert np.asarray(after).mean() == pytest.approx(255 - np.asarray(before).mean(), abs=2)


def test_recipe_of_one_photo_gives_its_look_to_another(folder: Path, tmp_path: Path):
    sidecar("process", folder / "dark.jpg", "--output", "out", cwd=tmp_path)
    sidecar("process", folder / "trip", "--output", "look", "--recipe", "out/dark.recipe.json", cwd=tmp_path)
    given = Recipe.from_json((tmp_path / "out" / "dark.recipe.json").read_text())
    copied = Recipe.from_json((tmp_path / "look" / "dark_png.recipe.json").read_text())
    assert [o.type for o in copied.operations] == [o.type for o in given.operations]
    assert copied.original_hash == hashlib.sha256((folder / "trip" / "dark.png").read_bytes()).hexdigest()


def test_bad_recipe_and_missing_input_end_with_one_line(folder: Path, tmp_path: Path):
    (tmp_path / "bad.json").write_text("{}")
    bad = sidecar("process", folder, "--output", "out", "--recipe", "bad.json", cwd=tmp_path, status=2)
    assert bad.stderr.count("\n") == 1
    missing = sidecar("process", "nowhere", "--output", "out", cwd=tmp_path, status=2)
    assert "nowhere" in missing.stderr


def test_quality_is_heeded(folder: Path, tmp_path: Path):
    sidecar("process", folder / "dark.jpg", "--output", "a", "--quality", "40", cwd=tmp_path)
    sidecar("process", folder / "dark.jpg", "--output", "b", cwd=tmp_path)
    assert (tmp_path / "a" / "dark.jpg").stat().st_size < (tmp_path / "b" / "dark.jpg").stat().st_size


def test_names_are_told_apart(tmp_path: Path):
    files = [
        (Path("/a/x.jpg"), Path()),
        (Path("/a/X.CR2"), Path()),
        (Path("/b/x.jpg"), Path()),
        (Path("/a/y.jpg"), Path()),
    ]
    names = [job.picture.name for job in oneshot.plan(files, tmp_path)]
    assert names == ["x_jpg.jpg", "X_cr2.jpg", "x_jpg_2.jpg", "y.jpg"]


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_unreadable_file_is_a_failure(folder: Path, tmp_path: Path):
    (folder / "dark.jpg").chmod(0)
    result = sidecar("process", folder, "--output", "out", cwd=tmp_path, status=1)
    assert "permissions" in result.stderr


def test_real_photos(photos: Path, tmp_path: Path):
    """Of all real files exactly the broken ones fail."""
    result = sidecar("process", photos, "--output", "out", "--json", cwd=tmp_path, status=1)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    failed = {Path(line["file"]).name for line in lines if line["status"] == "failed"}
    assert failed == {"cut-in-half.jpg", "cut.cr2", "text-named.jpg", "truncated.jpg"}
    statuses = {Path(line["file"]).name: line["status"] for line in lines}
    assert statuses["canon-30d-landscape.cr2"] == "rendered"
    assert statuses["empty.jpg"] == "skipped"
    assert statuses["jpeg-named.nef"] in ("rendered", "left_alone")
    assert all(line["reason"] for line in lines if line["status"] != "rendered")
