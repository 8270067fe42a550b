"""Weights on disk: what is here, whether it is what it should be, and who has to agree."""

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from immich_sidecar.analysis import weights
from immich_sidecar.analysis.findings import Job
from immich_sidecar.analysis.models_catalogue import Entry, Format
from immich_sidecar.errors import (
    NotFoundError,
    StorageError,
    WeightsDamagedError,
    WeightsMissingError,
    WeightsRefusedError,
)
from tests.analysis.weights_server import entry

PINNED = b"what was pinned"


def put(folder: Path, model: Entry, **files: bytes) -> Path:
    home = weights.folder_of(model, folder)
    home.mkdir(parents=True, exist_ok=True)
    for name, content in (files or {"config.json": b"{}", "model.safetensors": b"weights"}).items():
        (home / name).write_bytes(content)
    return home


def test_each_job_has_at_most_one_default_and_the_right_ones_have_one() -> None:
    for job in Job:
        defaults = [model.name for model in weights.catalogue() if model.job is job and model.default]
        assert len(defaults) == (0 if job is Job.TONE else 1), job
    assert weights.default_for(Job.DETECTION) is weights.find("PekingU/rtdetr_v2_r50vd")
    assert weights.default_for(Job.TONE) is None


def test_names_and_other_names_are_unique() -> None:
    names = [name for model in weights.catalogue() for name in (model.name, *model.aliases)]
    assert len(set(names)) == len(names)
    with pytest.raises(NotFoundError, match="models list"):
        weights.find("nonesuch")


def test_defaults_need_nobodys_consent() -> None:
    for model in weights.catalogue():
        if model.default:
            assert model.why_consent() is None, model.name
            assert model.format is not Format.PICKLE, model.name
    assert weights.find("ultralytics:rtdetr-l.pt").why_consent() is not None
    assert weights.find("qwen2.5-vl-3b").why_consent() is not None
    assert weights.find("adaptive-3dlut").why_consent() is None, "a pickle whose digest is known"


def test_idealos_files_are_known_by_gits_ids() -> None:
    pinned = {
        file.path: file.git_blob for name in ("aesthetic", "technical") for file in weights.find(f"nima-{name}").files
    }
    assert pinned == {
        "weights_mobilenet_aesthetic_0.07.hdf5": "003fb321ce92445e41d708144a3656589f9214e7",
        "weights_mobilenet_technical_0.11.hdf5": "5e4a4ca2ce639309bfa4038d0bc10ba92b93bd26",
    }


def test_every_model_has_its_class() -> None:
    for model in weights.catalogue():
        module, _, name = model.loader.partition(":")
        spec = importlib.util.find_spec(module)
        assert spec is not None, model.name
        assert spec.origin is not None
        assert f"class {name}(" in Path(spec.origin).read_text(), model.name


def test_the_list_is_read_without_heavy_libraries() -> None:
    code = (
        "import sys\nfrom immich_sidecar.analysis import weights\nweights.catalogue()\n"
        "heavy = {'torch', 'transformers', 'numba', 'cv2', 'huggingface_hub', 'httpx'} & set(sys.modules)\n"
        "print(*heavy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "https://example.org/x"},
        {"repository": None},
        {"repository": None, "url": "http://example.org/x"},
        {"default": True, "commercial": False},
        {"name": "../x"},
        {"loader": "os:system"},
        {"files": []},
        {"files": [{"path": "../config.json"}]},
        {"files": [{"path": "/etc/passwd"}]},
        {"files": [{"path": ".hidden"}]},
        {"files": [{"path": "a"}, {"path": "A"}]},
        {"files": [{"path": "a", "sha256": "abc"}]},
        {"colour": "red"},
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        entry(**wrong)


def test_nothing_here(tmp_path: Path) -> None:
    model = entry()
    found = weights.standing(model, tmp_path)
    assert (found.state, found.usable, found.known) == (weights.State.MISSING, False, None)
    assert "models download little" in found.reason
    with pytest.raises(WeightsMissingError, match="its weights are not here"):
        weights.open(model, tmp_path)
    verdict = weights.verify(model, tmp_path)
    assert not verdict.is_right
    assert [file.found for file in verdict.files] == ["missing", "missing"]
    assert not any(tmp_path.iterdir()), "looking makes nothing"


def test_files_put_there_by_hand_count_once_they_are_verified(tmp_path: Path) -> None:
    model = entry(options={"side": 640})
    home = put(tmp_path, model)
    with pytest.raises(WeightsMissingError, match="models verify little"):
        weights.open(model, tmp_path)
    assert weights.standing(model, tmp_path).state is weights.State.UNVERIFIED
    assert [file.found for file in weights.verify(model, tmp_path).files] == ["recorded", "recorded"]
    files = weights.open(model, tmp_path)
    assert (files.name, files.folder, files.licence) == ("little", home, "MIT")
    assert files.files == {"weights": home / "model.safetensors"}
    assert files.options == {"side": 640}
    found = weights.standing(model, tmp_path)
    assert (found.state, found.known, found.revision) == (weights.State.READY, weights.Known.RECORDED, files.revision)
    assert [file.found for file in weights.verify(model, tmp_path).files] == ["right", "right"]


def test_the_revision_tells_sets_of_weights_apart(tmp_path: Path) -> None:
    revisions = []
    for number, content in enumerate((b"one", b"two", b"one")):
        folder = tmp_path / str(number)
        put(folder, entry(), **{"config.json": b"{}", "model.safetensors": content})
        weights.verify(entry(), folder)
        revisions.append(weights.open(entry(), folder).revision)
    assert revisions[0] == revisions[2] != revisions[1]


def test_a_changed_file_is_damage(tmp_path: Path) -> None:
    model = entry()
    home = put(tmp_path, model)
    weights.verify(model, tmp_path)
    file = home / "model.safetensors"
    file.write_bytes(b"WEIGHTS")
    os.utime(file, ns=(1, 1))
    with pytest.raises(WeightsDamagedError, match="first seen was"):
        weights.open(model, tmp_path)
    verdict = weights.verify(model, tmp_path)
    assert [file.found for file in verdict.files] == ["right", "damaged"]
    file.write_bytes(b"cut")
    assert weights.standing(model, tmp_path).state is weights.State.DAMAGED
    with pytest.raises(WeightsDamagedError, match="has 3 bytes, not 7"):
        weights.open(model, tmp_path)
    file.write_bytes(b"weights")
    weights.open(model, tmp_path)


def test_a_change_that_keeps_size_and_time_is_found_by_verify(tmp_path: Path) -> None:
    model = entry()
    home = put(tmp_path, model)
    weights.verify(model, tmp_path)
    file = home / "model.safetensors"
    before = file.stat()
    file.write_bytes(b"WEIGHTS")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not weights.verify(model, tmp_path).is_right


def test_a_copied_folder_is_read_once_more_and_is_right(tmp_path: Path) -> None:
    model = entry()
    home = put(tmp_path / "a", model)
    weights.verify(model, tmp_path / "a")
    shutil.copytree(home, weights.folder_of(model, tmp_path / "b"), copy_function=shutil.copyfile)
    revision = weights.open(model, tmp_path / "a").revision
    assert weights.open(model, tmp_path / "b").revision == revision
    record = weights.read_record(model, tmp_path / "b")
    copied = weights.folder_of(model, tmp_path / "b") / "model.safetensors"
    assert record.files["model.safetensors"].mtime_ns == copied.stat().st_mtime_ns


def test_a_folder_that_cannot_be_written_to_still_opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = entry()
    home = put(tmp_path, model)
    weights.verify(model, tmp_path)
    os.utime(home / "model.safetensors", ns=(5, 5))

    def refuse(*_: object) -> None:
        raise StorageError("a read-only mount")

    monkeypatch.setattr(weights, "write_record", refuse)
    weights.open(model, tmp_path)
    (home / "model.safetensors").write_bytes(b"WEIGHTS")
    with pytest.raises(WeightsDamagedError):
        weights.open(model, tmp_path)


def test_pinned_digests_are_held_to(tmp_path: Path) -> None:
    blob = hashlib.sha1(b"blob %d\0" % len(PINNED) + PINNED).hexdigest()
    assert blob == subprocess.run(
        ["git", "hash-object", "--stdin"], input=PINNED, capture_output=True, check=True
    ).stdout.decode().strip()  # fmt: skip
    sha256 = hashlib.sha256(PINNED).hexdigest()
    for known in ({"git_blob": blob}, {"sha256": sha256}, {"size": len(PINNED), "sha256": sha256}):
        folder = tmp_path / next(iter(known))
        model = entry(files=[{"path": "w.hdf5", "part": "weights", **known}], format="hdf5")
        put(folder, model, **{"w.hdf5": b"x" * len(PINNED)})
        verdict = weights.verify(model, folder)
        assert verdict.files[0].found == "damaged"
        assert "pinned" in verdict.files[0].problem
        with pytest.raises(WeightsMissingError):
            weights.open(model, folder)
        put(folder, model, **{"w.hdf5": PINNED})
        assert weights.verify(model, folder).is_right
        assert weights.standing(model, folder).known is weights.Known.PINNED
        assert weights.open(model, folder).files["weights"].read_bytes() == PINNED


def test_pieces_are_as_needed_as_a_whole(tmp_path: Path) -> None:
    model = entry(files=[{"path": "config.json"}, {"path": "model.safetensors", "part": "weights", "sharded": True}])
    put(tmp_path / "whole", model)
    assert weights.verify(model, tmp_path / "whole").is_right
    index = json.dumps({"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}).encode()
    pieces = {"config.json": b"{}", "model.safetensors.index.json": index, "model-1-of-2.safetensors": b"1"}
    home = put(tmp_path / "cut", model, **pieces)
    assert not weights.verify(model, tmp_path / "cut").is_right
    with pytest.raises(WeightsMissingError, match=r"model-2-of-2\.safetensors is missing"):
        weights.open(model, tmp_path / "cut")
    (home / "model-2-of-2.safetensors").write_bytes(b"2")
    assert weights.verify(model, tmp_path / "cut").is_right
    weights.open(model, tmp_path / "cut")
    (home / "model.safetensors.index.json").unlink()
    assert weights.standing(model, tmp_path / "cut").state is weights.State.MISSING


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"[]",
        b'{"weight_map": {}}',
        b'{"weight_map": {"a": "../../x.safetensors"}}',
        b'{"weight_map": {"a": "/x.safetensors"}}',
        b'{"weight_map": {"a": "x.bin"}}',
        b'{"weight_map": {"a": 1}}',
    ],
)
def test_a_list_of_pieces_that_leads_elsewhere_is_damage(tmp_path: Path, index: bytes) -> None:
    model = entry(files=[{"path": "model.safetensors", "part": "weights", "sharded": True}])
    put(tmp_path, model, **{"model.safetensors.index.json": index})
    assert weights.standing(model, tmp_path).state is weights.State.DAMAGED
    assert not weights.verify(model, tmp_path).is_right


def test_optional_files_are_held_to_once_they_were_there(tmp_path: Path) -> None:
    model = entry(files=[{"path": "a", "part": "weights"}, {"path": "b", "optional": True}])
    home = put(tmp_path, model, a=b"a")
    assert weights.verify(model, tmp_path).is_right
    (home / "b").write_bytes(b"b")
    assert weights.standing(model, tmp_path).state is weights.State.UNVERIFIED
    assert weights.verify(model, tmp_path).is_right
    (home / "b").unlink()
    with pytest.raises(WeightsMissingError, match="b is missing"):
        weights.open(model, tmp_path)


@pytest.mark.parametrize("changes", [{"format": "pickle"}, {"commercial": False}])
def test_what_could_do_harm_waits_for_consent(tmp_path: Path, changes: dict[str, object]) -> None:
    model = entry(aliases=["somebody/little"], **changes)
    put(tmp_path, model)
    weights.verify(model, tmp_path)
    found = weights.standing(model, tmp_path)
    assert (found.state, found.usable) == (weights.State.READY, False)
    assert "SIDECAR_MODELS_CONSENT" in found.reason
    with pytest.raises(WeightsRefusedError, match="models consent little"):
        weights.open(model, tmp_path)
    with pytest.raises(WeightsRefusedError):
        weights.open(model, tmp_path, ["another"])
    weights.open(model, tmp_path, ["little"])
    weights.open(model, tmp_path, ["somebody/little"])
    weights.consent_to(model, tmp_path, "a test")
    weights.open(model, tmp_path)
    assert weights.standing(model, tmp_path).consented is not None
    weights.withdraw_consent(model, tmp_path)
    with pytest.raises(WeightsRefusedError):
        weights.open(model, tmp_path)


def test_consent_makes_no_other_file_right(tmp_path: Path) -> None:
    model = entry(format="pickle")
    home = put(tmp_path, model)
    weights.consent_to(model, tmp_path, "a test")
    weights.verify(model, tmp_path)
    (home / "model.safetensors").write_bytes(b"evil!!!")
    with pytest.raises(WeightsDamagedError):
        weights.open(model, tmp_path)


def test_removing_keeps_what_is_held_to_unless_told_otherwise(tmp_path: Path) -> None:
    model = entry()
    home = put(tmp_path, model)
    (home / "deeper").mkdir()
    (home / "deeper" / "x.part").write_bytes(b"1234")
    weights.verify(model, tmp_path)
    assert weights.remove(model, tmp_path) >= len(b"{}weights1234")
    assert [path.name for path in home.iterdir()] == ["sidecar-record.json"]
    assert weights.standing(model, tmp_path).state is weights.State.MISSING
    put(tmp_path, model, **{"config.json": b"{}", "model.safetensors": b"another"})
    assert not weights.verify(model, tmp_path).is_right
    weights.remove(model, tmp_path, forget=True)
    assert not home.exists()
    put(tmp_path, model, **{"config.json": b"{}", "model.safetensors": b"another"})
    assert weights.verify(model, tmp_path).is_right
    assert weights.remove(entry(name="never-here"), tmp_path) == 0


@pytest.mark.parametrize("record", [b"", b"[]", b'{"files": {"config.json": {"size": -1}}}'])
def test_a_damaged_record_is_made_anew_by_verify(tmp_path: Path, record: bytes) -> None:
    model = entry()
    home = put(tmp_path, model)
    weights.verify(model, tmp_path)
    (home / "sidecar-record.json").write_bytes(record)
    with pytest.raises(WeightsMissingError, match="models verify little"):
        weights.open(model, tmp_path)
    assert weights.verify(model, tmp_path).is_right
    weights.open(model, tmp_path)


def test_a_file_where_the_folder_should_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "little").write_text("no folder")
    assert weights.standing(entry(), tmp_path).state is weights.State.MISSING
    with pytest.raises(StorageError, match="SIDECAR_MODELS_DIR"):
        weights.consent_to(entry(), tmp_path, "a test")
