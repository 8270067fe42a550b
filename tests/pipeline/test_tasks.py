"""What workers do with one file."""

from pathlib import Path

import simplejpeg

from immich_sidecar.analysis.analysis import Analysis, analyse
from immich_sidecar.pipeline import tasks
from tests.photos import make


def test_a_photo_is_decoded_once_to_be_shown_and_measured(tmp_path: Path, monkeypatch) -> None:
    path = make.write_jpeg(tmp_path / "a.jpg", make.degraded(make.scene(1800, 1200), ev=-1.0))
    expected = analyse(path)
    original, decoded, decode = path.read_bytes(), [], simplejpeg.decode_jpeg

    def counted(data, *arguments, **options):
        decoded.append(bytes(data) == original)
        return decode(data, *arguments, **options)

    monkeypatch.setattr(simplejpeg, "decode_jpeg", counted)
    found = tasks.analyse_file(str(path), str(tmp_path / "thumbnail.jpg"), str(tmp_path / "preview.jpg"))
    assert sum(decoded) == 1
    assert Analysis.model_validate(found.analysis).model_copy(update={"seconds": expected.seconds}) == expected
    for name, edge in (("thumbnail", tasks.THUMBNAIL_EDGE), ("preview", tasks.PREVIEW_EDGE)):
        height, width = simplejpeg.decode_jpeg_header((tmp_path / f"{name}.jpg").read_bytes())[:2]
        assert (width, height) == (edge, edge * 2 // 3)
