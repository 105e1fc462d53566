"""A supervisor's stop ends what runs in front of a person in good order."""

import os
import signal
import subprocess
import sys

import pytest


@pytest.mark.timeout(60)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_demo_that_is_told_to_stop_stops_its_source(tmp_path, how):
    home = {**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    command = [sys.executable, "-u", "-m", "x0tta6bl4", "demo", "--no-api"]
    with subprocess.Popen(command, env=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert "Ctrl-C ends it" in running.stdout.readline()
        running.send_signal(how)
        said, wrong = running.communicate(timeout=30)
    assert running.returncode == 0
    assert said.splitlines()[-1] == "stopping"
    assert wrong == ""


def test_any_command_that_is_terminated_unwinds(tmp_path):
    program = """
import sys, time, x0tta6bl4.cli as cli
def slow():
    try:
        print("began", flush=True)
        time.sleep(60)
    finally:
        print("tidied up", flush=True)
cli.app.command()(slow)
sys.argv = ["x0t", "slow"]
cli.main()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "began\n"
        running.send_signal(signal.SIGTERM)
        said, _ = running.communicate(timeout=30)
    assert (said, running.returncode) == ("tidied up\n", 128 + signal.SIGTERM)
