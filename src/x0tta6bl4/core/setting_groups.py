"""The groups of settings: what each value means, why the default is what it is, and how to switch the thing off."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from x0tta6bl4.catalog import Autonomy as AutonomyLevel
from x0tta6bl4.errors import ConfigError
from x0tta6bl4.lab.participants import DeclaredInterface, DeclaredNode
from x0tta6bl4.mape_k.guards import Limits

KNOWLEDGE_NAMES = ("runbooks", "incidents", "notes", "pages")  # what is known is filed under these, and under folders

Autonomy = Literal["observe", "advise", "approve", "act"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Ratio = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Mac = Annotated[str, Field(pattern=r"^([0-9a-f]{2}:){5}[0-9a-f]{2}$")]


class Group(BaseModel):
    """Base of the groups: frozen after validation, unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class Api(Group):
    """The HTTP interface for people, Prometheus and `x0t status`."""

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. Loopback, because the token travels in clear text: put TLS in front "
        "before you open it.",
    )
    port: int = Field(default=8000, ge=1, le=65535, description="TCP port.")
    token_file: str = Field(
        default="",
        description="File of the bearer token, mode 0600, made at the first start. Empty: `token` in store.directory.",
    )
    hosts: tuple[Name, ...] = Field(
        default=(),
        description="Names besides localhost, 127.0.0.1 and [::1] under which a browser may reach the API. Empty, "
        "so that a foreign page cannot point its own name at this machine (DNS rebinding).",
    )
    listeners_max: int = Field(
        default=64, ge=0, le=10_000, description="Event listeners served at once, 429 beyond that. 0 switches them off."
    )


class StoreSettings(Group):
    """Where decisions and readings are kept."""

    directory: str = Field(
        default="",
        description="Directory of the token, the database and the readings. Empty: /var/lib/x0tta6bl4 as root, else "
        "x0tta6bl4 under $XDG_STATE_HOME (~/.local/state).",
    )
    url: str = Field(
        default="",
        description="SQLAlchemy URL of the database. Empty: SQLite, `decisions.db` in store.directory. "
        "`sqlite://` keeps nothing on disk.",
    )
    keep_passes_days: NotNegative = Field(
        default=30.0,
        description="Days for which passes that decided something are kept; time travel goes back so far. 0: for good.",
    )
    keep_events_days: NotNegative = Field(
        default=90.0,
        description="Days for which events are kept that belong to no incident, and windows that have ended. 0: for "
        "good. Incidents with their history, actions, plans and outcomes are always kept for good.",
    )

    @property
    def path(self) -> Path:
        """The directory with its default filled in."""
        if self.directory:
            return Path(self.directory).expanduser()
        if os.geteuid() == 0:
            return Path("/var/lib/x0tta6bl4")
        return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "x0tta6bl4"

    @property
    def database(self) -> str:
        """The URL with its default filled in."""
        return self.url or f"sqlite:///{self.path / 'decisions.db'}"


class LoopSettings(Group):
    """How often the loops run."""

    agent_pass_s: Positive = Field(
        default=0.5,
        description="Seconds between two passes of a node's loop. A read of the kernel's tables takes 20 to 80 ms on "
        "small hardware; kernel events wake a pass earlier.",
    )
    controller_pass_s: Positive = Field(default=0.5, description="Seconds between two passes over the whole mesh.")
    tick_s: Positive = Field(
        default=0.05,
        description="Seconds between two looks at the sockets; not over agent_pass_s, nor the hello interval.",
    )


class ProbeSettings(Group):
    """Hellos beside the mesh and probes through it."""

    hello_interval_s: Positive = Field(
        default=0.05,
        description="Seconds between two hellos to a neighbour. 20 a second find a dead link within half a second.",
    )
    large_interval_s: Positive = Field(
        default=0.5, description="Seconds between two full-size probes, which find a broken MTU."
    )


class Safety(Group):
    """What the controller may do, and how much of it."""

    kill_switch: bool = Field(
        default=False, description="On: no new action is started; running ones are proven or undone. Watching goes on."
    )
    autonomy: Mapping[Name, Autonomy] = Field(
        default={},
        description="Action kind -> observe (say nothing), advise (say what it would do), approve (ask first) or act. "
        "The key `default` is for all other kinds and is `advise`: on a real mesh nothing is changed until opted in.",
    )
    irreversible_allowed: tuple[Name, ...] = Field(
        default=(),
        description="Action kinds without an undo (bounce, restart, reboot) that may be used. Empty: none.",
    )
    hold_s: Positive = Field(
        default=10.0,
        description="Seconds for which what a mitigation avoids must be well, by probes beside the mesh, before it is "
        "reverted. Flapping makes it grow, up to hold_s_max.",
    )
    hold_s_max: Positive = Field(
        default=90.0, description="Cap in seconds of the growing hold_s: no mitigation outlives its reason for longer."
    )
    storm_actions_max: int = Field(
        default=10,
        ge=0,
        description="Actions in storm_window_s, of one agent or of the controller, and changes of ways by all agents "
        "together; beyond it none is started. 0 stops all.",
    )
    storm_window_s: Positive = Field(default=60.0, description="Window in seconds of storm_actions_max.")
    blast_radius_ratio_max: Ratio = Field(
        default=0.34,
        description="Share of the nodes that one action may put at risk. A third: in a ring of six a link's two ends "
        "pass. 1 switches the guard off.",
    )
    rate_actions_max: int = Field(
        default=4, ge=1, description="Actions on one target in rate_window_s; what needs more is for a person."
    )
    rate_window_s: Positive = Field(
        default=120.0, description="Window in seconds of rate_actions_max. Each action kind has a cool-down besides."
    )

    def level(self, kind: str) -> Autonomy:
        """Autonomy of one action kind.

        >>> Safety(autonomy={"set_mtu": "act"}).level("set_mtu"), Safety().level("set_mtu")
        ('act', 'advise')
        """
        return self.autonomy.get(kind, self.autonomy.get("default", "advise"))

    def limits(self) -> Limits:
        """The same as the guards take it."""
        levels = {kind: AutonomyLevel(level) for kind, level in self.autonomy.items() if kind != "default"}
        return Limits(
            kill_switch=self.kill_switch,
            autonomy=levels,
            autonomy_default=AutonomyLevel(self.level("default")),
            irreversible_allowed=frozenset(self.irreversible_allowed),
            blast_radius_max=self.blast_radius_ratio_max,
            actions_max=self.storm_actions_max,
            window_s=self.storm_window_s,
            per_target_max=self.rate_actions_max,
            per_target_window_s=self.rate_window_s,
            hold_s=self.hold_s,
            hold_s_max=self.hold_s_max,
        )


class AlertSettings(Group):
    """Where open incidents are sent, besides `GET /v1/alerts`."""

    url: str = Field(
        default="",
        pattern=r"^(https?://[^\s/]+(/\S*)?)?$",
        description="URL of an Alertmanager; open incidents are posted to its /api/v2/alerts. Empty: nothing is sent.",
    )


class ExplanationSettings(Group):
    """How incidents are explained; a language model is asked only where one is named here, and only for its words."""

    language: Literal["en", "ru"] = Field(
        default="en", description="Language of alerts, and of explanations where a client asks for none that is known."
    )
    endpoint: str = Field(
        default="",
        pattern=r"^(https?://[^\s/@]+(/\S*)?)?$",
        description="URL of an OpenAI-compatible API, up to and without /chat/completions, that may rewrite an "
        "explanation when a client asks for that (`rewrite=true`). Names of nodes and readings go there. Empty: none.",
    )
    model: str = Field(default="", max_length=255, description="Name of the model, as the endpoint wants it.")
    timeout_s: Positive = Field(
        default=20.0, description="Seconds for its whole answer; what is not whole by then is not used."
    )
    key_file: str = Field(
        default="",
        description="File of the endpoint's key, mode 0600; sent over https or to this machine only. Empty: none.",
    )

    @model_validator(mode="after")
    def _key_stays_secret(self) -> Self:
        local = re.match(r"^http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(/|$)", self.endpoint)
        if self.key_file and self.endpoint and not local and not self.endpoint.startswith("https://"):
            raise ConfigError("explanation.endpoint", self.endpoint, "https, or this machine, where key_file is set")
        return self


class KnowledgeSettings(Group):
    """What `x0t knowledge` searches: runbooks, past incidents, notes, and folders of your own."""

    profile: Literal["off", "fast", "accurate"] = Field(
        default="fast",
        description="fast: words and word vectors, tenths of a millisecond for a query; needs x0tta6bl4[ml]. accurate: "
        "a small transformer too, which takes milliseconds and 130 MB; needs x0tta6bl4[accurate]. off: none.",
    )
    folders: Mapping[Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")], str] = Field(
        default={},
        description="Name -> folder of Markdown or text on the controller's machine, a git checkout for example; read "
        "again each minute, what is gone there is forgotten. Empty: none; `x0t knowledge add` hands files in.",
    )

    @field_validator("folders")
    @classmethod
    def _names_are_free(cls, folders: Mapping[str, str]) -> Mapping[str, str]:
        taken = [name for name in folders if name in KNOWLEDGE_NAMES]
        if taken:
            raise ValueError(f"any name but {', '.join(KNOWLEDGE_NAMES)}")
        return folders


class InterfaceSettings(Group):
    """A hard interface that the operator declares."""

    name: Name = Field(description="Name of the network interface.")
    mac: Mac = Field(description="Its MAC address in lower case.")
    mtu: int = Field(default=1560, ge=68, le=65535, description="MTU in bytes; 1560 carries a full frame unfragmented.")
    dummy: bool = Field(default=False, description="It is a software interface that never loses carrier.")
    radio: bool = Field(default=False, description="It is a shared medium with several neighbours.")


class NodeSettings(Group):
    """One expected member of the mesh."""

    name: Name = Field(description="Its name in every report.")
    address: Mac | Literal[""] = Field(default="", description="MAC address of its mesh interface; empty if unknown.")
    ip: str = Field(
        default="",
        pattern=r"^([0-9]{1,3}(\.[0-9]{1,3}){3})?$",
        description="IPv4 address of its mesh interface, through which agents and the controller talk.",
    )
    orig_interval_ms: int = Field(default=1000, ge=40, le=600_000, description="Originator interval in milliseconds.")
    algorithm: Literal["BATMAN_IV", "BATMAN_V"] = Field(default="BATMAN_IV", description="Routing algorithm.")
    interfaces: tuple[InterfaceSettings, ...] = Field(default=(), description="Its hard interfaces.")

    def declared(self) -> DeclaredNode:
        """The same as the agents and the controller take it."""
        interfaces = tuple(DeclaredInterface(i.name, i.mac, i.mtu, i.dummy, i.radio) for i in self.interfaces)
        return DeclaredNode(self.name, interfaces, self.address, self.orig_interval_ms, self.algorithm)


class MeshSettings(Group):
    """The mesh of this machine and who belongs to it."""

    interface: Name = Field(default="bat0", description="The batman-adv mesh interface of this machine.")
    node: Name | Literal[""] = Field(default="", description="Inventory name of this machine. Empty: its host name.")
    seat: Name | Literal[""] = Field(
        default="", description="Node beside which the controller sits. Empty: this machine."
    )
    inventory: tuple[NodeSettings, ...] = Field(
        default=(),
        description="The expected nodes, so that one that never came is missed. `x0t run` needs it, `demo` does not. "
        "Empty: those that were declared when this machine's agent last ran.",
    )

    @property
    def me(self) -> str:
        """This machine's name in the inventory."""
        return self.node or socket.gethostname().partition(".")[0]

    @field_validator("inventory")
    @classmethod
    def _names_once(cls, nodes: tuple[NodeSettings, ...]) -> tuple[NodeSettings, ...]:
        names = [node.name for node in nodes]
        macs = [interface.mac for node in nodes for interface in node.interfaces]
        for what, values in (("name", names), ("MAC address", macs)):
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise ValueError(f"{what} {twice!r} only once")
        return nodes


class LogSettings(Group):
    """Structured logs, one JSON object a line on standard error."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO",
        description="INFO is one line for each change of state; DEBUG adds one for each pass; ERROR is nearly silent.",
    )


class Monitoring(Group):
    """What leaves this process for other programs to watch it, besides /metrics and the log."""

    otlp_endpoint: str = Field(
        default="",
        description="Base URL of an OTLP/HTTP collector for traces, e.g. http://127.0.0.1:4318; needs "
        "x0tta6bl4[monitoring]. Empty: none, unless OTEL_EXPORTER_OTLP_ENDPOINT names one.",
    )


class PluginSettings(Group):
    """Packages that extend this one (docs/how-to/write-a-plugin.md)."""

    enabled: tuple[Name, ...] = Field(
        default=(),
        description="Installed packages whose entry points take part. Empty: none; what is installed and not named "
        "here is not even imported. One that cannot be loaded stops the start.",
    )
