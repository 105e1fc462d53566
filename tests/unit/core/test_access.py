"""The token's file: made once, private, and refused when it is not."""

import stat
import threading

import pytest

from x0tta6bl4.core import access
from x0tta6bl4.errors import ConfigError


def test_made_once_and_private(tmp_path):
    path = tmp_path / "state" / "token"
    token = access.ensure(path)
    assert len(token) >= 43
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert access.ensure(path) == token == access.read(path)
    assert [p.name for p in path.parent.iterdir()] == ["token"]


def test_file_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "token"
    access.ensure(path)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="mode 0600"):
        access.ensure(path)


def test_link_is_refused(tmp_path):
    access.ensure(tmp_path / "real")
    (tmp_path / "token").symlink_to(tmp_path / "real")
    with pytest.raises(ConfigError, match=r"api\.token_file"):
        access.ensure(tmp_path / "token")


@pytest.mark.parametrize("text", ["", "short", "x" * 20 + " " + "y" * 30, "é" * 40])
def test_unusable_token_is_refused_and_not_repeated(tmp_path, text):
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        access.ensure(path)
    assert not text or text not in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        access.read(tmp_path / "token")


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can be written"):
        access.ensure(tmp_path / "file" / "token")


def test_starts_at_the_same_time_agree_on_one_token(tmp_path):
    tokens = []
    threads = [threading.Thread(target=lambda: tokens.append(access.ensure(tmp_path / "token"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(tokens) == {access.read(tmp_path / "token")}
    assert len(tokens) == 8
