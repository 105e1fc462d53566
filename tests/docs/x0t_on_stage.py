"""`x0t` on the documents' stage: what serves stays in the background, what is watched ends, what must be noted is."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, os.environ["STAGE_CODE"])
from elsewhere import ELSEWHERE_X0T, LOOK_S, OWN

STAGE = Path(os.environ["STAGE"])
REAL = [sys.executable, "-m", "x0tta6bl4"]
WAIT_S = 30


def get(path):
    """The answer's body; "" where there is none."""
    token = (STAGE / "home/.local/state/x0tta6bl4/token").read_text(encoding="ascii")
    address = f"http://127.0.0.1:{os.environ['X0T_API__PORT']}{path}"
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def until(condition, what):
    end = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"x0t on stage: not within {WAIT_S} s: {what}")
        time.sleep(0.2)


def serve(arguments):
    """In the background until the page ends or serves something else; gives back once the API is ready."""
    for before in STAGE.glob("*.pid"):
        os.kill(int(before.stem), signal.SIGINT)
        before.unlink()
        until(lambda: not get("/health"), "what ran before ends with Ctrl-C")
    with (STAGE / "served.log").open("a", encoding="utf-8") as log:
        process = subprocess.Popen([*REAL, *arguments], stdout=log, stderr=log, start_new_session=True)
    (STAGE / f"{process.pid}.pid").touch()
    until(lambda: get("/ready"), "the API answers")
    return 0


def look(arguments):
    """For a few seconds, then Ctrl-C."""
    process = subprocess.Popen([*REAL, *arguments])
    try:
        return process.wait(LOOK_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        code = process.wait(10)
        return 0 if code == 130 else code


def main(arguments):
    text = " ".join(arguments)
    if any(re.search(pattern, text) for pattern in ELSEWHERE_X0T):
        with (STAGE / "elsewhere").open("a", encoding="utf-8") as file:
            file.write(f"x0t {text}\n")
        return 0
    if OWN.match(f"x0t {text}"):
        return serve(arguments)
    if arguments[:1] == ["top"] or {"--watch", "-w"} & set(arguments):
        return look(arguments)
    if arguments[:2] != ["lab", "inject"]:
        os.execv(sys.executable, [*REAL, *arguments])
    code = subprocess.run([*REAL, *arguments], check=False).returncode
    if code == 0:  # a reader sees it before they ask for it
        until(lambda: '"id"' in get("/v1/incidents"), "an incident is opened")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
