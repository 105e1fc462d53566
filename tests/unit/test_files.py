"""A file is replaced whole or not at all."""

import os
import stat

import pytest

from x0tta6bl4.files import replace_file


def test_it_is_made_and_replaced_and_nothing_stays_beside_it(tmp_path):
    for data in (b"first, and longer", b"second"):
        replace_file(tmp_path / "kept", data)
        assert (tmp_path / "kept").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize(("mode", "umask", "got"), [(0o600, 0o000, 0o600), (0o666, 0o027, 0o640)])
def test_it_has_its_mode_from_the_first_byte_on(tmp_path, monkeypatch, mode, umask, got):
    seen = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (seen.append(stat.S_IMODE(os.fstat(file).st_mode)), sync(file)))
    before = os.umask(umask)
    try:
        replace_file(tmp_path / "kept", b"secret", mode)
    finally:
        os.umask(before)
    assert seen == [got]
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == got


def test_a_full_disk_leaves_the_old_one(tmp_path, monkeypatch):
    replace_file(tmp_path / "kept", b"old")

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_file(tmp_path / "kept", b"new")
    assert (tmp_path / "kept").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "nowhere" / "kept", b"")
