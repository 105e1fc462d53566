"""Our netlink codec against pyroute2's: another implementation reads the same from the same captured bytes."""

import pytest

pyroute2 = pytest.importorskip("pyroute2.netlink", reason="pyroute2 is for Linux")

from test_batman import FILES  # noqa: E402  # the captures that both read

from x0tta6bl4.network.netlink import attributes, messages  # noqa: E402

HEAD = 4  # a generic netlink header before the attributes


class Raw(pyroute2.genlmsg):
    """Every attribute as bytes in hex."""

    prefix = "A_"
    nla_map = tuple((f"A_{n}", "hex") for n in range(80))


def read_by_pyroute2(data):
    found, at = [], 0
    while at < len(data):
        message = Raw(data[at:])
        message.decode()
        if message["header"]["type"] > 15:
            found.append({int(k[2:]): bytes.fromhex(v.replace(":", "")) for k, v in message["attrs"]})
        at += (message["header"]["length"] + 3) & ~3
    return found


GENERIC = [path for path in FILES if not path.stem.endswith(("links", "filters"))]  # those two are rtnetlink


@pytest.mark.parametrize("path", GENERIC, ids=lambda path: path.stem)
def test_pyroute2_reads_the_same_attributes(path):
    data = path.read_bytes()
    ours = [dict(attributes(body, HEAD)) for kind, _, _, body in messages(data) if kind > 15]
    theirs = read_by_pyroute2(data)
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.keys() == other.keys()
        for kind, value in other.items():
            assert mine[kind][: len(value)] == value
