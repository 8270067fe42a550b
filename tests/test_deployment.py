"""The Compose file laid beside Immich's own, and the image's steps."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent

#: The services, names and volumes of Immich's docker-compose.yml, as far as an override can collide with them.
OFFICIAL: dict[str, Any] = {
    "name": "immich",
    "services": {
        "immich-server": {
            "container_name": "immich_server",
            "volumes": ["${UPLOAD_LOCATION}:/data", "/etc/localtime:/etc/localtime:ro"],
            "env_file": [".env"],
            "ports": ["2283:2283"],
            "depends_on": ["redis", "database"],
            "restart": "always",
            "healthcheck": {"disable": False},
        },
        "immich-machine-learning": {
            "container_name": "immich_machine_learning",
            "volumes": ["model-cache:/cache"],
            "env_file": [".env"],
            "restart": "always",
        },
        "redis": {"container_name": "immich_redis"},
        "database": {"container_name": "immich_postgres", "shm_size": "128mb"},
    },
    "volumes": {"model-cache": None},
}


def merge(base: Any, override: Any) -> Any:
    """Merge as Compose does for what is used here: mappings by key, lists one after the other, the rest replaced."""
    if isinstance(base, dict) and isinstance(override, dict):
        return {
            key: merge(base[key], override[key])
            if key in base and key in override
            else (override if key in override else base)[key]
            for key in base | override
        }
    if isinstance(base, list) and isinstance(override, list):
        return base + override
    return override


def substitute(text: str, environment: dict[str, str]) -> str:
    """`${NAME:-default}` as Compose reads it."""
    return re.sub(r"\$\{(\w+)(?::-([^}]*))?\}", lambda m: environment.get(m[1]) or m[2] or "", text)


def merged(environment: dict[str, str] | None = None) -> dict[str, Any]:
    text = substitute((ROOT / "compose.override.yml").read_text(), environment or {})
    return merge(OFFICIAL, yaml.safe_load(text))


def test_nothing_of_immich_is_changed_but_its_links():
    result = merged()
    for name, service in OFFICIAL["services"].items():
        for key, value in service.items():
            assert result["services"][name][key] == value
    added = set(result["services"]["immich-server"]) - set(OFFICIAL["services"]["immich-server"])
    assert added == {"environment"}
    assert all(key.startswith("IMMICH_THIRD_PARTY_") for key in result["services"]["immich-server"]["environment"])
    assert set(result["services"]) == {*OFFICIAL["services"], "immich-sidecar"}
    assert set(result["volumes"]) - set(OFFICIAL["volumes"]) == {"sidecar-model-cache"}


def test_container_names_and_ports_do_not_collide():
    services = merged()["services"]
    names = [service["container_name"] for service in services.values()]
    assert len(set(names)) == len(names)
    ports = [port.split(":")[0] for service in services.values() for port in service.get("ports", [])]
    assert len(set(ports)) == len(ports)


def test_service_gets_what_it_needs_and_no_secrets_of_immich():
    service = merged({"IMMICH_API_KEY": "k", "DB_PASSWORD": "never"})["services"]["immich-sidecar"]
    assert service["environment"]["IMMICH_URL"] == "http://immich-server:2283"
    assert service["environment"]["IMMICH_API_KEY"] == "k"
    assert "env_file" not in service
    assert "never" not in yaml.safe_dump(service)
    assert "image" not in service
    assert service["build"]["context"] == "./immich-sidecar"
    assert {volume.split(":")[1] for volume in service["volumes"]} >= {"/data", "/cache"}
    assert service["depends_on"] == ["immich-server"]
    assert service["healthcheck"]["test"][-1] == "health"


def test_immich_links_to_our_page():
    environment = merged({"SIDECAR_PUBLIC_URL": "https://photos.example/develop"})["services"]["immich-server"][
        "environment"
    ]
    assert environment["IMMICH_THIRD_PARTY_DOCUMENTATION_URL"] == "https://photos.example/develop/"


def test_environment_of_the_service_is_accepted(monkeypatch: pytest.MonkeyPatch):
    from immich_sidecar.settings import load_settings

    for name, value in merged()["services"]["immich-sidecar"]["environment"].items():
        monkeypatch.setenv(name, "" if value is None else str(value))
    assert load_settings().immich_url == "http://immich-server:2283"
    # The name by which Immich's server finds the service in their network, and the port that it listens on.
    assert load_settings().webhook_url == "http://immich-sidecar:2380"


def test_every_setting_can_be_set_in_the_file_of_the_stack():
    from immich_sidecar.settings import Settings, variable_of

    # What the image itself sets, or what is a file inside of it.
    fixed = {"SIDECAR_DATA_DIR", "SIDECAR_HOST", "SIDECAR_PORT", "IMMICH_API_KEY_FILE", "SIDECAR_SECRET_KEY_FILE"}
    # Secrets and addresses hold as they are; what the file itself fills in has a default of its own.
    environment = merged({})["services"]["immich-sidecar"]["environment"]
    wanted = {variable_of(name) for name in Settings.model_fields} - fixed
    assert wanted == set(environment) - {"PUID", "PGID"}
    told = merged(dict.fromkeys(wanted, "told"))["services"]["immich-sidecar"]["environment"]
    assert {name for name in wanted if told[name] != "told"} == {"IMMICH_URL"}


def test_gpu_block_follows_the_convention():
    text = (ROOT / "compose.override.yml").read_text()
    block = re.search(r"(?:^    # (?:extends:| {2}).*\n)+", text, re.MULTILINE)[0]
    extends = yaml.safe_load(re.sub(r"^    # ", "", block, flags=re.MULTILINE))["extends"]
    assert extends == {"file": "hwaccel.ml.yml", "service": "cuda"}


def test_a_gpu_and_a_folder_of_models_can_be_uncommented():
    text = (ROOT / "compose.override.yml").read_text()
    block = re.search(r"^    # deploy:\n(?:^    # {3,}.*\n)+", text, re.MULTILINE)[0]
    text = text.replace(block, re.sub(r"^    # ", "    ", block, flags=re.MULTILINE))
    text = text.replace("      # - ./models:/models\n", "      - ./models:/models\n")
    service = yaml.safe_load(substitute(text, {"SIDECAR_AI": "1"}))["services"]["immich-sidecar"]
    assert service["deploy"] == {
        "resources": {"reservations": {"devices": [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]}}
    }
    assert "./models:/models" in service["volumes"]
    assert str(service["build"]["args"]["AI"]) == "1"


def test_the_image_has_no_models_unless_it_is_asked_for():
    assert merged()["services"]["immich-sidecar"]["build"]["args"] == {"AI": None, "TORCH_INDEX": None}


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        ({}, ["pip install --no-cache-dir ."]),
        ({"AI": "1"}, ["pip install --no-cache-dir .[ai]", "make ai-apart VENV=/opt/sidecar"]),
        (
            {"AI": "1", "TORCH_INDEX": "https://index.example"},
            [
                "pip install --no-cache-dir --index-url https://index.example torch torchvision",
                "pip install --no-cache-dir .[ai]",
                "make ai-apart VENV=/opt/sidecar",
            ],
        ),
        ({"TORCH_INDEX": "https://index.example"}, ["pip install --no-cache-dir ."]),
    ],
)
def test_image_is_built_with_models_where_wanted(tmp_path: Path, arguments: dict[str, str], steps: list[str]):
    script = re.search(r"^RUN (make static.*?[^\\])\n\n", _dockerfile(), re.DOTALL | re.MULTILINE)[1]
    log = tmp_path / "log"
    for tool in ("make", "pip", "python"):
        stub = tmp_path / tool
        stub.write_text(f'#!/bin/sh\necho "{tool} $*" >> {log}\n')
        stub.chmod(0o755)
    script = script.replace("/opt/sidecar/bin/pip", "pip")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "AI": "", "TORCH_INDEX": "", **arguments}
    subprocess.run(["sh", "-euc", script], check=True, env=environment)
    begun = ["make static/vendor/htmx.min.js VENV=/tmp/tools", "python -m venv /opt/sidecar"]
    assert log.read_text().splitlines() == [*begun, *steps]


def test_libraries_of_models_bring_no_second_opencv():
    text = (ROOT / "Makefile").read_text()
    apart = re.search(r"^ai-apart:\n((?:\t.*\n)+)", text, re.MULTILINE)[1]
    assert "--no-deps" in apart
    assert "SAM2_BUILD_CUDA=0" in apart
    extra = re.search(r"^ai = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL | re.MULTILINE)[1]
    assert "ultralytics" not in extra


def _dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text()


def test_image_runs_as_nobody_special_and_is_checked():
    text = _dockerfile()
    assert text.count("\nFROM ") + text.startswith("FROM ") == 2
    assert "-slim" in text
    assert "HEALTHCHECK" in text
    assert "setpriv" in text
    assert "SIDECAR_DATA_DIR=/data" in text


def test_entrypoint_keeps_the_time_zone_and_hands_over(tmp_path: Path):
    script = re.search(r"<<'ENTRYPOINT'[^\n]*\n(.*?)\nENTRYPOINT\n", _dockerfile(), re.DOTALL)[1]
    entry = tmp_path / "entrypoint"
    # The folders of the image become folders of the test; the rest of the script is run as it is.
    entry.write_text(script.replace("/data", str(tmp_path / "data")).replace("/cache", str(tmp_path / "cache")))
    import os

    user = f"{os.getuid()}" if os.getuid() else "1234"
    result = subprocess.run(
        ["sh", str(entry), "sh", "-c", 'id -u; id -g; echo "tz=${TZ-unset}"'],
        env={"PATH": os.environ["PATH"], "PUID": user, "PGID": user, "TZ": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    uid, gid, tz = result.stdout.split()
    assert tz == "tz=unset"
    if os.getuid() == 0:
        assert (uid, gid) == ("1234", "1234")
        assert (tmp_path / "data").stat().st_uid == 1234
