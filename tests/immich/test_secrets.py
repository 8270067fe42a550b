"""Keys of users are kept encrypted, with a secret of this installation."""

from __future__ import annotations

import base64
import os
import stat
from pathlib import Path

import pytest

from immich_sidecar.errors import SettingsError
from immich_sidecar.immich.secrets import SECRET_FILE, Secrets
from immich_sidecar.settings import Settings, load_settings

KEY = "ZHbMVNFJkj0gnQUcLd6rvi0cYwGzHyEr"


def settings(folder: Path, **given: object) -> Settings:
    return load_settings(data_dir=folder, **given)


def a_secret() -> str:
    return base64.b64encode(os.urandom(32)).decode()


def test_one_is_made_once_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    token = Secrets.load(settings(tmp_path)).encrypt(KEY)
    assert KEY not in token
    file = tmp_path / SECRET_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Secrets.load(settings(tmp_path)).decrypt(token) == KEY
    assert [path.name for path in tmp_path.iterdir()] == [SECRET_FILE]
    assert Secrets.load(settings(tmp_path)).encrypt(KEY) != token


def test_it_can_be_given(tmp_path: Path) -> None:
    secret = a_secret()
    file = tmp_path / "elsewhere"
    file.write_text(secret + "\n")
    token = Secrets.load(settings(tmp_path, secret_key=secret)).encrypt(KEY)
    assert Secrets.load(settings(tmp_path, secret_key_file=file)).decrypt(token) == KEY
    urlsafe = secret.translate(str.maketrans("+/", "-_"))
    assert Secrets.load(settings(tmp_path, secret_key=urlsafe)).decrypt(token) == KEY
    # None of ours is made then.
    assert not (tmp_path / SECRET_FILE).exists()


def test_what_ours_encrypted_stays_readable_after_another_is_given(tmp_path: Path) -> None:
    token = Secrets.load(settings(tmp_path)).encrypt(KEY)
    given = Secrets.load(settings(tmp_path, secret_key=a_secret()))
    assert given.decrypt(token) == KEY
    # And what is written from then on needs the given one.
    with pytest.raises(SettingsError, match="SIDECAR_SECRET_KEY"):
        Secrets.load(settings(tmp_path)).decrypt(given.encrypt(KEY))


@pytest.mark.parametrize("token", ["", "nonsense", "gAAAAA", "ü"])
def test_what_cannot_be_read_says_what_to_do(tmp_path: Path, token: str) -> None:
    with pytest.raises(SettingsError, match="connect Immich anew"):
        Secrets.load(settings(tmp_path)).decrypt(token)


@pytest.mark.parametrize("given", ["short", "x" * 44, "!" * 44, base64.b64encode(bytes(range(31))).decode()])
def test_what_is_no_secret_is_refused_and_not_shown(tmp_path: Path, given: str) -> None:
    with pytest.raises(SettingsError) as error:
        Secrets.load(settings(tmp_path, secret_key=given))
    assert "SIDECAR_SECRET_KEY" in str(error.value)
    assert "openssl rand" in str(error.value)
    assert given not in str(error.value)


def test_both_ways_to_give_it_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="SIDECAR_SECRET_KEY_FILE"):
        settings(tmp_path, secret_key=a_secret(), secret_key_file=tmp_path / "x")


def test_a_damaged_file_of_ours_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / SECRET_FILE).write_text("half")
    with pytest.raises(SettingsError, match=SECRET_FILE):
        Secrets.load(settings(tmp_path))
    assert (tmp_path / SECRET_FILE).read_text() == "half"
