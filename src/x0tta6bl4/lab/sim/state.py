"""What the simulated mesh is made of: plain records with slots; the protocols and the lab change them."""

from __future__ import annotations

from typing import Final

TT_MAX: Final = 255  # BATADV_TQ_MAX_VALUE
WINDOW: Final = 64  # BATADV_TQ_LOCAL_WINDOW_SIZE
WINDOW_MASK: Final = (1 << WINDOW) - 1


class Hop:
    """One directed link: `src` transmits, `dst` receives; `rev` is the other direction.

    dead counts the faults that swallow everything; losses and delays are by fault. rq, eq: which of the last 64
    OGMs of `src` the receiver heard, and which of its own came back through `src` (BATMAN_IV). throughput: in
    100 kbit/s, what the receiver thinks of this link (BATMAN_V).
    """

    __slots__ = (
        "base_delay", "base_loss", "burst_end", "burst_slot", "burst_start", "dead", "delay", "delays", "dst",
        "epoch", "eq", "idx", "key_beside", "key_burst", "key_echo", "key_mesh", "key_ogm", "known", "losses",
        "name", "quality", "reset_at", "rev", "rq", "rq_seq", "seen", "src", "threshold", "throughput", "tq",
    )  # fmt: skip

    def __init__(self, idx: int, name: str, src: Iface, dst: Iface) -> None:
        self.idx, self.name, self.src, self.dst = idx, name, src, dst
        self.rev: Hop = self
        self.base_loss = self.base_delay = self.delay = 0.0
        self.threshold = 0  # of 2**53: below it a packet is lost
        self.dead = 0
        self.losses: dict[str, float] = {}
        self.delays: dict[str, float] = {}
        self.key_ogm = self.key_echo = self.key_mesh = self.key_beside = self.key_burst = 0
        self.burst_slot = -(1 << 60)
        self.burst_start = self.burst_end = 0.0
        self.rq = self.eq = self.rq_seq = 0
        self.quality = self.tq = 0
        self.epoch = -1
        self.reset_at = self.seen = -1e9
        self.known = False
        self.throughput = 0.0


class Iface:
    """One hard interface. admin: its administrative state; held: how many faults keep it down, whatever admin says."""

    __slots__ = (
        "active", "admin", "attached", "blocked", "dummy", "epoch", "held", "hop_penalty", "idx", "index", "inn",
        "key", "mac", "mtu", "mtu_declared", "name", "node", "out", "override_kbit", "radio", "seq",
    )  # fmt: skip

    def __init__(self, idx: int, node: Node, name: str, mac: str, mtu: int, *, dummy: bool, radio: bool) -> None:
        self.idx, self.node, self.name, self.mac = idx, node, name, mac
        self.index = 0  # as ip link counts
        self.mtu = self.mtu_declared = mtu
        self.dummy, self.radio = dummy, radio
        self.admin, self.held, self.attached, self.active = True, 0, True, True
        self.hop_penalty = self.override_kbit = 0
        self.blocked: set[str] = set()
        self.inn: list[Hop] = []
        self.out: list[Hop] = []
        self.seq = self.epoch = 0
        self.key = 0

    @property
    def up(self) -> bool:
        """Administratively up, with carrier, on a living node."""
        return self.admin and not self.held and self.node.alive


class Entry:
    """One neighbour through which an originator can be reached: `link` comes from it.

    metric: BATMAN_IV's averaged TQ (0..255), BATMAN_V's throughput (100 kbit/s). bits: heard sequence numbers.
    """

    __slots__ = ("at", "bits", "link", "metric", "ring", "seen", "seq")

    def __init__(self, link: Hop) -> None:
        self.link = link
        self.ring = [0, 0, 0, 0, 0]  # BATADV_TQ_GLOBAL_WINDOW_SIZE
        self.at = 0
        self.metric: float = 0
        self.bits = 0
        self.seq = 0
        self.seen = 0.0


class Table:
    """What one node knows of one originator: `gen` tells a new originator address or a reboot.

    stuck: BATMAN_V lost the ways between its links to it: what came over one is not forwarded over another.
    """

    __slots__ = ("entries", "forwarded", "gen", "router", "seq", "stuck", "ttl")

    def __init__(self) -> None:
        self.reset(0)

    def reset(self, gen: int) -> None:
        """Forget everything; only OGMs of generation `gen` or later count from now on."""
        self.gen = gen
        self.seq = self.forwarded = -1
        self.ttl = 0
        self.stuck = False
        self.entries: dict[int, Entry] = {}
        self.router: Entry | None = None


class Node:
    """One member: interfaces in the order of attachment, options, and its originator table by node index.

    gen: grows with every new originator address and boot; tt_at: from when on others know its clients again;
    knows_at: from when on it knows the clients of others again.
    """

    __slots__ = (
        "address", "agent_dead", "alive", "attached", "boots", "changes", "gen", "idx", "ifaces", "key",
        "knows_at", "name", "options", "primary", "seq", "tables", "tt_at",
    )  # fmt: skip

    def __init__(self, idx: int, name: str, address: str) -> None:
        self.idx, self.name, self.address = idx, name, address
        self.alive, self.agent_dead = True, False
        self.boots = self.gen = self.seq = 0
        self.tt_at = self.knows_at = -1e9
        self.ifaces: list[Iface] = []
        self.attached: list[Iface] = []  # batadv's own order: the first active one takes over as primary
        self.primary: Iface | None = None
        self.tables: list[Table] = []
        self.options: dict[str, int | str] = {}
        self.changes: list[float] = []  # when each announcement of the kernel reaches user space
        self.key = 0

    @property
    def receives(self) -> bool:
        """Frames to its originator address are its own (batadv_is_my_mac looks at active interfaces only)."""
        return self.alive and self.primary is not None and self.primary.active

    def iface(self, name: str) -> Iface | None:
        """Its interface called `name`."""
        for iface in self.ifaces:
            if iface.name == name:
                return iface
        return None
