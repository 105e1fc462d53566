"""In the guest: `x0t run` on every node of a mesh, each a process of its own as on machines of their own.

Called by name over the lab's connection (`guest.Session.call`), so each function takes the session first.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from x0tta6bl4.lab.clients import PERIOD_S, Clients
from x0tta6bl4.lab.netlab import PREFIX, SILENCE
from x0tta6bl4.network import netns

BASE = Path("/tmp/x0t-field")  # in the guest: its own /tmp, in memory
X0T = Path(sys.executable).with_name("x0t")
# /sys shows the interfaces of the namespace that it was mounted in
ENTER = 'mount -t sysfs sysfs /sys && exec "$@"'

running = {}


def toml(me, nodes, seat, autonomy):
    """A node's /etc/x0tta6bl4.toml."""
    lines = ["[mesh]", f'node = "{me}"', f'seat = "{seat}"']
    for node in nodes:
        ports = ", ".join(
            f'{{ name = "{one.name}", mac = "{one.mac}", dummy = {str(one.dummy).lower()} }}' for one in node.interfaces
        )
        lines += ["[[mesh.inventory]]", f'name = "{node.name}"', f'ip = "{node.ip}"', f"interfaces = [{ports}]"]
    lines += ["[store]", f'directory = "{BASE / me}"', "[knowledge]", 'profile = "off"']
    if autonomy:
        lines += ["[safety]", f'autonomy = {{ default = "{autonomy}" }}']
    return "\n".join(lines) + "\n"


def _spawn(node, words, output):
    environment = os.environ | {"X0T_CONFIG": str(BASE / f"{node}.toml")}
    with netns.inside(PREFIX + node):
        return subprocess.Popen(
            ["unshare", "-m", "sh", "-c", ENTER, "sh", str(X0T), *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def configure(session, seat, autonomy):
    """Each node's settings. autonomy: node -> level of all kinds, where it is not the default."""
    nodes = list(session.need().nodes.values())
    BASE.mkdir(exist_ok=True)
    for node in nodes:
        (BASE / f"{node.name}.toml").write_text(toml(node.name, nodes, seat, autonomy.get(node.name, "")))


def start(session, nodes):
    """`x0t run` on each of them."""
    for node in nodes:
        with (BASE / f"{node}.log").open("ab") as log:
            running[node] = _spawn(node, ["run", "--json"], log)


def kill(session, node):
    """SIGKILL: it cannot take anything back."""
    process = running.pop(node)
    process.kill()
    process.wait(60)


def stop(session):
    """SIGTERM to all, as a supervisor does; exit codes by node."""
    for process in running.values():
        process.send_signal(signal.SIGTERM)
    codes = {node: process.wait(60) for node, process in running.items()}
    running.clear()
    return codes


def ended(session):
    """The ends of the logs of those that ended by themselves."""
    gone = [node for node, process in running.items() if process.poll() is not None]
    return {node: (BASE / f"{node}.log").read_text()[-2000:] for node in gone}


def command(session, node, words):
    """A command at a node: its exit code, and what it prints."""
    process = _spawn(node, words, subprocess.PIPE)
    printed, _ = process.communicate(timeout=280)
    return [process.returncode, printed.decode()]


def ask(session, node, path):
    """GET of a node's own API: status and document; [0, {}] where nobody answers."""
    return _call(node, path, None)


def put(session, node, path, document):
    """PUT to a node's own API."""
    return _call(node, path, json.dumps(document).encode())


def _call(node, path, body):
    try:
        token = (BASE / node / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        url = f"http://127.0.0.1:8000{path}"
        request = urllib.request.Request(url, body, headers, method="GET" if body is None else "PUT")
        with netns.inside(PREFIX + node), urllib.request.urlopen(request, timeout=10) as answer:
            return [answer.status, json.load(answer)]
    except urllib.error.HTTPError as error:
        return [error.code, json.load(error)]
    except OSError:
        return [0, {}]


def cut(session, a, b, on):
    """Nothing passes between two interfaces (node, name), or everything again."""
    for ends in ((tuple(a), tuple(b)), (tuple(b), tuple(a))):
        session.need().impair(ends, "cut", SILENCE if on else None)


def set_mtu(session, node, interface, mtu):
    """Misconfigure an interface."""
    session.need().set_mtu(node, interface, mtu)


def answered(session, source, target, seconds):
    """Of a client's echoes over the mesh in so many seconds, the share answered under 150 ms."""
    lab = session.need()
    clients = Clients([(source, target)], {source: PREFIX + source}, lab.addresses)
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            clients.send()
            time.sleep(PERIOD_S)
            clients.receive()
        time.sleep(0.15)
        clients.receive()
    finally:
        clients.close()
    found = clients.pairs[0].rtt_ms
    return sum(rtt < 150 for rtt in found) / len(found)
