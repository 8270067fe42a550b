"""Image-adaptive tables: what the published network gives, from random weights and, where they are, from real ones."""

import pickle
import shutil
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from immich_sidecar.analysis.models.model import CPU, ModelFiles
from immich_sidecar.analysis.models.tone_table import AdaptiveTable
from immich_sidecar.analysis.models.view import View
from immich_sidecar.errors import ModelAnswerError, ModelsNotInstalledError, WeightsDamagedError, WeightsMissingError
from tests.analysis.models.views import view, views

torch = pytest.importorskip("torch")


def _network() -> Any:
    """The classifier as its paper describes it, of torch's own layers: the other way to the same answer."""
    from torch import nn

    def block(before: int, after: int, *, is_normed: bool = True) -> list[nn.Module]:
        layers: list[nn.Module] = [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.LeakyReLU(0.2)]
        return [*layers, nn.InstanceNorm2d(after, affine=True)] if is_normed else layers

    model = nn.Module()
    model.model = nn.Sequential(
        nn.Upsample(size=(256, 256), mode="bilinear"),
        *block(3, 16),
        *block(16, 32),
        *block(32, 64),
        *block(64, 128),
        *block(128, 128, is_normed=False),
        nn.Dropout(0.5),
        nn.Conv2d(128, 3, 8),
    )
    return model.eval()


def _identity() -> Any:
    """The table that changes nothing, (3, 33, 33, 33): red moves along the last axis."""
    even = torch.linspace(0, 1, 33)
    blue, green, red = torch.meshgrid(even, even, even, indexing="ij")
    return torch.stack([red, green, blue])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    folder = tmp_path_factory.mktemp("tone")
    torch.manual_seed(3)
    network = _network()
    with torch.no_grad():
        network.model[-1].bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    tables = [_identity(), torch.randn(3, 33, 33, 33) * 0.05, torch.randn(3, 33, 33, 33) * 0.05]
    torch.save(network.state_dict(), folder / "classifier.pth")
    torch.save({str(n): {"LUT": table} for n, table in enumerate(tables)}, folder / "LUTs.pth")
    return ModelFiles("adaptive-3dlut", folder, "r1", "Apache-2.0")


@pytest.fixture(scope="module")
def published(photos: Path) -> ModelFiles:
    folder = photos / "weights"
    parts = {
        "tables": folder / "adaptive-3dlut-srgb-LUTs.pth",
        "classifier": folder / "adaptive-3dlut-srgb-classifier.pth",
    }
    return ModelFiles("adaptive-3dlut", folder, "published", "Apache-2.0", parts)


@pytest.fixture(scope="module", params=["random", "published"])
def model(request: pytest.FixtureRequest) -> AdaptiveTable:
    model = AdaptiveTable(request.getfixturevalue("files" if request.param == "random" else "published"))
    model.load(CPU)
    return model


def _expected(files: ModelFiles, photo: View) -> NDArray[np.float32]:
    paths = {"classifier": files.folder / "classifier.pth", "tables": files.folder / "LUTs.pth", **files.files}
    network = _network()
    network.load_state_dict(torch.load(paths["classifier"], "cpu", weights_only=True))
    tables = torch.load(paths["tables"], "cpu", weights_only=True)
    width, height = photo.size
    fitted = photo.fitted(round(480 * max(width, height) / min(width, height)))
    with torch.inference_mode():
        pixels = torch.from_numpy(fitted.astype(np.float32) / 255).permute(2, 0, 1)[None]
        shares = network.model(pixels).reshape(3)
        table = sum(share * tables[str(n)]["LUT"] for n, share in enumerate(shares))
    return np.moveaxis(table.numpy(), 0, -1)


def test_tables_are_those_of_the_network_of_the_paper(model: AdaptiveTable) -> None:
    photos = views()

    found = model.predict(photos)

    for photo, table in zip(photos, found, strict=True):
        assert table.shape == (33, 33, 33, 3)
        assert table.dtype == np.float32
        np.testing.assert_allclose(table, _expected(model.files, photo), atol=2e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-3, "photos have tables of their own"


def test_a_photo_in_a_batch_gets_what_it_gets_alone(model: AdaptiveTable) -> None:
    together = model.predict(views())

    for photo, table in zip(views(), together, strict=True):
        np.testing.assert_allclose(model.predict([photo])[0], table, atol=2e-5)


def test_what_is_prepared_ahead_changes_nothing(model: AdaptiveTable) -> None:
    ahead = view("coffee")

    model.prepare(ahead)

    np.testing.assert_array_equal(model.predict([ahead])[0], model.predict([view("coffee")])[0])


def test_axes_are_those_of_a_cube_file(files: ModelFiles, tmp_path: Path) -> None:
    shutil.copytree(files.folder, tmp_path, dirs_exist_ok=True)
    network = _network()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.model[-1].bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    torch.save(network.state_dict(), tmp_path / "classifier.pth")
    model = AdaptiveTable(ModelFiles("adaptive-3dlut", tmp_path, "r2", "Apache-2.0"))
    model.load(CPU)

    (table,) = model.predict([view()])

    # Blue, green, red, as `develop.cube` keeps them.
    np.testing.assert_allclose(table[8, 16, 32], [1.0, 0.5, 0.25], atol=1e-6)


def test_published_tables_make_dull_photos_brighter(published: ModelFiles, photos: Path) -> None:
    from PIL import Image

    from immich_sidecar.analysis.tone import made_table

    model = AdaptiveTable(published)
    model.load(CPU)
    dull = View(np.asarray(Image.open(photos / "lake-samsung-s730.jpg").convert("RGB").resize((960, 720))))
    darker = View((dull.display * 0.6).astype(np.uint8))

    as_it_is, dark = (
        made_table(table, photo) for table, photo in zip(model.predict([dull, darker]), (dull, darker), strict=True)
    )

    assert as_it_is.record.lightness > 3
    assert dark.record.lightness > as_it_is.record.lightness


def test_it_is_unloaded_and_loaded_again(files: ModelFiles) -> None:
    model = AdaptiveTable(files)
    model.load(CPU)
    (before,) = model.predict([view()])

    model.unload()
    assert not model.is_loaded
    model.load(CPU)

    np.testing.assert_array_equal(model.predict([view()])[0], before)


@pytest.mark.parametrize("lacking", ["LUTs.pth", "classifier.pth"])
def test_missing_weights_are_named(files: ModelFiles, tmp_path: Path, lacking: str) -> None:
    shutil.copytree(files.folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / lacking).unlink()

    with pytest.raises(WeightsMissingError, match=rf"adaptive-3dlut: {lacking} .*models download adaptive-3dlut"):
        AdaptiveTable(ModelFiles("adaptive-3dlut", tmp_path, "r1", "Apache-2.0")).load(CPU)


class _Trap:
    """A pickle that would make a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_pickle_with_a_program_in_it_is_refused_and_not_run(files: ModelFiles, tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(files.folder, folder)
    torch.save({"0": _Trap(tmp_path / "ran")}, folder / "LUTs.pth")
    (folder / "classifier.pth").write_bytes(pickle.dumps(_Trap(tmp_path / "ran"), protocol=2))

    with pytest.raises(WeightsDamagedError, match="cannot be read"):
        AdaptiveTable(ModelFiles("adaptive-3dlut", folder, "r1", "Apache-2.0")).load(CPU)

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("damage", ["cut", "text", "narrow", "two tables", "small tables", "other layers"])
def test_damaged_weights_are_refused(files: ModelFiles, tmp_path: Path, damage: str) -> None:
    shutil.copytree(files.folder, tmp_path, dirs_exist_ok=True)
    classifier, tables = tmp_path / "classifier.pth", tmp_path / "LUTs.pth"
    weights = torch.load(classifier, weights_only=True)
    basis = torch.load(tables, weights_only=True)
    if damage == "cut":
        classifier.write_bytes(classifier.read_bytes()[:5000])
    elif damage == "text":
        tables.write_text("<html>")
    elif damage == "narrow":
        torch.save({**weights, "model.4.weight": weights["model.4.weight"][:, :8]}, classifier)
    elif damage == "two tables":
        torch.save({name: basis[name] for name in ("0", "1")}, tables)
    elif damage == "small tables":
        torch.save({name: {"LUT": table["LUT"][:, ::2, ::2, ::2]} for name, table in basis.items()}, tables)
    else:
        torch.save(OrderedDict(list(weights.items())[:6]), classifier)
    model = AdaptiveTable(ModelFiles("adaptive-3dlut", tmp_path, "r1", "Apache-2.0"))

    with pytest.raises(WeightsDamagedError, match=r"cannot be read .*models verify adaptive-3dlut"):
        model.load(CPU)

    assert not model.is_loaded


def test_numbers_that_are_none_are_no_table(files: ModelFiles, tmp_path: Path) -> None:
    shutil.copytree(files.folder, tmp_path, dirs_exist_ok=True)
    basis = torch.load(tmp_path / "LUTs.pth", weights_only=True)
    basis["1"]["LUT"][0, 0, 0, 0] = float("nan")
    torch.save(basis, tmp_path / "LUTs.pth")
    model = AdaptiveTable(ModelFiles("adaptive-3dlut", tmp_path, "r1", "Apache-2.0"))
    model.load(CPU)

    with pytest.raises(ModelAnswerError, match="numbers that are none"):
        model.predict([view()])


def test_a_missing_library_is_named(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "torch", None)

    with pytest.raises(ModelsNotInstalledError, match=r"needs torch.*immich-sidecar\[ai\]"):
        AdaptiveTable(files).load(CPU)


def test_want_of_memory_passes_unchanged(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "load", exhausted)

    with pytest.raises(torch.OutOfMemoryError):
        AdaptiveTable(files).load(CPU)
