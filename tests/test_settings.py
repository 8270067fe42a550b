"""Settings: what is accepted, how a wrong value is explained, and that their document is true."""

import re
from pathlib import Path
from typing import Any

import pytest

from immich_sidecar.errors import SettingsError
from immich_sidecar.settings import HotFolder, Mode, Settings, load_settings, parse_size, variable_of

DOCUMENT = Path(__file__).parent.parent / "docs" / "settings.md"


def _default(name: str) -> str:
    field = Settings.model_fields[name]
    shown: dict[str, str] = {
        "data_dir": "`./data`",
        "hot_folders": "`<data>/inbox`",
        "min_free": "`2GiB`",
        "cache_max": "`10GiB`",
        "workers": "cores, bounded by memory",
    }
    if name in shown:
        return shown[name]
    value: Any = field.default
    if value is None or value == ():
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def expected_rows() -> list[str]:
    """The lines that the document must have, one for each setting, in the order of the class."""
    return [
        f"| `{variable_of(name)}` | {_default(name)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]


def test_document_lists_every_setting_as_it_is():
    text = DOCUMENT.read_text()
    rows = [line for line in text.splitlines() if re.match(r"\| `(IMMICH_|SIDECAR_|TZ)", line)]
    assert rows == expected_rows(), "docs/settings.md should hold:\n" + "\n".join(expected_rows())


def test_documents_and_deployment_name_no_unknown_setting():
    known = {variable_of(name) for name in Settings.model_fields}
    known |= {"SIDECAR_TEST_DATA", "SIDECAR_TESTS_REQUIRE"}
    # Read by Compose alone, or by Immich.
    known |= {"SIDECAR_SOURCE", "SIDECAR_LOCATION", "SIDECAR_PUBLISH_PORT", "IMMICH_VERSION"}
    known |= {"SIDECAR_AI", "SIDECAR_TORCH_INDEX"}
    root = DOCUMENT.parent.parent
    for file in [
        root / "README.md",
        root / "compose.override.yml",
        root / "Dockerfile",
        *root.glob("docs/*.md"),
    ]:
        for name in re.findall(r"\b(?:SIDECAR|IMMICH)_[A-Z_]+[A-Z]\b", file.read_text()):
            assert name in known or name.startswith("IMMICH_THIRD_PARTY_"), f"{file.name} names {name}"


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("SIDECAR_MODE", "loud", "review"),
        ("SIDECAR_PORT", "eighty", "integer"),
        ("SIDECAR_PORT", "70000", "65535"),
        ("SIDECAR_MIN_FREE", "a lot", "500M"),
        ("SIDECAR_POLL_SECONDS", "0", "1"),
        ("SIDECAR_WORKERS", "0", "1"),
        ("SIDECAR_HOT_FOLDERS", "/photos=no spaces allowed", "path=owner"),
        ("SIDECAR_LOG_LEVEL", "shout", "warning"),
        ("IMMICH_URL", "immich-server:2283", "http://"),
        ("SIDECAR_MODELS_MIRROR", "mirror.example", "https://"),
        ("TZ", "Mars/Olympus", "Europe/Berlin"),
        ("TZ", "/no/such/zone", "Europe/Berlin"),
    ],
)
def test_wrong_value_is_explained_in_one_line(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, allowed: str):
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"{variable}={value}")
    assert allowed in message


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", ":Europe/Berlin", "UTC0", "EST5EDT", "CET-1CEST,M3.5.0,M10.5.0/3", "<+03>-3", __file__]
)
def test_every_form_of_a_time_zone_that_systems_know(monkeypatch: pytest.MonkeyPatch, zone: str):
    monkeypatch.setenv("TZ", zone)
    assert load_settings().tz == zone


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("IMMICH_API_KEY", "very-secret")
    monkeypatch.setenv("IMMICH_API_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "very-secret" not in str(caught.value)
    monkeypatch.delenv("IMMICH_API_KEY_FILE")
    assert "very-secret" not in repr(load_settings())


def test_empty_values_mean_the_default(monkeypatch: pytest.MonkeyPatch):
    for name in Settings.model_fields:
        monkeypatch.setenv(variable_of(name), " ")
    settings = load_settings()
    monkeypatch.undo()
    monkeypatch.delenv("TZ")
    assert settings == load_settings()


def test_hot_folders(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SIDECAR_HOT_FOLDERS", "/a/b:/c=anna:/d=x/e=bob")
    assert load_settings().folders() == (
        HotFolder(Path("/a/b"), "local"),
        HotFolder(Path("/c"), "anna"),
        HotFolder(Path("/d=x/e"), "bob"),
    )


def test_default_hot_folder_lies_in_the_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("SIDECAR_DATA_DIR", str(tmp_path))
    assert load_settings().folders() == (HotFolder(tmp_path / "inbox", "local"),)


def test_values_are_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SIDECAR_MODE", "Auto")
    monkeypatch.setenv("SIDECAR_MIN_FREE", "1.5G")
    monkeypatch.setenv("IMMICH_URL", "http://immich:2283/api/")
    monkeypatch.setenv("SIDECAR_MODELS_CONSENT", "one, two,")
    monkeypatch.setenv("SIDECAR_MODELS_MIRROR", "https://mirror.example/hub/")
    settings = load_settings()
    assert settings.models_consent == ("one", "two")
    assert settings.models_mirror == "https://mirror.example/hub"
    assert settings.mode is Mode.AUTO
    assert settings.min_free == 3 << 29
    assert settings.immich_url == "http://immich:2283"
    assert settings.immich_link() == "http://immich:2283"


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("1024", 1024), ("2GiB", 2 << 30), ("500m", 500 << 20), ("1 TB", 1 << 40)]
)
def test_sizes(text: str, size: int):
    assert parse_size(text) == size


def test_key_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    file = tmp_path / "key"
    monkeypatch.setenv("IMMICH_API_KEY_FILE", str(file))
    with pytest.raises(SettingsError, match="IMMICH_API_KEY_FILE"):
        load_settings().api_key()
    file.write_text("")
    with pytest.raises(SettingsError, match="empty"):
        load_settings().api_key()
    file.write_text("abc\n")
    assert load_settings().api_key() == "abc"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("nas", False)],
)
def test_loopback(monkeypatch: pytest.MonkeyPatch, host: str, loopback: bool):
    monkeypatch.setenv("SIDECAR_HOST", host)
    assert load_settings().listens_on_loopback() is loopback
