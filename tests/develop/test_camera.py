"""The colours of cameras are those that LibRaw itself uses."""

from pathlib import Path

import numpy as np
import pytest

from immich_sidecar.develop.camera import camera_of
from immich_sidecar.develop.engine import render
from immich_sidecar.develop.proxy import load_proxy
from immich_sidecar.develop.raw import embedded_preview, opened
from immich_sidecar.recipe.recipe import merge
from tests.develop.conftest import AT
from tests.photos import make


def as_libraw_does(path: Path, *, to_srgb: bool) -> np.ndarray:
    import rawpy

    space = rawpy.ColorSpace.sRGB if to_srgb else rawpy.ColorSpace.raw
    with rawpy.imread(str(path)) as file:
        return file.postprocess(
            half_size=True,
            use_camera_wb=True,
            output_color=space,
            output_bps=16,
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
            gamma=(1, 1),
        )


@pytest.mark.parametrize("name", ["made", "canon-30d-landscape.cr2"])
def test_matrix_is_that_of_libraw(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if name == "made":
        path = make.write_dng(tmp_path / "a.dng", make.scene(192, 128))
    else:
        path = request.getfixturevalue("photos") / "raw" / name
    with opened(path) as file:
        camera = camera_of(file)

    assert camera is not None
    assert camera.to_srgb.sum(axis=1) == pytest.approx(1, abs=1e-3)
    ours = np.clip(as_libraw_does(path, to_srgb=False) @ camera.to_srgb.T, 0, 65535)
    np.testing.assert_allclose(ours, as_libraw_does(path, to_srgb=True), atol=2)


def test_as_shot_white_is_that_of_the_file(tmp_path: Path) -> None:
    right = make.write_dng(tmp_path / "a.dng", make.scene(192, 128))
    wrong = make.write_dng(tmp_path / "b.dng", make.scene(192, 128), as_shot=(1.5, 1.0, 0.6))
    cameras = []
    for path in (right, wrong):
        with opened(path) as file:
            cameras.append(camera_of(file))

    assert cameras[0] is not None
    assert cameras[0].daylight == pytest.approx(1 / make.camera_white(), rel=1e-3)
    assert cameras[0].as_shot == pytest.approx(1 / make.camera_white(), rel=1e-3)
    assert cameras[1] is not None
    assert cameras[1].as_shot == pytest.approx(1 / make.camera_white() / np.array([1.5, 1.0, 0.6]), rel=1e-3)


def test_proxy_keeps_colours_outside_srgb(tmp_path: Path) -> None:
    """What sRGB cannot show is needed to find the look."""
    path = make.write_dng(tmp_path / "a.dng", make.scene(192, 128), cast=(1.0, 0.2, 0.2))
    proxy = load_proxy(path)

    assert proxy.camera is not None
    assert proxy.linear.max() > 1.0
    assert proxy.display.dtype == np.uint8


def test_cameras_of_unknown_colours_have_none(photos: Path) -> None:
    with opened(photos / "raw" / "kodak-dc50.kdc") as file:
        assert camera_of(file) is None


def test_gains_of_the_camera_undo_its_error(tmp_path: Path) -> None:
    """What the camera took for white is undone as if it had never been; in sRGB that is not possible."""
    truth = make.scene(192, 128)
    right = make.write_dng(tmp_path / "a.dng", truth, ev=-1.0)
    wrong = make.write_dng(tmp_path / "b.dng", truth, ev=-1.0, as_shot=(1.5, 1.0, 0.6))
    with opened(right) as file:
        camera = camera_of(file)
    assert camera is not None
    decode = {"baseline_ev": 0.0, "colour_matrix": camera.to_srgb.tolist()}

    def colours(path: Path, **balance: object) -> np.ndarray:
        """Linear values against their mean: how bright the whole is does not count."""
        steps = {"decode": decode, "white_balance": balance} if balance else {"decode": decode}
        linear = make.linear_from_display(render(path, merge([], steps, at=AT)).image)
        return linear / linear.mean()

    meant = colours(right)
    by_camera = np.abs(colours(wrong, gains=[1.5, 1.0, 0.6], space="camera") - meant).mean()
    by_srgb = np.abs(colours(wrong, gains=[1.5, 1.0, 0.6]) - meant).mean()
    assert by_camera < 0.02
    assert by_camera < 0.2 * by_srgb


def test_large_pictures_in_raw_files_are_decoded_small(tmp_path: Path) -> None:
    path = make.write_dng(tmp_path / "a.dng", make.scene(192, 128), preview=make.scene(1200, 800))
    whole, small = embedded_preview(path), embedded_preview(path, at_least=300)

    assert whole is not None
    assert small is not None
    assert whole.shape == (800, 1200, 3)
    assert small.shape == (200, 300, 3)
    assert embedded_preview(path, at_least=5000) is not None
