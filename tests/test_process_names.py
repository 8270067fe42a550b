"""`immich-sidecar process` with odd names, with its own results among the inputs, and what it says of what it left."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from immich_sidecar.develop.optics import read_optics
from immich_sidecar.develop.raw import opened
from immich_sidecar.pipeline import oneshot
from immich_sidecar.pipeline.executor import Executor
from immich_sidecar.pipeline.printing import json_text
from immich_sidecar.pipeline.worker import TaskFailed
from immich_sidecar.recipe.recipe import Recipe
from tests.photos import make
from tests.test_process import photo, sidecar, tree

#: "café" as older systems wrote it: the name is no UTF-8.
CAFE = os.fsdecode(b"caf\xe9")


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A folder for files whose names are no UTF-8, where the file system allows them."""
    folder = tmp_path / "in"
    folder.mkdir()
    try:
        (folder / CAFE).touch()
    except OSError:
        pytest.skip("this file system wants names in UTF-8")
    (folder / CAFE).unlink()
    return folder


def test_a_name_that_is_no_utf8_is_a_name(strange: Path, tmp_path: Path):
    photo(1, dark=0.08).save(strange / f"{CAFE}.png")
    photo(2, dark=0.08).save(strange / "plain.jpg", quality=95)
    result = sidecar("process", strange, "-o", "out", "--json", cwd=tmp_path)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["status"] for line in lines] == ["rendered", "rendered"]
    # As text of which every reader of JSON can make something: half a pair of surrogates is none.
    assert sorted(Path(line["file"]).name for line in lines) == [r"caf\xe9.png", "plain.jpg"]
    assert {Path(line["recipe"]).name for line in lines} == {r"caf\xe9.recipe.json", "plain.recipe.json"}
    picture, recipe = tmp_path / "out" / f"{CAFE}.jpg", tmp_path / "out" / f"{CAFE}.recipe.json"
    assert picture.is_file()
    sidecar("replay", recipe, strange / f"{CAFE}.png", "-o", tmp_path / f"{CAFE}.jpg", cwd=tmp_path)
    assert (tmp_path / f"{CAFE}.jpg").read_bytes() == picture.read_bytes()


def test_results_of_such_files_are_no_photos_of_the_next_run(strange: Path):
    photo(1, dark=0.08).save(strange / f"{CAFE}.png")
    sidecar("process", ".", "-o", ".", cwd=strange)
    assert (strange / f"{CAFE}.jpg").is_file()
    assert [path.name for path, _ in oneshot.find_files([strange], strange)] == [f"{CAFE}.png"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ('plain \\ "é" \U0001f600', 'plain \\ "é" \U0001f600'),
        (f"{CAFE}.jpg", r"caf\xe9.jpg"),
        ("half \ud83d of a pair", r"half \ud83d of a pair"),
    ],
)
def test_json_that_is_printed_holds_text_alone(name: str, expected: str):
    assert json.loads(json_text({name: [name]})) == {expected: [expected]}


def test_libraries_get_the_content_of_such_files(strange: Path):
    raw = make.write_dng(strange / f"{CAFE}.dng", make.sample_photo("coffee"))
    with opened(raw) as file:
        assert file.sizes.raw_width == 300
    path = make.write_jpeg_with_everything(strange / "cafe.jpg", make.sample_photo("coffee"))
    expected = read_optics(path)
    assert expected.lens
    assert read_optics(path.rename(strange / f"{CAFE}.jpg")) == expected


async def test_a_surprise_costs_one_file_alone(tmp_path: Path):
    class Surprising(Executor):
        async def run(self, task, job, *rest, **more):
            if job.source.name == "odd.jpg":
                raise TaskFailed("KeyError: 'odd'")
            return oneshot.Outcome(str(job.source), "rendered")

    jobs = [oneshot.Job(tmp_path / name, tmp_path, tmp_path) for name in ("odd.jpg", "a.jpg", "b.jpg")]
    wanted = oneshot.wanted_output(None, None, None)
    outcomes = {
        Path(one.file).name: one
        async for one in oneshot.process(jobs, Surprising(), slots=2, recipe=None, wanted=wanted)
    }
    assert {name: one.status for name, one in outcomes.items()} == {
        "odd.jpg": "failed",
        "a.jpg": "rendered",
        "b.jpg": "rendered",
    }
    assert outcomes["odd.jpg"].reason == "could not be developed: KeyError: 'odd'"


def test_results_beside_the_photos_are_no_photos_of_the_next_run(tmp_path: Path):
    photo(1, dark=0.08).save(tmp_path / "a.png")
    first = sidecar("process", ".", "-o", ".", cwd=tmp_path)
    assert "1 rendered, 0 left alone, 0 skipped" in first.stdout
    before = tree(tmp_path)
    second = sidecar("process", ".", "-o", ".", cwd=tmp_path)
    assert "1 rendered, 0 left alone, 0 skipped" in second.stdout
    assert tree(tmp_path) == before == {name: before[name] for name in ("a.png", "a.jpg", "a.recipe.json")}
    # What was changed since is somebody's picture.
    photo(2).save(tmp_path / "a.jpg")
    found = oneshot.find_files([tmp_path], tmp_path)
    assert {path.name for path, _ in found} == {"a.png", "a.jpg"}


def test_a_recipe_file_knows_the_quality_of_its_picture(tmp_path: Path):
    photo(1, dark=0.08).save(tmp_path / "a.png")
    sidecar("process", "a.png", "-o", "out", "--quality", 80, cwd=tmp_path)
    sidecar("replay", "out/a.recipe.json", "a.png", "-o", "again.jpg", cwd=tmp_path)
    assert (tmp_path / "again.jpg").read_bytes() == (tmp_path / "out" / "a.jpg").read_bytes()
    recipe = Recipe.from_json((tmp_path / "out" / "a.recipe.json").read_bytes())
    digest = hashlib.sha256((tmp_path / "again.jpg").read_bytes()).hexdigest()
    assert recipe.ai_metadata["output"]["sha256"] == digest
    sidecar("replay", "out/a.recipe.json", "a.png", "-o", "small.jpg", "--quality", 50, cwd=tmp_path)
    assert (tmp_path / "small.jpg").stat().st_size < (tmp_path / "again.jpg").stat().st_size


def test_what_promised_to_be_a_photo_and_is_none_is_told(tmp_path: Path):
    photo(1).save(tmp_path / "moving.gif")
    (tmp_path / "notes.txt").write_text("notes")
    result = sidecar("process", ".", "-o", "out", cwd=tmp_path)
    assert "2 skipped" in result.stdout
    assert "moving.gif: skipped: " in result.stderr
    assert "notes.txt" not in result.stderr
