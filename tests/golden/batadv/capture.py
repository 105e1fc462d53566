"""Captures a real kernel's answers: `python tests/golden/batadv/capture.py` boots the lab's guest and writes *.bin.

Each file holds the bytes as the socket gave them, headers and the closing message included. `grab` runs in the guest.
"""

import base64
import json
import socket
import struct
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
DUMPS = {
    "hardif": "GET_HARDIF",
    "neighbours": "GET_NEIGHBORS",
    "originators": "GET_ORIGINATORS",
    "clients-global": "GET_TRANSTABLE_GLOBAL",
    "clients-local": "GET_TRANSTABLE_LOCAL",
    "gateways": "GET_GATEWAYS",
}


def ask(sock, kind, flags, payload):
    """The raw bytes of one answer, to its end."""
    from x0tta6bl4.network.netlink import DUMP, REQUEST, message, messages

    sock.settimeout(3)
    sock.send(message(kind, flags | REQUEST, 7, payload))
    data = b""
    while True:
        part = sock.recv(65536)
        data += part
        kinds = [kind for kind, _flags, _sequence, _payload in messages(part)]
        if flags & DUMP != DUMP or 3 in kinds or 2 in kinds:
            return data


def grab(session, algorithm):
    """Build a small ring, let it settle, read everything; runs in the guest."""
    from x0tta6bl4.lab.netlab import PREFIX, Blueprint
    from x0tta6bl4.lab.topology import Link, build
    from x0tta6bl4.network.batman import Batadv
    from x0tta6bl4.network.batman_codec import Attr, Command, encode
    from x0tta6bl4.network.links import GETLINK, Links, change
    from x0tta6bl4.network.netlink import DUMP, number
    from x0tta6bl4.network.netns import inside
    from x0tta6bl4.network.traffic import GETFILTER, INGRESS, tc

    names = ["n1", "n2", "n3", "n4"]
    pairs = [(1, 2), (2, 3), (3, 4), (4, 1)]
    links = [Link(f"n{a}-n{b}", f"n{a}", f"v{a}-{b}", f"n{b}", f"v{b}-{a}") for a, b in pairs]
    lab = session.replace(Blueprint(build(names, links, dummy_primary=True), algorithm, 200))
    kernel, far = lab.kernel("n1"), lab.kernel("n3")
    far.set_mesh("gw_mode", "server")
    kernel.set_mesh("gw_mode", "client")
    time.sleep(8)
    kernel.set_hardif("v1-2", "hop_penalty", 15)
    if algorithm == "BATMAN_V":
        kernel.set_hardif("v1-4", "throughput_override_kbit", 54000)
    found = {}
    batadv, rt = Batadv(PREFIX + "n1"), Links(PREFIX + "n1")
    index = rt.index("bat0")
    with inside(PREFIX + "n1"):
        generic = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
        route = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    mesh = number(Attr.MESH_IFINDEX, index)
    found["mesh"] = ask(generic, batadv.family, 0, encode(Command.GET_MESH, mesh))
    for name, command in DUMPS.items():
        found[name] = ask(generic, batadv.family, DUMP, encode(Command[command], mesh))
    batadv.listen()
    kernel.set_mesh("hop_penalty", 31)
    kernel.set_hardif("v1-2", "hop_penalty", 16)
    listener = batadv._listener._socket
    listener.settimeout(2)
    found["event-mesh"], found["event-hardif"] = listener.recv(65536), listener.recv(65536)
    kernel.block("v1-2", lab.declared(("n2", "v2-1")).mac, True)
    blocked = struct.pack("=i", rt.index("v1-2"))
    found["filters"] = ask(route, GETFILTER, DUMP, tc(struct.unpack("=i", blocked)[0], 0, INGRESS, 0))
    found["links"] = ask(route, GETLINK, DUMP, change())
    for one in (kernel, far, batadv, rt, generic, route):
        one.close()
    return {name: base64.b64encode(data).decode() for name, data in found.items()}


def decoded(path):
    """Every message of a captured file as plain values, the closing one left out."""
    import dataclasses

    from x0tta6bl4.network import batman_codec, links, traffic
    from x0tta6bl4.network.netlink import messages

    names = {2: "v1-2", 3: "v1-4", 4: "dum0"}
    decoders = {
        "mesh": batman_codec.decode_mesh,
        "hardif": batman_codec.decode_hardif,
        "neighbours": lambda payload: batman_codec.decode_neighbour(payload, names),
        "originators": lambda payload: batman_codec.decode_originator(payload, names),
        "clients-global": batman_codec.decode_client,
        "clients-local": batman_codec.decode_client,
        "gateways": lambda payload: batman_codec.decode_gateway(payload, names),
        "event-mesh": batman_codec.decode_event,
        "event-hardif": batman_codec.decode_event,
        "filters": traffic.decode_block,
        "links": links.decode_link,
    }
    decode = decoders[path.stem.partition("-")[2]]
    values = [decode(payload) for kind, _flags, _seq, payload in messages(path.read_bytes()) if kind not in (2, 3)]
    return [dataclasses.asdict(one) if dataclasses.is_dataclass(one) else list(one) for one in values]


def main():
    """Boot, capture both algorithms, write."""
    from x0tta6bl4.lab import vm

    with vm.start(extra_path=(HERE,)) as lab:
        for short, algorithm in (("iv", "BATMAN_IV"), ("v", "BATMAN_V")):
            answer = lab.call("call", target="capture:grab", args={"algorithm": algorithm})
            for name, data in answer.items():
                (HERE / f"{short}-{name}.bin").write_bytes(base64.b64decode(data))
                sys.stdout.write(f"{short}-{name}.bin\n")
    write_expected()


def write_expected():
    """What the decoders make of the files, to be read through before it is committed."""
    found = {path.stem: decoded(path) for path in sorted(HERE.glob("*.bin"))}
    (HERE / "expected.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
