"""Gain maps: a developed Ultra HDR picture is HDR as before, told by readers that are not ours."""

import json
import subprocess

import cv2
import imagecodecs
import numpy as np
import pytest

from immich_sidecar.develop import gain_map
from immich_sidecar.develop.engine import develop, render
from immich_sidecar.develop.icc import named_space
from immich_sidecar.develop.probe import probe
from tests.photos import make, ultra

CROP = {"x": 0.2, "y": 0.1, "width": 0.5, "height": 0.6}
STEPS = {
    "crop": {"crop": CROP},
    "straighten": {"straighten": {"degrees": 4.0}},
    "tone": {"exposure": {"ev": 0.6}, "tone": {"contrast": 25, "shadows": 30}},
    "everything": {
        "straighten": {"degrees": -3.0},
        "crop": CROP,
        "exposure": {"ev": -0.7},
        "tone": {"highlights": -40},
        "white_balance": {"temperature": 7500},
    },
}


@pytest.fixture(scope="module")
def picture():
    return make.shrunk(make.scene(1440, 960, seed=4), 2)


@pytest.fixture(scope="module")
def gain(picture):
    """Gains of up to 3 EV, smooth, strongest where it is bright and towards the right, (180, 240)."""
    light = make.shrunk(picture, 2).max(axis=2) / 255.0
    across = np.linspace(0.2, 1.0, light.shape[1])
    return cv2.GaussianBlur(np.clip(3.0 * light * across, 0, None), (0, 0), 4).astype(np.float64)


@pytest.fixture
def made(tmp_path, recipe):
    """A function that develops a file."""

    def make_version(original, **steps):
        path = tmp_path / "version.jpg"
        develop(original, recipe(**steps), path)
        return path

    return make_version


def truth(original, recipe_steps, recipe, scene):
    """Developed SDR times the old ratio of HDR to SDR, moved by geometry alone."""
    picture, gain = scene
    geometry = {name: value for name, value in recipe_steps.items() if name in ("straighten", "crop", "orientation")}
    wide = cv2.resize(gain, (picture.shape[1], picture.shape[0]), interpolation=cv2.INTER_LINEAR)
    sdr = make.linear_from_display(picture).astype(np.float64)
    ratio = ((sdr.mean(axis=2) + 1 / 64) * np.exp2(wide) - 1 / 64) / np.maximum(sdr.mean(axis=2), 1e-3)
    coded = np.repeat(np.clip(ratio * 20, 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    flat = make.write_png(original.with_name("ratio.png"), coded)
    moved = render(flat, recipe(**geometry)).image[..., 1] / 20.0
    developed = make.linear_from_display(render(original, recipe(**recipe_steps)).image).astype(np.float64)
    return developed, developed * moved[..., None]


@pytest.mark.parametrize("iso", [False, True], ids=["xmp", "iso"])
@pytest.mark.parametrize("name", STEPS)
def test_hdr_stays_developed_sdr_times_the_old_gain(  # noqa: PLR0917 -- fixtures
    tmp_path, picture, gain, recipe, made, name, iso
) -> None:
    original = ultra.write(tmp_path / "a.jpg", picture, gain, iso=iso)
    assert probe(original).keeps_gain_map
    version = made(original, **STEPS[name])
    sdr, told = ultra.read(version)
    developed, wanted = truth(original, STEPS[name], recipe, (picture, gain))
    assert sdr.shape == developed.shape
    clear = developed.min(axis=2) > 0.02
    stops = np.abs(np.log2(np.maximum(told.hdr(developed), 1e-4) / np.maximum(wanted, 1e-4)))[clear].max(axis=-1)
    assert np.median(stops) < 0.04
    assert np.percentile(stops, 95) < 0.15
    assert told.capacity == pytest.approx((0.0, gain.max()), abs=2e-3), "the same at every display as before"


def test_the_map_is_turned_upright_with_the_picture(tmp_path, picture, gain, made) -> None:
    exif = make.full_exif(orientation=6)
    original = ultra.write(tmp_path / "a.jpg", picture, gain, exif=exif)
    _, told = ultra.read(made(original, exposure={"ev": 0.2}))
    turned = np.rot90(gain, -1)
    assert told.values.shape[:2] == turned.shape
    got = told.low[0] + told.values[..., 0] * (told.high[0] - told.low[0])
    assert np.abs(got - turned).mean() < 0.08


def test_a_map_of_three_channels_and_a_gamma(tmp_path, picture, gain, recipe, made) -> None:
    colours = np.stack([gain, 0.5 * gain, 0.8 * gain], axis=-1)
    original = ultra.write(tmp_path / "a.jpg", picture, colours, gamma=1.6)
    sdr, told = ultra.read(made(original, crop={"x": 0.0, "y": 0.0, "width": 0.5, "height": 1.0}))
    before_sdr, before = ultra.read_written(original)
    half = before.hdr(before_sdr)[:, : sdr.shape[1]]
    ratio = np.log2(np.maximum(told.hdr(sdr), 1e-3) / np.maximum(half, 1e-3))
    assert told.values.shape[2] == 3
    assert np.percentile(np.abs(ratio), 95) < 0.12
    assert told.gamma[0] == pytest.approx(1.6)


def test_black_without_offsets_has_a_gain_all_the_same() -> None:
    """Offsets of nought are allowed; nothing divided by nothing is no gain, and less than nothing has no logarithm."""
    level = np.linspace(0, 255, 64).round().astype(np.uint8)
    before = np.repeat(np.tile(level, (16, 1))[..., None], 3, axis=2)
    after = np.maximum(before.astype(int) - 40, 0).astype(np.uint8)
    for sdr, hdr in ((0.0, 0.0), (0.0, -0.01), (-0.01, 0.0)):
        gains = gain_map.Gains((0.0,) * 3, (2.0,) * 3, (1.0,) * 3, (sdr,) * 3, (hdr,) * 3, 0.0, 2.0)
        logs = np.full((16, 64, 1), 1.5, np.float32)
        new = gain_map.anew(before, after, logs, named_space("sRGB"), gains).gains
        assert np.isfinite([*new.low, *new.high]).all()
        assert gain_map.read_iso(gain_map.written_iso(new)).high == pytest.approx(new.high, abs=1e-5)


def test_googles_reader_agrees(tmp_path, picture, gain, made) -> None:
    """libultrahdr shows the crop of a version as it shows that part of the original."""
    original = ultra.write(tmp_path / "a.jpg", picture, gain, iso=True)
    version = made(original, crop={"x": 0.25, "y": 0.0, "width": 0.5, "height": 1.0})
    whole = imagecodecs.ultrahdr_decode(original.read_bytes())[..., :3].astype(np.float64)
    part = imagecodecs.ultrahdr_decode(version.read_bytes())[..., :3].astype(np.float64)
    width = whole.shape[1]
    there = whole[:, width // 4 : width // 4 + part.shape[1]]
    assert part.max() > 1.5, "brighter than SDR white"
    assert np.median(np.abs(part - there) / np.maximum(there, 0.05)) < 0.03


def test_a_picture_by_googles_writer_survives(tmp_path, recipe, made) -> None:
    light = make.linear_from_display(make.scene(512, 384, seed=2)).astype(np.float32) * 3.0
    alpha = np.ones((*light.shape[:2], 1), np.float32)
    encoded = imagecodecs.ultrahdr_encode(np.concatenate([light, alpha], axis=2).astype(np.float16))
    original = tmp_path / "google.jpg"
    original.write_bytes(encoded)
    assert probe(original).keeps_gain_map
    version = made(original, crop={"x": 0.0, "y": 0.0, "width": 1.0, "height": 0.5})
    whole = imagecodecs.ultrahdr_decode(encoded)[..., :3].astype(np.float64)
    part = imagecodecs.ultrahdr_decode(version.read_bytes())[..., :3].astype(np.float64)
    assert np.median(np.abs(part - whole[: len(part)]) / np.maximum(whole[: len(part)], 0.05)) < 0.05


def test_what_the_file_says_is_whole(tmp_path, picture, gain, made, exiftool) -> None:
    original = ultra.write(tmp_path / "a.jpg", picture, gain)
    version = made(original, crop=CROP)
    command = [exiftool, "-j", "-a", "-G1", "-n", "-struct", "-validate", "-warning", "-all", str(version)]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)[0]
    size = version.stat().st_size
    second = told["MPImage2:MPImageLength"]
    assert told["MPImage2:MPImageStart"] + second == size
    assert told["MPImage1:MPImageLength"] == size - second
    items = [entry["Item"] for entry in told["XMP-Container:Directory"]]
    assert [item["Semantic"] for item in items] == ["Primary", "GainMap"]
    assert items[1]["Length"] == second
    assert (told["XMP-hdrgm:Version"], told["XMP-xmp:Rating"]) == (1.0, 4)
    # Older versions of exiftool do not know the segment of ISO 21496-1.
    assert told.get("ExifTool:Warning") in (None, "[minor] Unknown APP2 segment")


def test_the_smaller_map_of_a_smaller_version(tmp_path, picture, gain, made) -> None:
    original = ultra.write(tmp_path / "a.jpg", picture, gain)
    version = made(original, output={"format": "small", "longest_edge": 120})
    sdr, told = ultra.read(version)
    assert sdr.shape[1] == 120
    assert told.values.shape[1] <= 120


def test_other_formats_have_no_gain_map_and_say_nothing_of_it(tmp_path, picture, gain, recipe) -> None:
    original = ultra.write(tmp_path / "a.jpg", picture, gain)
    for name, ending in (("avif", "avif"), ("jxl", "jxl"), ("tiff16", "tif")):
        path = tmp_path / f"v.{ending}"
        develop(original, recipe(output={"format": name}), path)
        assert not probe(path).has_gain_map
        assert b"hdrgm:" not in path.read_bytes()


def test_what_cannot_be_kept_says_why(tmp_path, picture, gain) -> None:
    cut = ultra.write(tmp_path / "a.jpg", picture, gain)
    data = cut.read_bytes()
    cut.write_bytes(data[: data.rindex(b"\xff\xd8\xff")])
    assert probe(cut).gain_map_problem == "of a kind that is not known"
    reverse = ultra.write(tmp_path / "b.jpg", picture, gain, extra='hdrgm:BaseRenditionIsHDR="True"')
    assert probe(reverse).gain_map_problem == "that makes SDR of HDR"
    assert not probe(reverse).keeps_gain_map
    torn = ultra.write(tmp_path / "c.jpg", picture, gain)
    data = torn.read_bytes()
    torn.write_bytes(data[:-200] + bytes(198) + data[-2:])
    assert probe(torn).gain_map_problem == "that is damaged"


def test_a_real_one(photos, tmp_path, made) -> None:
    original = photos / "formats" / "ultra-hdr-gain-map.jpg"
    before = gain_map.find(original.read_bytes())
    version = made(original, crop={"x": 0.0, "y": 0.0, "width": 0.5, "height": 1.0}, exposure={"ev": -0.3})
    _, told = ultra.read(version)
    whole, half = before.values().shape, told.values.shape
    assert abs(half[1] - whole[1] / 2) <= 1
    assert imagecodecs.ultrahdr_decode(version.read_bytes()).shape[1] == probe(version).width


def test_iso_metadata_goes_there_and_back() -> None:
    gains = gain_map.Gains(
        low=(-0.5, -0.25, 0.0),
        high=(2.0, 2.5, 3.0),
        gamma=(1.0, 1.2, 0.8),
        offset_sdr=(0.01, 0.02, 0.03),
        offset_hdr=(0.0, 0.0, 0.0),
        least_headroom=0.0,
        full_headroom=2.32,
    )
    assert gain_map.read_iso(gain_map.written_iso(gains)) == gains


@pytest.mark.parametrize("name", ["HDRCapacityMin", "HDRCapacityMax"])
def test_a_headroom_below_none_is_damage(name) -> None:
    told = {"GainMapMax": "2", "HDRCapacityMin": "0", "HDRCapacityMax": "2", name: "-1"}
    attributes = " ".join(f'hdrgm:{key}="{value}"' for key, value in told.items())
    packet = make.xmp_with(attributes, f'xmlns:hdrgm="{gain_map.HDRGM}"')
    with pytest.raises(gain_map.NoGainMapError, match="damaged"):
        gain_map.read_xmp(packet)


def test_damaged_descriptions_never_pass() -> None:
    random = np.random.default_rng(5)
    content = gain_map.written_iso(gain_map.Gains((0.0,) * 3, (2.0,) * 3))
    for _ in range(200):
        broken = bytearray(content[: random.integers(0, len(content) + 1)])
        for place in random.integers(0, max(1, len(broken)), 3):
            if broken:
                broken[place] = random.integers(0, 256)
        try:
            gains = gain_map.read_iso(bytes(broken))
        except gain_map.NoGainMapError:
            continue
        assert min(gains.gamma) > 0


def test_advice_depends_on_whether_it_can_be_kept(tmp_path, picture, gain) -> None:
    from immich_sidecar.advise.adviser import advise, recipe_for
    from immich_sidecar.analysis.analysis import analyse
    from tests.develop.conftest import AT

    dark = make.degraded(picture, ev=-2.5)
    analysis = analyse(ultra.write(tmp_path / "a.jpg", dark, gain))
    advice = advise(analysis)
    assert advice.left_alone is None
    for wanted, steps in (("heic", set()), ("small", {"output"})):
        recipe = recipe_for("a" * 64, advice, analysis, at=AT, output=wanted)
        assert {operation.type for operation in recipe.operations} & {"output"} == steps, "only a JPEG keeps it"
    unkept = analysis.facts.model_copy(update={"keeps_gain_map": False, "gain_map_problem": "in a HEIC file"})
    reason = advise(analysis.model_copy(update={"facts": unkept})).left_alone
    assert reason == "carries an HDR gain map in a HEIC file, which a developed copy would lose"
