"""What the client's tests share."""

import os
import socket

import pytest


@pytest.fixture
def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    for name in os.environ:
        if name.startswith("X0T_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
