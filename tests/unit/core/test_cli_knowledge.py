"""`x0t knowledge` against a controller: folders handed over, searched, taught, and bad input told in one line."""

import io
import json
import os
import socket

import pytest

from driven import until
from hand_made import Canned
from x0tta6bl4 import cli
from x0tta6bl4.core.commands.output import Exit
from x0tta6bl4.core.commands.watch import serving
from x0tta6bl4.core.settings import load
from x0tta6bl4.core.state import State


@pytest.fixture(scope="module")
def controller(tmp_path_factory):
    directory = tmp_path_factory.mktemp("controller")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("X0T_"):
                patch.delenv(name)
        patch.setenv("X0T_STORE__DIRECTORY", str(directory))
        patch.setenv("X0T_API__PORT", str(port))
        patch.setenv("XDG_CONFIG_HOME", str(directory / "config"))
        patch.chdir(directory)
        source, settings = Canned(), load(dotenv=None)
        state = State(settings=settings, log=False, source=source)
        with serving(state, settings):
            until(lambda: cli.run(["api", "health"]) == Exit.OK)
            source.start(state)
            until(lambda: cli.run(["knowledge", "list"]) == Exit.OK, 30.0)
            yield state
            source.stop()


@pytest.fixture
def x0t(controller, capsys):
    def call(*arguments, code=Exit.OK):
        assert cli.run(["knowledge", *arguments]) == code, capsys.readouterr()
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return told.out if code == Exit.OK else told.err

    return call


def document(x0t, *arguments):
    return json.loads(x0t(*arguments, "--json"))


def test_search_shows_where_it_is_from_and_how_sure(x0t):
    assert x0t("search", "link-lossy").startswith("named  runbooks/link-lossy.md#")
    text = x0t("search", "packets", "are", "lost", "on", "a", "link", "--language", "en", "-n", "1")
    assert " %  runbooks/link-lossy.md#" in text
    assert x0t("search", "xyzzy", "--threshold", "1") == "nothing fits well enough\n"


def test_list_and_show(x0t):
    text = x0t("list", "--source", "runbooks", "-n", "3")
    assert "runbooks/actions.md#0" in text
    assert "there is more: --cursor runbooks/actions.md#2" in text
    assert "profile       fast" in text
    assert x0t("show", "runbooks/link-lossy.md").startswith("# ")
    assert "(404)" in x0t("show", "nothing", code=Exit.FAILED)


def test_a_folder_is_handed_over_and_kept_equal(x0t, tmp_path):
    wiki = tmp_path / "wiki"
    (wiki / "deep").mkdir(parents=True)
    (wiki / "a.md").write_text("# Numbat\nIt eats termites.")
    (wiki / "deep" / "b.md").write_text("# Bilby\nIt digs.")
    (wiki / "deep" / "round").symlink_to(wiki, target_is_directory=True)
    (wiki / "c.md").write_bytes(b"\x7fELF\x00\xff")
    with (wiki / "huge.md").open("wb") as file:
        file.truncate(100_000_000)
    (wiki / "long.md").write_text("long " * 50_000)
    (wiki / "larger.md").write_text("larger " * 200_000)
    (wiki / "od\u202ed.md").write_text("x")
    first = document(x0t, "add", str(wiki))
    assert first["changed"] == ["pages/wiki/a.md", "pages/wiki/deep/b.md"]
    assert set(first["skipped"]) == {"c.md", "huge.md", "long.md", "larger.md", "od\\u202ed.md"}
    assert "at most 200000" in first["skipped"]["long.md"]
    assert "(413)" in first["skipped"]["larger.md"]
    assert "numbat" in x0t("search", "numbat").lower()

    (wiki / "a.md").write_text("# Numbat\nIt sleeps.")
    (wiki / "deep" / "b.md").unlink()
    again = document(x0t, "add", str(wiki))
    assert (again["changed"], again["removed"]) == (["pages/wiki/a.md"], ["pages/wiki/deep/b.md"])
    assert "0 new or changed, 1 as before, 0 forgotten, 5 left out" in x0t("add", str(wiki))
    assert "It sleeps." in x0t("show", "pages/wiki/a.md")
    other = document(x0t, "add", str(wiki / "deep"), "--name", "wiki2")
    assert other["source"] == "pages/wiki2"
    assert "--name" in x0t("add", str(wiki), "--name", "a/b", code=Exit.USAGE)


class Terminal(io.StringIO):
    """Standard input where somebody can be asked."""

    def isatty(self):
        return True


def test_a_folder_that_is_suddenly_empty_is_asked_about(x0t, tmp_path, monkeypatch):
    page = tmp_path / "echidna.md"
    page.write_text("# Echidna\nIt digs at the mast.\n")
    x0t("add", str(tmp_path), "--name", "echidnas")
    page.unlink()
    add = ("add", str(tmp_path), "--name", "echidnas")
    assert "is empty, had 1 (is it mounted?)" in x0t(*add, code=Exit.USAGE)  # nobody can be asked
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert "is empty, had 1 (is it mounted?)" in x0t(*add, code=Exit.FAILED)
    assert "echidna" in x0t("list", "--source", "pages/echidnas")
    assert "1 forgotten" in x0t(*add, "--yes")
    assert "echidna" not in x0t("list")
    assert "0 forgotten" in x0t(*add)  # it has nothing to lose


def test_a_folder_whose_files_cannot_be_read_keeps_its_pages(x0t, tmp_path):
    (tmp_path / "wombat.md").write_text("# Wombat\nIt sits.\n")
    x0t("add", str(tmp_path), "--name", "wombats")
    (tmp_path / "wombat.md").write_bytes(b"\x00\xff")
    assert "0 forgotten, 1 left out" in x0t("add", str(tmp_path), "--name", "wombats")
    assert "wombat" in x0t("list", "--source", "pages/wombats")


def test_a_file_and_standard_input_are_notes(x0t, tmp_path, monkeypatch):
    (tmp_path / "mast.txt").write_text("The cassowary sits on the mast.")
    (tmp_path / "link.txt").symlink_to(tmp_path / "mast.txt")
    note = document(x0t, "add", str(tmp_path / "link.txt"), "--tag", "mast", "--tag", "birds")["id"]
    row = document(x0t, "show", note)
    assert (row["title"], row["tags"]) == ("link.txt", ["mast", "birds"])
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("Кенгуру на крыше".encode())))
    assert x0t("add", "-", "--language", "ru", "--title", "Крыша").startswith("kept notes/")
    assert "Кенгуру" in x0t("search", "кенгуру", "--language", "ru")
    assert "--yes" in x0t("forget", note, code=Exit.USAGE)
    assert x0t("forget", note, "--yes") == f"forgot {note}\n"
    assert "(409)" in x0t("forget", "runbooks/link-lossy.md", "--yes", code=Exit.FAILED)


@pytest.mark.parametrize("data", [b"\xff\xfe", b"x" * 1_000_001])
def test_standard_input_that_is_no_note_is_refused(x0t, monkeypatch, data):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert "got" in x0t("add", "-", code=Exit.USAGE)


def test_bad_input_is_one_line(x0t, tmp_path):
    (tmp_path / "bin.md").write_bytes(b"\x00\xff")
    (tmp_path / "long.md").write_text("long " * 50_000)
    assert "not UTF-8" in x0t("add", str(tmp_path / "bin.md"), code=Exit.USAGE)
    assert "No such file" in x0t("add", str(tmp_path / "none.md"), code=Exit.USAGE)
    assert "at most 200000" in x0t("add", str(tmp_path / "long.md"), code=Exit.FAILED)
    assert "1 to 4000 characters" in x0t("search", "x" * 100_000, code=Exit.USAGE)
    assert "one of them" in x0t("feedback", "runbooks/link-lossy.md", "--helped", code=Exit.USAGE)
    assert "\x1b" not in x0t("search", "a\x1b[31m\u202eb", "--threshold", "1")


def test_feedback_and_learning(x0t):
    said = x0t("feedback", "runbooks/link-lossy.md#0", "--helped", "--query", "rain and loss")
    assert said == "noted: runbooks/link-lossy.md helped\n"
    said = x0t("feedback", "runbooks/actions.md", "--useless", "--incident", "last")
    assert said == "noted: runbooks/actions.md did not help\n"
    assert "too few answers" in x0t("learn")
