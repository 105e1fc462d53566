"""What `x0t doctor` looks at in the mesh of this machine, in the running controller and in the lab."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from x0tta6bl4 import __version__
from x0tta6bl4.client import Refused, Unreachable
from x0tta6bl4.core.commands.checks import Finding, Level
from x0tta6bl4.core.commands.config import address_on_mesh
from x0tta6bl4.core.commands.connection import connect
from x0tta6bl4.core.commands.output import alike
from x0tta6bl4.core.setting_groups import MeshSettings
from x0tta6bl4.core.settings import Settings
from x0tta6bl4.errors import ProtocolError, X0tError
from x0tta6bl4.lab import vm
from x0tta6bl4.network.kernel import MTU_MIN_BYTES, Interface, Mesh

MODULE = Path("/sys/module/batman_adv")
STATUS = Path("/proc/self/status")
ADDRESSES = Path("/proc/net/if_inet6")
CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13}  # linux/capability.h


def batman(interface: str, *, present: bool, module: Path = MODULE) -> Finding:
    """Is there a batman-adv mesh here? present: `interface` is there and is one."""
    if present:
        return Finding("batman-adv", Level.OK, f"mesh interface {interface}")
    if module.exists():
        mend = f"ip link add {interface} type batadv, or set mesh.interface; `x0t demo` needs none"
        return Finding("batman-adv", Level.WARN, f"loaded, but there is no mesh interface {interface}", mend)
    mend = "modprobe batman-adv; `x0t demo` needs none"
    return Finding("batman-adv", Level.WARN, "this kernel has not loaded it", mend)


def capabilities(*, needed: bool, status: Path = STATUS) -> Finding:
    """May this process change interfaces and send probes? needed: there is a mesh to look after."""
    try:
        lines = status.read_text(encoding="ascii").splitlines()
        held = int(next(line for line in lines if line.startswith("CapEff:")).split()[1], 16)
    except (OSError, StopIteration):
        return Finding("capabilities", Level.WARN, "cannot be read here", "run on Linux with /proc mounted")
    lacking = [name for name, bit in CAPABILITIES.items() if not held >> bit & 1]
    if lacking:
        mend = "run as root, or in the unit: AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW"
        level = Level.FAIL if needed else Level.WARN
        return Finding("capabilities", level, "without " + ", ".join(lacking), mend)
    return Finding("capabilities", Level.OK, ", ".join(CAPABILITIES))


def mesh(settings: Settings) -> list[Finding]:
    """Everything about the mesh interface of this machine."""
    interface = settings.mesh.interface
    try:
        present = importlib.import_module("x0tta6bl4.core.machine").present(interface)  # late: heavy
    except X0tError as error:
        return [Finding("batman-adv", Level.FAIL, str(error), "let this process open netlink sockets")]
    found = [batman(interface, present=present), capabilities(needed=present)]
    if not present:
        return found
    declared = [port.name for node in settings.mesh.inventory for port in node.interfaces]
    try:
        kernel: Any = importlib.import_module("x0tta6bl4.network.linux").LinuxKernel(interface, declared)
        try:
            options, ports = kernel.mesh(), kernel.interfaces()
        finally:
            kernel.close()
    except X0tError as error:
        return [*found, Finding("mesh", Level.FAIL, str(error), "run as root; `batctl if` shows what the kernel knows")]
    return [
        *found,
        inventory(settings.mesh, ports, address_on_mesh(interface)),
        hellos(ports),
        mtu(ports),
        primary(ports),
        loop_avoidance(options),
    ]


def inventory(mesh: MeshSettings, ports: Sequence[Interface], address: str) -> Finding:
    """Is this machine declared as its kernel knows it? address: its IPv4 address on the mesh."""
    mine = next((node for node in mesh.inventory if node.name == mesh.me), None)
    mend = "`x0t config node` prints the entry as it should be in mesh.inventory"
    if mine is None:
        return Finding("inventory", Level.FAIL, f"{mesh.me} is not declared", f"set mesh.node; {mend}")
    here, declared = {port.name: port for port in ports}, {one.name for one in mine.interfaces}
    wrong = [f"its address on the mesh is {address or 'none'}, declared is {mine.ip}"] if mine.ip != address else []
    wrong += [f"{one.name} is declared, but not here" for one in mine.interfaces if one.name not in here]
    wrong += [
        f"{one.name} has MAC {here[one.name].mac}, declared is {one.mac}"
        for one in mine.interfaces
        if one.name in here and here[one.name].mac != one.mac
    ]
    wrong += [
        f"{port.name} is attached, but not declared" for port in ports if port.attached and port.name not in declared
    ]
    if wrong:
        return Finding("inventory", Level.FAIL, "; ".join(wrong), mend)
    return Finding("inventory", Level.OK, f"{mesh.me} is declared as it is, one of {len(mesh.inventory)}")


def hellos(ports: Sequence[Interface], addresses: Path = ADDRESSES) -> Finding:
    """Can agents say hello on the bare interfaces? That takes an IPv6 link-local address on each."""
    try:
        rows = [line.split() for line in addresses.read_text(encoding="ascii").splitlines()]
    except OSError:
        rows = []  # a kernel without IPv6
    able = {row[5] for row in rows if row[0].startswith("fe8")}
    mute = [port.name for port in ports if port.attached and port.up and not port.dummy and port.name not in able]
    if mute:
        mend = "; ".join(f"sysctl -w net.ipv6.conf.{name}.disable_ipv6=0" for name in mute)
        what = f"no IPv6 link-local address on {', '.join(mute)}: the links there cannot be measured"
        return Finding("hellos", Level.FAIL, what, mend)
    return Finding("hellos", Level.OK, "every attached interface has an IPv6 link-local address")


def mtu(ports: Sequence[Interface]) -> Finding:
    """Do full-size frames fit with batman-adv's headers?"""
    attached = [port for port in ports if port.attached]
    if not attached:
        return Finding("interfaces", Level.FAIL, "none is attached to the mesh", "batctl if add INTERFACE")
    small = [port for port in attached if port.mtu < MTU_MIN_BYTES and not port.dummy]
    if small:
        what = ", ".join(f"{port.name} has MTU {port.mtu}" for port in small)
        mend = "; ".join(f"ip link set {port.name} mtu {MTU_MIN_BYTES}" for port in small) + " (on both ends)"
        return Finding("mtu", Level.WARN, what, mend)
    return Finding("mtu", Level.OK, f"at least {MTU_MIN_BYTES} on all attached interfaces")


def primary(ports: Sequence[Interface]) -> Finding:
    """Would the loss of the primary interface cut this node off?"""
    attached = [port for port in ports if port.attached]
    fragile = [port.name for port in attached if port.primary and not port.dummy]
    if fragile and len(attached) > 1:
        mend = "attach an always-up dummy interface first, so that it is the primary"
        return Finding("primary", Level.WARN, f"{fragile[0]} is primary and can lose its carrier", mend)
    return Finding("primary", Level.OK, "it cannot take another way with it")


def loop_avoidance(options: Mesh) -> Finding:
    """Does bridge loop avoidance hold broadcasts back for nothing?"""
    if options.bridge_loop_avoidance and not options.bridged:
        what = "bridge loop avoidance is on, but the mesh interface is in no bridge"
        return Finding("loop avoidance", Level.WARN, what, "batctl bridge_loop_avoidance 0")
    return Finding("loop avoidance", Level.OK, "on, in a bridge" if options.bridged else "off, no bridge")


def controller() -> list[Finding]:
    """Does the controller in question answer, is it of this version, and what weakness does it know of?"""
    try:
        with connect() as client:
            client.health()
            version = str(client.version()["version"])
            status = client.mesh_status()
    except Unreachable as error:
        return [Finding("controller", Level.WARN, str(error), "start one: x0t run, or x0t demo")]
    except Refused as error:
        return [Finding("controller", Level.FAIL, str(error), "look at its log; the token must be the running one's")]
    except (ProtocolError, X0tError) as error:
        return [Finding("controller", Level.FAIL, str(error), "is api.port (or the context's URL) another program's?")]
    found = [Finding("controller", Level.OK, f"answers, {status['health']}, pass {status['iteration']}")]
    if version != __version__:
        what = f"it is version {version}, this command {__version__}"
        found.append(Finding("version", Level.WARN, what, "use the same version on both sides"))
    found += [
        Finding("risk", Level.WARN, f"{risk['title']}: {where}", risk["remedy"])
        for risk, where in alike(status["risks"])
    ]
    found += [
        Finding("sensor", Level.WARN, f"{sensor} is blind: {why}", "look at that node's agent and its log")
        for sensor, why in status["sensor_errors"].items()
    ]
    return found


def lab(missing: str | None = None) -> Finding:
    """Can `--backend vm` be used? missing: what the backend says, for tests."""
    missing = vm.missing() if missing is None else missing
    if missing:
        return Finding("lab", Level.OK, f"simulated mesh only ({missing})")
    return Finding("lab", Level.OK, "simulated meshes and real ones in a guest (--backend vm)")
