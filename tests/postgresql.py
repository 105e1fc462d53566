"""PostgreSQL servers of the tests' own, each on a socket in a temporary directory."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest


def installed():
    """The programs of the machine's PostgreSQL; skips where there are none."""
    initdb, control = shutil.which("initdb"), shutil.which("pg_ctl")
    if not (initdb and control):
        pytest.skip("no PostgreSQL server here: initdb and pg_ctl are not in PATH")
    return initdb, control


def with_pgvector():
    """The programs of the package pgserver, which brings pgvector; skips where it is not installed."""
    found = find_spec("pgserver")
    if found is None:
        pytest.skip("no PostgreSQL with pgvector here: pip install --no-deps pgserver")
    programs = Path(found.origin).parent / "pginstall" / "bin"
    return programs / "initdb", programs / "pg_ctl"


@contextmanager
def running(folder, programs):
    """A server until the end of the block; its folder, which holds the socket."""
    pytest.importorskip("psycopg", reason="no driver: pip install 'psycopg[binary]'")
    initdb, control = programs
    user = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []  # the server refuses to run as root
    if user:
        for part in [folder, *folder.parents[:3]]:
            part.chmod(0o755)
        shutil.chown(folder, "nobody")
    made = subprocess.run(
        [*user, initdb, "-D", f"{folder}/data", "-A", "trust", "-U", "x", "--no-sync", "-E", "UTF8"],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"initdb does not work here: {made.stderr[-300:]}")
    command = [*user, control, "-D", f"{folder}/data", "-w", "-l", f"{folder}/log"]
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    subprocess.run([*command, "-o", options, "start"], check=True, stdout=subprocess.DEVNULL, cwd=folder)
    yield folder
    # A server that is gone already, with its folder, needs no stopping: what it was for has been asserted.
    subprocess.run([*command, "-m", "immediate", "stop"], check=False, capture_output=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The machine's PostgreSQL."""
    with running(tmp_path_factory.mktemp("pg"), installed()) as folder:
        yield folder


@pytest.fixture(scope="module")
def vector_server(tmp_path_factory):
    """One that has pgvector."""
    with running(tmp_path_factory.mktemp("pgv"), with_pgvector()) as folder:
        yield folder


def url_of(folder):
    """The URL of its database."""
    return f"postgresql://x@/postgres?host={folder}"


def wipe(url):
    """An empty database again."""
    from sqlalchemy import create_engine, text

    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(text("DROP EXTENSION IF EXISTS vector CASCADE"))
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
