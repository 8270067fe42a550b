"""`immich-sidecar process --format`: other files than JPEG, and back."""

from __future__ import annotations

import json
from pathlib import Path

from immich_sidecar.develop.probe import probe
from tests.test_process import photo, sidecar


def test_files_of_another_format_replace_their_own_and_only_those(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    photo(1, dark=0.08).save(tmp_path / "in" / "dark.jpg", quality=95)
    out = tmp_path / "out"
    sidecar("process", "in", "--output", out, cwd=tmp_path)
    assert probe(out / "dark.jpg").media_type == "image/jpeg"
    sidecar("process", "in", "--output", out, "--format", "jxl", "--quality", "80", cwd=tmp_path)
    assert probe(out / "dark.jxl").media_type == "image/jxl"
    assert not (out / "dark.jpg").exists(), "what the recipe file no longer speaks of is gone"
    recipe = json.loads((out / "dark.recipe.json").read_text())
    (output,) = [o["parameters"] for o in recipe["operations"] if o["type"] == "output"]
    assert output == {"format": "jxl", "quality": 80, "longest_edge": 0, "profile": "keep"}

    # The recipe makes the same kind of file of other photos, and of its own again.
    photo(2, dark=0.08).save(tmp_path / "other.jpg", quality=95)
    sidecar("process", "other.jpg", "--recipe", out / "dark.recipe.json", "--output", "more", cwd=tmp_path)
    assert probe(tmp_path / "more" / "other.jxl").format == "jxl"
    before = (out / "dark.jxl").read_bytes()
    sidecar("replay", out / "dark.recipe.json", "in/dark.jpg", "--output", "again.jxl", cwd=tmp_path)
    assert (tmp_path / "again.jxl").read_bytes() == before
    wrong = sidecar("replay", out / "dark.recipe.json", "in/dark.jpg", "-o", "again.jpg", cwd=tmp_path, status=2)
    assert "let its name end in .jxl" in wrong.stderr

    # A picture that was changed since is nobody's to remove.
    (out / "dark.jxl").write_bytes(before + b"mine")
    sidecar("process", "in", "--output", out, "--format", "small", cwd=tmp_path)
    assert (out / "dark.jpg").is_file()
    assert (out / "dark.jxl").read_bytes() == before + b"mine"
