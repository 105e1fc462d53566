"""`x0t config check|show`: what is set, where it comes from, and whether it is right."""

from __future__ import annotations

import importlib
import os
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from x0tta6bl4.core.commands.output import JsonFlag, console, print_json
from x0tta6bl4.core.commands.toml import toml
from x0tta6bl4.core.settings import Settings, find_file, load
from x0tta6bl4.network.kernel import MTU_MIN_BYTES, Kernel

app = typer.Typer(no_args_is_help=True, help="Check and show the settings.")
ConfigFile = Annotated[
    Path | None, typer.Argument(help="A settings file; the usual places by default.", show_default=False)
]
_PASSWORD = re.compile(r"(?<=://)([^:/@]*):[^@]*(?=@)")


def public(settings: Settings) -> dict[str, Any]:
    """The settings as a document, with passwords of URLs blanked out; the token is not part of it.

    Of `alerts.url` only the host is left: whoever knows the rest of a webhook's URL may post to it.
    """
    document = settings.model_dump(mode="json")
    document["store"]["url"] = _PASSWORD.sub(r"\1:***", settings.store.database)
    document["alerts"]["url"] = host_only(settings.alerts.url)
    document["store"]["directory"] = str(settings.store.path)
    document["api"]["token_file"] = str(settings.token_file)
    return document


def host_only(url: str) -> str:
    """A URL without user, path and query.

    >>> host_only("https://me:hush@hooks.example:8443/T0/B1?key=x"), host_only("http://am:9093"), host_only("")
    ('https://hooks.example:8443/***', 'http://am:9093', '')
    """
    scheme, _, rest = url.partition("://")
    place = re.split("[/?#]", rest, maxsplit=1)[0]
    bare = f"{scheme}://{place.rpartition('@')[2]}"
    return (bare if rest.removeprefix(place) in ("", "/") else f"{bare}/***") if url else ""


@app.command()
def check(file: ConfigFile = None, as_json: JsonFlag = False) -> None:
    """Check the settings; a mistake is named with its field, its value and what is allowed (exit code 2)."""
    load(file)
    found = file or find_file(os.environ)
    if as_json:
        print_json({"ok": True, "file": str(found) if found else None})
        return
    console().print(f"ok: {found or 'defaults (no settings file)'}")


@app.command()
def show(file: ConfigFile = None, as_json: JsonFlag = False) -> None:
    """Print the settings in force, defaults included; secrets are never printed."""
    document = public(load(file))
    if as_json:
        print_json(document)
        return
    typer.echo(toml(document))


SIOCGIFADDR = 0x8915  # <linux/sockios.h>
NETWORK = Path("/sys/class/net")


@app.command()
def node(
    interface: Annotated[str, typer.Option(help="The mesh interface. [default: mesh.interface]")] = "",
    name: Annotated[str, typer.Option(help="Its name. [default: mesh.node, else the host name]")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Print this machine as an entry of `mesh.inventory`: its address on the mesh, its hard interfaces and their MACs.

    Collect those of all nodes in one file, and look over what they say: it is what will be expected.
    """
    mesh, linux = load().mesh, importlib.import_module("x0tta6bl4.network.linux")
    interface = interface or mesh.interface
    kernel = linux.LinuxKernel(interface, ())
    try:
        entry = entry_of(kernel, name or mesh.me, address_on_mesh(interface), is_radio)
    finally:
        kernel.close()
    if as_json:
        print_json(entry)
        return
    typer.echo(toml({"mesh": {"inventory": [entry]}}).removeprefix("[mesh]\n"))


def entry_of(kernel: Kernel, name: str, ip: str, radio: Callable[[str], bool]) -> dict[str, Any]:
    """A node's entry as its kernel stands now; what is as by default is left out. radio: is an interface one?"""
    mesh = kernel.mesh()
    interfaces = []
    for one in kernel.interfaces():
        row: dict[str, Any] = {"name": one.name, "mac": one.mac}
        if one.mtu > MTU_MIN_BYTES:
            row["mtu"] = one.mtu
        row |= {key: True for key, holds in (("dummy", one.dummy), ("radio", radio(one.name))) if holds}
        interfaces.append(row)
    return {
        "name": name,
        "ip": ip,
        "address": mesh.address,
        "algorithm": mesh.algorithm,
        "orig_interval_ms": mesh.orig_interval_ms,
        "interfaces": interfaces,
    }


def address_on_mesh(interface: str, network: Path = NETWORK) -> str:
    """The IPv4 address of the mesh interface, or of the bridge that it is a port of; "" where there is none."""
    bridge = network / interface / "master"
    return address_of(interface) or (address_of(bridge.resolve().name) if bridge.exists() else "")


def address_of(interface: str) -> str:
    """Its IPv4 address, "" where it has none."""
    fcntl = importlib.import_module("fcntl")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            answer = fcntl.ioctl(asked, SIOCGIFADDR, struct.pack("256s", interface[:15].encode()))
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])


def is_radio(interface: str, network: Path = NETWORK) -> bool:
    """Does the kernel call it a wireless interface?"""
    return (network / interface / "phy80211").exists()
