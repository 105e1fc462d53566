"""What each kind of action changes in the kernel of one node, what was there before, and how that is restored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from x0tta6bl4.errors import ConfigError, NotSupported
from x0tta6bl4.model import Action, Component, Seconds
from x0tta6bl4.network import names
from x0tta6bl4.network.journal import Before
from x0tta6bl4.network.kernel import Interface, Kernel

BOUNCE_S: Final = 1.2  # batman-adv drops the routes of an interface that is down within a second
TARGETS: Final = {  # kind of action -> kind of component it acts on
    "detach-interface": "interface",
    "stand-in-primary": "interface",
    "set-hop-penalty": "interface",
    "set-throughput-override": "interface",
    "block-neighbour": "link",
    "restore-mtu": "interface",
    "bounce-interface": "interface",
    "set-gw-mode": "node",
    "set-orig-interval": "node",
    "restart-service": "service",
}
KINDS: Final = frozenset(TARGETS)
IRREVERSIBLE: Final = frozenset(("bounce-interface", "restart-service"))
SET_INTERFACE: Final = frozenset(("set-hop-penalty", "set-throughput-override"))
TAKE_OUT: Final = frozenset(("detach-interface", "stand-in-primary"))
OPTIONS: Final = ("hop_penalty", "throughput_override_kbit")


class Changes:
    """The changes of one node. mac_of: MAC of a neighbour's interface, by component (for block-neighbour).
    later: takes what is to be done after so many seconds (the second half of a bounce).
    """

    def __init__(
        self,
        node: str,
        kernel: Kernel,
        *,
        mac_of: Callable[[Component], str],
        later: Callable[[Seconds, Callable[[], None]], None],
    ) -> None:
        self.node, self.kernel, self.mac_of, self.later = node, kernel, mac_of, later

    def concerns(self, action: Action) -> bool:
        """Is it an action on something of this node? For a link it is the node that hears it."""
        if TARGETS.get(action.kind) != action.target.kind:
            return False
        on_link = action.target.kind == "link"
        return self.node == (names.ends(action.target)[1][0] if on_link else names.owner(action.target))

    def _interface(self, target: Component) -> Interface:
        name = interface_of(target)
        for interface in self.kernel.interfaces():
            if interface.name == name:
                return interface
        raise ConfigError("action.target", str(target), "a hard interface of this node")

    def up(self, name: str) -> Callable[[], None]:
        """What switches an interface on."""
        return lambda: self.kernel.set_up(name, True)

    def prepare(self, action: Action) -> tuple[Before, Callable[[], None]]:
        """What undo will restore, and the change itself; nothing is touched yet.

        Raises ConfigError where the target is not here, ResourceError and NotSupported where the kernel does not tell,
        ValueError, KeyError, TypeError or IndexError where the action is malformed.
        """
        kernel = self.kernel
        if action.target.kind != "interface":
            return self._prepare_others(action)
        interface = self._interface(action.target)
        name = interface.name
        match action.kind:
            case "detach-interface":
                return _settings(interface), lambda: kernel.detach(name)
            case "stand-in-primary":
                if not interface.attached:
                    raise ConfigError("action.target", str(action.target), "an attached hard interface")
                return _settings(interface), lambda: kernel.stand_in(name, True)
            case "set-hop-penalty" | "set-throughput-override":
                option = OPTIONS[action.kind == "set-throughput-override"]
                before, value = getattr(interface, option), int(action.parameters[option])
                if before is None:
                    raise ConfigError("action.target", str(action.target), "an attached hard interface")
                return {option: before}, lambda: kernel.set_hardif(name, option, value)
            case "restore-mtu":
                mtu = int(action.parameters["mtu_bytes"])
                return {"mtu_bytes": interface.mtu}, lambda: kernel.set_mtu(name, mtu)
            case _:
                return {}, lambda: self._bounce(name)

    def _bounce(self, name: str) -> None:
        self.kernel.set_up(name, False)
        self.later(BOUNCE_S, self.up(name))

    def _prepare_others(self, action: Action) -> tuple[Before, Callable[[], None]]:
        kernel = self.kernel
        match action.kind:
            case "block-neighbour":
                interface, mac = self._far_end(action.target)
                blocked = any(mac in i.blocked for i in kernel.interfaces() if i.name == interface)
                return {"mac": mac, "blocked": float(blocked)}, lambda: kernel.block(interface, mac, True)
            case "restart-service":
                service = action.target.name.split(":", 1)[1]
                return {}, lambda: kernel.restart_service(service)
            case "set-gw-mode":
                mode = str(action.parameters["gw_mode"])
                return {"gw_mode": kernel.mesh().gw_mode}, lambda: kernel.set_mesh("gw_mode", mode)
            case _:
                interval = int(action.parameters["orig_interval_ms"])
                before: Before = {"orig_interval_ms": kernel.mesh().orig_interval_ms}
                return before, lambda: kernel.set_mesh("orig_interval_ms", interval)

    def undo(self, action: Action, before: Mapping[str, float | str]) -> None:
        """Restore what was before; raises ConfigError, ResourceError, NotSupported."""
        match action.kind:
            case "detach-interface":
                name = self._interface(action.target).name
                if before.get("attached", 1.0):
                    self.kernel.attach(name)
                    self._set_again(action.target, before)
            case "stand-in-primary":
                self.kernel.stand_in(self._interface(action.target).name, False)
                self._set_again(action.target, before)
            case "set-hop-penalty" | "set-throughput-override":
                self._set_again(action.target, before)
            case "restore-mtu":
                self.kernel.set_mtu(self._interface(action.target).name, int(before["mtu_bytes"]))
            case "block-neighbour":
                interface, mac = names.ends(action.target)[1][1], str(before["mac"])
                self.kernel.block(interface, mac, bool(before.get("blocked", 0.0)))
            case "set-gw-mode" | "set-orig-interval":
                for option, value in before.items():
                    self.kernel.set_mesh(option, value if isinstance(value, str) else int(value))
            case _:
                raise NotSupported(f"{action.kind} cannot be undone")

    def _set_again(self, target: Component, before: Mapping[str, float | str]) -> None:
        interface = self._interface(target)
        for option in OPTIONS:
            if option in before and getattr(interface, option) != before[option]:
                self.kernel.set_hardif(interface.name, option, int(before[option]))

    def _far_end(self, link: Component) -> tuple[str, str]:
        """(own interface, MAC of the neighbour) of a link towards this node."""
        source, target = names.ends(link)
        mac = self.mac_of(names.interface(*source))
        if not mac:
            allowed = f"a link towards {self.node} from a neighbour with a known MAC"
            raise ConfigError("action.target", str(link), allowed)
        return target[1], mac


def interface_of(target: Component) -> str:
    """Name of the interface that an interface component is."""
    return target.name.split(":", 1)[1]


def _settings(interface: Interface) -> Before:
    settings: Before = {"attached": float(interface.attached)}
    for option in OPTIONS:
        value = getattr(interface, option)
        if value is not None:
            settings[option] = value
    return settings
