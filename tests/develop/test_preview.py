"""Small pictures for pages and for measuring."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from immich_sidecar.develop.decode import decode
from immich_sidecar.develop.engine import render
from immich_sidecar.develop.preview import PreviewSource, preview_jpeg, preview_of, smaller_jpeg, thumbnail
from immich_sidecar.develop.probe import probe
from immich_sidecar.develop.proxy import halved, load_proxy, outline_of, patches_of, shrunk
from immich_sidecar.errors import RecipeError, UndecodableError
from tests.develop.conftest import mean_difference
from tests.photos import make


@pytest.fixture(scope="module")
def scene():
    return make.scene(1200, 900)


def opened(jpeg: bytes):
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def test_a_preview_is_small_and_carries_nothing(tmp_path, scene, steps) -> None:
    path = make.write_jpeg_with_everything(tmp_path / "a.jpg", scene, orientation=6)
    preview = preview_jpeg(path, steps(exposure={"ev": 0.3}), max_edge=400)
    image = Image.open(io.BytesIO(preview))
    assert image.size == (300, 400)
    assert "exif" not in image.info
    assert "icc_profile" not in image.info
    assert Image.open(io.BytesIO(thumbnail(path, max_edge=100))).size == (75, 100)
    assert Image.open(io.BytesIO(smaller_jpeg(preview, max_edge=100))).size == (75, 100)


def test_a_preview_shows_wide_colours_as_srgb(tmp_path) -> None:
    picture = make.sample_photo("coffee")
    path = make.write_png(tmp_path / "a.png", picture, icc=make.display_p3_icc())
    expected = ImageCms.profileToProfile(
        Image.fromarray(picture),
        ImageCms.ImageCmsProfile(io.BytesIO(make.display_p3_icc())),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    assert mean_difference(opened(preview_jpeg(path, quality=98)), np.asarray(expected)) < 2.5
    proxy = load_proxy(path)
    assert np.abs(proxy.display.astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize("kind", ["turned", "wide", "deep"])
def test_a_picture_that_is_decoded_already_has_the_same_preview(tmp_path, scene, kind) -> None:
    if kind == "turned":
        path = make.write_jpeg_with_everything(tmp_path / "a.jpg", scene, orientation=6)
    elif kind == "wide":
        path = make.write_png(tmp_path / "a.png", scene, icc=make.display_p3_icc())
    else:
        path = tmp_path / "a.tiff"
        cv2.imwrite(str(path), scene[..., ::-1].astype(np.uint16) * 257)
    from_file = opened(preview_jpeg(path, max_edge=400, quality=95))
    decoded = decode(path, probe(path))
    before = decoded.pixels.copy()
    from_pixels = opened(preview_of(decoded, max_edge=400, quality=95))
    assert from_pixels.shape == from_file.shape
    assert mean_difference(from_pixels, from_file) < 2.5
    assert np.array_equal(decoded.pixels, before)


def test_the_preview_of_a_raw_without_steps_is_the_cameras(tmp_path, steps) -> None:
    picture = make.sample_photo("astronaut", shrink=1)
    camera = make.degraded(picture, contrast=1.2)
    path = make.write_dng(
        tmp_path / "a.dng", make.oriented(picture, 6), orientation=6, preview=make.oriented(camera, 6)
    )
    assert mean_difference(opened(preview_jpeg(path, max_edge=512, quality=95)), camera) < 4
    neutral = opened(preview_jpeg(path, steps(decode={}), max_edge=512, quality=95))
    assert mean_difference(neutral, camera) > 6
    proxy = load_proxy(path)
    assert proxy.embedded is not None
    assert mean_difference(proxy.embedded, camera) < 4


@pytest.mark.parametrize("write", [make.write_jpeg, make.write_dng])
def test_a_kept_source_answers_like_the_original(tmp_path, scene, steps, write) -> None:
    path = write(tmp_path / "a", scene)
    wanted = {
        "exposure": {"ev": 0.5},
        "straighten": {"degrees": 3},
        "tone": {"shadows": 30},
        "white_balance": {"temperature": 5500},
    }
    if write is make.write_dng:
        wanted["decode"] = {"baseline_ev": 0.3, "tone_curve": [[0, 0], [0.3, 0.4], [1, 1]]}
    source = PreviewSource.of(path, steps(**wanted), max_edge=600)
    source.save(tmp_path / "source")
    again = PreviewSource.load(tmp_path / "source")
    assert again.full_size == (1200, 900)
    quick = opened(again.jpeg(steps(**wanted), quality=95))
    direct = render(path, steps(**wanted), max_edge=quick.shape[1]).image
    assert abs(quick.shape[0] - direct.shape[0]) <= 1
    rows = min(quick.shape[0], direct.shape[0])
    assert mean_difference(quick[:rows], direct[:rows]) < 4


def test_a_damaged_source_is_told(tmp_path) -> None:
    for content in (b"", b"{}\n", b'{"full_size": [1, 2], "is_raw": false, "headroom": 1}\nrubbish'):
        (tmp_path / "source").write_bytes(content)
        with pytest.raises(UndecodableError):
            PreviewSource.load(tmp_path / "source")


def test_decode_is_refused_for_a_source_that_is_no_raw(tmp_path, scene, steps) -> None:
    source = PreviewSource.of(make.write_jpeg(tmp_path / "a.jpg", scene))
    with pytest.raises(RecipeError):
        source.jpeg(steps(decode={}))


def test_a_proxy_is_small_upright_and_linear(tmp_path, scene) -> None:
    path = make.write_tiff(tmp_path / "a.tif", make.oriented(scene, 8), orientation=8)
    proxy = load_proxy(path, max_edge=300)
    assert proxy.display.shape == (225, 300, 3)
    assert proxy.full_size == (1200, 900)
    assert proxy.scale == 0.25
    assert mean_difference(proxy.display, make.shrunk(scene, 4)) < 3
    assert mean_difference(make.display_from_linear(proxy.linear), proxy.display) < 0.6
    assert (proxy.is_raw, proxy.embedded, proxy.patch_scale) == (False, None, 1.0)


def test_detail_patches_have_the_noise_of_the_full_picture(tmp_path) -> None:
    flat = np.full((900, 1200, 3), 120, np.uint8)
    noisy = make.degraded(flat, noise=4.0)
    proxy = load_proxy(make.write_png(tmp_path / "a.png", noisy))
    assert len(proxy.detail_patches) == 9
    assert {p.shape for p in proxy.detail_patches} == {(256, 256)}
    assert np.mean([p.std() for p in proxy.detail_patches]) * 255 == pytest.approx(4.0, rel=0.05)
    assert np.mean([p.std() for p in proxy.chroma_patches]) * 255 < 0.6


def test_a_raw_proxy_is_linear_light_as_shot(tmp_path) -> None:
    truth = make.shrunk(make.scene(1200, 800), 2)
    proxy = load_proxy(make.write_dng(tmp_path / "a.dng", truth, ev=-1.0))
    assert proxy.is_raw
    assert proxy.patch_scale == 0.5
    expected = make.linear_from_display(truth).mean(axis=(0, 1)) * 0.5
    assert proxy.linear.mean(axis=(0, 1)) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("size", [(6001, 4003), (3000, 2000), (1441, 97), (1200, 3999), (500, 400)])
def test_what_is_halved_once_is_shrunk_to_the_same_pixels(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    halves = halved(pixels, 1440)
    assert halves.shape[0] <= pixels.shape[0]
    for edge in (1440, 1024, 320):
        assert np.array_equal(shrunk(pixels, edge, halves=halves), shrunk(pixels, edge))


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(3100, 2003), (500, 400)])
def test_of_a_picture_that_was_made_small_an_outline_is_enough(tmp_path, size, depth) -> None:
    pixels = np.random.default_rng(1).integers(0, np.iinfo(depth).max, (size[1], size[0], 3)).astype(depth)
    path = make.write_png(tmp_path / "a.png", pixels, icc=make.display_p3_icc())
    facts = probe(path)
    decoded = decode(path, facts)
    halves, patches = halved(decoded.pixels, 1440), patches_of(decoded)
    outline = outline_of(decoded)
    whole, small = load_proxy(path), load_proxy(path, decoded=outline, halves=halves, patches=patches)
    assert np.array_equal(small.display, whole.display)
    assert np.array_equal(small.linear, whole.linear)
    for one, other in zip(small.detail_patches, whole.detail_patches, strict=True):
        assert np.array_equal(one, other)
    assert preview_of(outline, halves=halves) == preview_of(decoded)
    assert outline.pixels.strides == (0, 0, 0)
