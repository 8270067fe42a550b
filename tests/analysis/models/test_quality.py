"""NIMA: the votes that Keras gives with the same weights, read from the file that Keras wrote."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from immich_sidecar.analysis.findings import Job
from immich_sidecar.analysis.models.model import CPU, Device, ModelFiles
from immich_sidecar.analysis.models.quality import Aesthetic, Nima, Technical
from immich_sidecar.analysis.models.view import View
from immich_sidecar.errors import ModelsNotInstalledError, WeightsDamagedError, WeightsMissingError
from tests.analysis.models.views import view, views

h5py = pytest.importorskip("h5py")
pytest.importorskip("torch")

# Keras reads torch's tensors in a way that numpy is about to change.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FILE = "weights_mobilenet_aesthetic_0.07.hdf5"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """idealo's network as Keras itself builds it, with random weights that saturate nowhere and vary everywhere."""
    os.environ["KERAS_BACKEND"] = "torch"
    os.environ["KERAS_HOME"] = str(tmp_path_factory.mktemp("keras"))
    keras = pytest.importorskip("keras")

    base = keras.applications.MobileNet(input_shape=(224, 224, 3), weights=None, include_top=False, pooling="avg")
    x = keras.layers.Dropout(0.75)(base.output)
    x = keras.layers.Dense(10, activation="softmax")(x)
    network = keras.Model(base.inputs, x)
    random = np.random.default_rng(5)
    values = []
    for weight in network.weights:
        name, shape = weight.path.rsplit("/", 1)[-1], tuple(weight.shape)
        if name == "moving_variance":
            values.append(random.uniform(0.3, 1.5, shape))
        elif name == "gamma":
            values.append(random.uniform(0.6, 1.4, shape))
        elif "kernel" in name:
            fan_in = shape[0] * shape[1] if "dw" in weight.path else int(np.prod(shape[:-1]))
            values.append(random.normal(0, (2.2 / fan_in) ** 0.5, shape))
        else:
            values.append(random.normal(0, 0.2, shape))
    network.set_weights([value.astype(np.float32) for value in values])
    return network


@pytest.fixture(scope="module", params=["weights of Keras 2", "model of Keras 3"])
def files(request: pytest.FixtureRequest, network: Any, tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    folder = tmp_path_factory.mktemp("nima")
    network.save(folder / "model.h5")
    if request.param == "model of Keras 3":
        (folder / "model.h5").rename(folder / FILE)
    else:
        _as_keras_2_wrote_weights(folder / "model.h5", folder / FILE)
    return ModelFiles("nima-aesthetic", folder, "r1", "Apache-2.0")


def _as_keras_2_wrote_weights(model: Path, path: Path) -> None:
    """The same arrays under the names that they have in the files of Keras 2's `save_weights`."""
    with h5py.File(model, "r") as source, h5py.File(path, "w") as target:
        for layer, group in source["model_weights"].items():
            if layer == "top_level_model_weights":
                continue
            name = "dense_1" if layer == "dense" else layer
            target.create_group(name)

            def copy(inner: str, node: Any, name: str = name) -> None:
                if isinstance(node, h5py.Dataset):
                    part = inner.rsplit("/", 1)[-1]
                    part = "depthwise_kernel" if name.startswith("conv_dw") and part == "kernel" else part
                    target[f"{name}/{name}/{part}:0"] = node[()]

            group.visititems(copy)


@pytest.fixture(scope="module")
def model(files: ModelFiles) -> Nima:
    model = Aesthetic(files)
    model.load(CPU)
    return model


def test_the_votes_are_those_of_keras(model: Nima, network: Any, tmp_path: Path) -> None:
    import keras

    photos = [*views(), View(np.asarray(Image.fromarray(view("rocket").display).resize((1440, 960))))]
    loaded = []
    for number, photo in enumerate(photos):
        path = tmp_path / f"{number}.png"
        Image.fromarray(photo.fitted(640)).save(path)
        loaded.append(np.asarray(keras.utils.load_img(path, target_size=(224, 224)), np.float32))
    expected = network.predict(keras.applications.mobilenet.preprocess_input(np.stack(loaded)), verbose=0)

    found = model.predict(photos)

    np.testing.assert_allclose([quality.votes for quality in found], expected, atol=1e-5)
    means = [quality.mean for quality in found]
    assert np.ptp(means) > 0.02, "photos have votes of their own"
    scores = expected.astype(np.float64) / expected.sum(axis=1, keepdims=True) @ np.arange(1, 11)
    assert means == pytest.approx(list(scores), abs=1e-4)
    assert all(sum(quality.votes) == pytest.approx(1, abs=1e-9) for quality in found)


def test_a_photo_in_a_batch_gets_what_it_gets_alone(model: Nima) -> None:
    photos = views()

    together = model.predict(photos)

    for photo, quality in zip(photos, together, strict=True):
        assert model.predict([photo])[0].votes == pytest.approx(quality.votes, abs=1e-5)


def test_what_is_prepared_ahead_changes_nothing(model: Nima) -> None:
    photo, ahead = view("coffee"), view("coffee")

    model.prepare(ahead)

    assert model.predict([ahead]) == model.predict([photo])


def test_half_precision_gives_nearly_the_same_votes(
    model: Nima, files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To us a device on which halves are used, to torch the processor, for want of another.
    monkeypatch.setattr(Device, "torch_name", "cpu")
    half = Aesthetic(files)
    half.load(Device("xpu"))

    for exact, near in zip(model.predict(views()), half.predict(views()), strict=True):
        assert near.mean == pytest.approx(exact.mean, abs=0.03)
    half.unload()


def test_it_is_unloaded_and_loaded_again(files: ModelFiles) -> None:
    model = Technical(ModelFiles("nima-technical", files.folder, "r1", "Apache-2.0", {"weights": files.folder / FILE}))
    model.load(CPU)
    before = model.predict([view()])

    model.unload()
    assert not model.is_loaded
    model.load(CPU)

    assert model.predict([view()]) == before


def test_each_does_its_job() -> None:
    assert (Aesthetic.job, Technical.job) == (Job.AESTHETIC, Job.TECHNICAL)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match=r"nima: weights_mobilenet_technical_0.11.hdf5 .*download nima"):
        Technical(ModelFiles("nima", tmp_path, "r1", "Apache-2.0")).load(CPU)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100_000])


def _other_bytes(path: Path) -> None:
    path.write_bytes(b"no HDF5")


def _without(name: str) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        with h5py.File(path, "a") as file:
            del file.get("model_weights", file)[name]

    return damage


def _narrower(path: Path) -> None:
    with h5py.File(path, "a") as file:
        layer = file.get("model_weights", file)["conv_pw_3"]
        name = next(name for name in ("conv_pw_3/kernel:0", "conv_pw_3/kernel") if name in layer)
        less = layer[name][..., :64]
        del layer[name]
        layer[name] = less


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_cut, "cannot be read"),
        (_other_bytes, "cannot be read"),
        (_without("conv_dw_7"), "no layer conv_dw_7 of a MobileNet"),
        (_without("conv_pw_13_bn"), "no gamma of the layer conv_pw_13_bn"),
        (_narrower, r"conv_pw_3 has the shape \(64, 128, 1, 1\)"),
    ],
)
def test_damaged_weights_are_refused(
    files: ModelFiles, tmp_path: Path, damage: Callable[[Path], None], says: str
) -> None:
    shutil.copy(files.folder / FILE, tmp_path / FILE)
    damage(tmp_path / FILE)
    model = Aesthetic(ModelFiles("nima-aesthetic", tmp_path, "r1", "Apache-2.0"))

    with pytest.raises(WeightsDamagedError, match=says):
        model.load(CPU)

    assert not model.is_loaded


def test_a_missing_library_is_named(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "h5py", None)

    with pytest.raises(ModelsNotInstalledError, match=r"needs h5py.*immich-sidecar\[ai\]"):
        Aesthetic(files).load(CPU)


def test_want_of_memory_passes_unchanged(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("immich_sidecar.analysis.models.quality._read", exhausted)

    with pytest.raises(MemoryError):
        Aesthetic(files).load(CPU)
