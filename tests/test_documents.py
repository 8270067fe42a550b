"""The documents say what is so."""

import re
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

#: Libraries that the Makefile installs without what they ask for.
INSTALLED_APART = (
    re.search(r"^AI_APART := (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].replace("'", "").split()
)


def _name(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0].lower()


@pytest.mark.parametrize(
    ("heading", "requirements"),
    [
        ("## To run", PROJECT["dependencies"]),
        ("## To look at photos with models", [*PROJECT["optional-dependencies"]["ai"], *INSTALLED_APART]),
        ("## To develop and test", PROJECT["optional-dependencies"]["dev"]),
    ],
)
def test_every_dependency_has_its_line(heading: str, requirements: list[str]):
    text = (ROOT / "docs" / "dependencies.md").read_text()
    section = text.split(heading)[1].split("\n## ")[0]
    listed = set()
    for line in re.findall(r"^\| ([a-zA-Z][^|]*) \|", section, re.MULTILINE):
        listed |= {name.strip().lower() for name in line.split(",")}
    assert listed - {"package"} == {_name(requirement) for requirement in requirements}


def test_readme_lists_every_command():
    from immich_sidecar.cli import app

    text = (ROOT / "README.md").read_text()
    names = {command.name or command.callback.__name__ for command in app.registered_commands}
    for group in app.registered_groups:
        names |= {
            f"{group.name} {command.name or command.callback.__name__}"
            for command in group.typer_instance.registered_commands
        }
    assert set(re.findall(r"^\| `immich-sidecar ((?:models )?\w+)", text, re.MULTILINE)) == names


def test_links_in_documents_lead_somewhere():
    for file in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", file.read_text()):
            assert (file.parent / target).exists(), f"{file.name} links to {target}"


def test_changelog_names_the_version():
    import immich_sidecar

    assert f"## {immich_sidecar.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_version_and_help_are_printed():
    from immich_sidecar import __version__
    from immich_sidecar.cli import app

    result = CliRunner().invoke(app, ["--version"])
    assert result.output.strip() == __version__
    assert CliRunner().invoke(app, ["process", "--help"]).exit_code == 0


def test_api_document_lists_every_route_and_message_type():
    from immich_sidecar.recipe.operations import operation_types
    from immich_sidecar.web.acting import MESSAGES
    from immich_sidecar.web.api import ROUTES

    text = (ROOT / "docs" / "api.md").read_text()
    listed = set(re.findall(r"^\| `((?:GET|POST|PUT|DELETE) /[^`]+)` \|", text, re.MULTILINE))
    assert listed == {f"{route.method} {route.path}" for route in ROUTES}
    for word in [*MESSAGES, *operation_types()]:
        assert f"`{word}`" in text, word


def test_readme_lists_the_permissions_that_are_needed():
    from immich_sidecar.immich.compatibility import ALBUM_PERMISSIONS, NEEDED_PERMISSIONS

    section = (ROOT / "README.md").read_text().split("## With Immich")[1].split("`asset.delete`")[0]
    listed = set(re.findall(r"`([a-z]+[A-Za-z]*\.[a-z]+)`", section))
    assert listed == {*NEEDED_PERMISSIONS, *ALBUM_PERMISSIONS}


def test_models_are_listed_as_they_are():
    from immich_sidecar.analysis.models_catalogue import catalogue

    text = (ROOT / "docs" / "models.md").read_text()
    for entry in catalogue():
        row = re.search(rf"^\| {entry.job.value} \| `{re.escape(entry.name)}`(.*)$", text, re.MULTILINE)
        assert row, f"docs/models.md does not list {entry.name}"
        assert f"| {entry.licence}" in row[1]
        assert ("(usual)" in row[1]) == entry.default
        assert ("digest pinned" in row[1]) == entry.is_pinned
        assert ("not commercial" in row[1]) == (not entry.commercial)
