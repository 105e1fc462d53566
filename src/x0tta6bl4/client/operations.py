"""Every operation of the API, once for both clients: a method is named as the operation id in `/v1/openapi`.

`Answer` is what a call gives: a JSON document for `Client`, an awaitable of one for `AsyncClient`. Lists come in pages:
`{"items": [...], "next": cursor or None}`, see `Client.items`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from x0tta6bl4.client.wire import Request, part

Answer = TypeVar("Answer")


class Calls(ABC, Generic[Answer]):
    """How a request becomes an answer; the clients say how."""

    @abstractmethod
    def _send(self, request: Request) -> Answer:
        """One request to its answer."""

    def _get(self, path: str, **query: object) -> Answer:
        return self._send(Request("GET", path, query))

    def _post(self, path: str, **body: object) -> Answer:
        return self._send(Request("POST", path, body=body))

    def _put(self, path: str, **body: object) -> Answer:
        return self._send(Request("PUT", path, body=body))

    def _delete(self, path: str) -> Answer:
        return self._send(Request("DELETE", path))


class MeshOperations(Calls[Answer]):
    """The controller itself, and the mesh as it sees it."""

    def health(self) -> Answer:
        """Is the process alive and its loop running?"""
        return self._get("/v1/health")

    def ready(self) -> Answer:
        """Has the loop finished a pass?"""
        return self._get("/v1/ready")

    def version(self) -> Answer:
        """Which version answers."""
        return self._get("/v1/version")

    def openapi(self) -> Answer:
        """The API as an OpenAPI document."""
        return self._get("/v1/openapi")

    def mesh_status(self) -> Answer:
        """The mesh at a glance: nodes, links, open incidents, latent risks."""
        return self._get("/v1/mesh/status")

    def list_nodes(self, *, limit: int | None = None, cursor: str | None = None) -> Answer:
        """Expected nodes with their state."""
        return self._get("/v1/mesh/nodes", limit=limit, cursor=cursor)

    def get_node(self, name: str) -> Answer:
        """One node with its links, incidents and risks."""
        return self._get(f"/v1/mesh/nodes/{part(name)}")

    def list_links(self, *, limit: int | None = None, cursor: str | None = None) -> Answer:
        """Directed links with loss, round-trip time and quality."""
        return self._get("/v1/mesh/links", limit=limit, cursor=cursor)

    def list_peers(self, node: str | None = None, *, limit: int | None = None, cursor: str | None = None) -> Answer:
        """Who is whose neighbour; `node` keeps one node's."""
        return self._get("/v1/mesh/peers", node=node, limit=limit, cursor=cursor)

    def get_routes(self, source: str, target: str) -> Answer:
        """The path from one node to another: hops, expected latency_ms and loss_ratio."""
        return self._get("/v1/mesh/routes", source=source, target=target)

    def get_topology(self) -> Answer:
        """Nodes and links as a graph."""
        return self._get("/v1/mesh/topology")

    def get_netjson(self) -> Answer:
        """The graph as a NetJSON NetworkGraph."""
        return self._get("/v1/mesh/topology/netjson")

    def cut_vertices(self) -> Answer:
        """Nodes and links whose loss would part the mesh."""
        return self._get("/v1/mesh/cut-vertices")

    def get_inventory(self, *, limit: int | None = None, cursor: str | None = None) -> Answer:
        """The expected nodes with their interfaces, as declared."""
        return self._get("/v1/inventory", limit=limit, cursor=cursor)

    def get_readings(self, component: str, metric: str, *, since_s: float | None = None) -> Answer:
        """One metric of KIND/NAME over the last `since_s` seconds."""
        return self._get("/v1/readings", component=component, metric=metric, since_s=since_s)


class IncidentOperations(Calls[Answer]):
    """What broke, what was thought of it, and what was done."""

    def list_incidents(
        self,
        *,
        state: str | None = None,
        cause: str | None = None,
        component: str | None = None,
        acknowledged: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Answer:
        """Incidents, newest first. state: all, open, mitigated or closed."""
        return self._get(
            "/v1/incidents",
            state=state,
            cause=cause,
            component=component,
            acknowledged=acknowledged,
            limit=limit,
            cursor=cursor,
        )

    def get_incident(self, incident: str) -> Answer:
        """One incident from its evidence to its proof."""
        return self._get(f"/v1/incidents/{part(incident)}")

    def incident_timeline(self, incident: str, *, limit: int | None = None, cursor: str | None = None) -> Answer:
        """What happened, oldest first."""
        return self._get(f"/v1/incidents/{part(incident)}/timeline", limit=limit, cursor=cursor)

    def incident_evidence(self, incident: str) -> Answer:
        """The symptoms that the cause rests on, and what contradicts it."""
        return self._get(f"/v1/incidents/{part(incident)}/evidence")

    def explain_incident(self, incident: str, *, language: str | None = None, rewrite: bool | None = None) -> Answer:
        """Why this cause, why this action, in words: `en` or `ru`, rewritten by the controller's model if asked for."""
        return self._get(f"/v1/incidents/{part(incident)}/explanation", language=language, rewrite=rewrite)

    def acknowledge_incident(self, incident: str, *, by: str | None = None, note: str | None = None) -> Answer:
        """Say that a person looks after it."""
        return self._post(f"/v1/incidents/{part(incident)}/acknowledge", by=by, note=note)

    def close_incident(self, incident: str, reason: str) -> Answer:
        """Close it by hand."""
        return self._post(f"/v1/incidents/{part(incident)}/close", reason=reason)

    def list_plans(self, *, state: str | None = None, limit: int | None = None, cursor: str | None = None) -> Answer:
        """Plans, newest first."""
        return self._get("/v1/plans", state=state, limit=limit, cursor=cursor)

    def get_plan(self, plan: str) -> Answer:
        """One plan with all its candidates."""
        return self._get(f"/v1/plans/{part(plan)}")

    def approve_plan(self, plan: str, *, reason: str | None = None) -> Answer:
        """Let it be carried out."""
        return self._post(f"/v1/plans/{part(plan)}/approve", reason=reason)

    def reject_plan(self, plan: str, reason: str) -> Answer:
        """Forbid it."""
        return self._post(f"/v1/plans/{part(plan)}/reject", reason=reason)

    def list_actions(
        self,
        *,
        incident: str | None = None,
        state: str | None = None,
        kind: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Answer:
        """Actions, newest first."""
        return self._get("/v1/actions", incident=incident, state=state, kind=kind, limit=limit, cursor=cursor)

    def get_action(self, action: str) -> Answer:
        """One action as it stands."""
        return self._get(f"/v1/actions/{part(action)}")

    def list_mitigations(self, *, limit: int | None = None, cursor: str | None = None) -> Answer:
        """Mitigations in force and until when each holds."""
        return self._get("/v1/mitigations", limit=limit, cursor=cursor)


class ControlOperations(Calls[Answer]):
    """What the controller may do."""

    def list_policies(self, *, limit: int | None = None, cursor: str | None = None) -> Answer:
        """Autonomy of every action kind."""
        return self._get("/v1/policies/autonomy", limit=limit, cursor=cursor)

    def set_policy(self, kind: str, level: str) -> Answer:
        """level: observe, advise, approve or act."""
        return self._put(f"/v1/policies/autonomy/{part(kind)}", level=level)

    def list_windows(self, *, limit: int | None = None, cursor: str | None = None) -> Answer:
        """Maintenance windows."""
        return self._get("/v1/maintenance-windows", limit=limit, cursor=cursor)

    def add_window(self, component: str, duration_s: float, *, reason: str, start_in_s: float | None = None) -> Answer:
        """Expect trouble of KIND/NAME for `duration_s` seconds, from `start_in_s` seconds on."""
        return self._post(
            "/v1/maintenance-windows",
            component=component,
            start_in_s=start_in_s,
            duration_s=duration_s,
            reason=reason,
        )

    def remove_window(self, window: str) -> Answer:
        """Expect no trouble any more."""
        return self._delete(f"/v1/maintenance-windows/{part(window)}")

    def get_control(self) -> Answer:
        """Is it paused, is the kill switch on?"""
        return self._get("/v1/control")

    def set_control(self, *, reason: str, paused: bool | None = None, kill_switch: bool | None = None) -> Answer:
        """Pause it or let it go on; kill_switch: start no new action."""
        return self._put("/v1/control", paused=paused, kill_switch=kill_switch, reason=reason)


class HistoryOperations(Calls[Answer]):
    """What it did, what it says to others, and the laboratory."""

    def list_iterations(
        self, *, at: float | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Answer:
        """Passes of the loop, newest first."""
        return self._get("/v1/iterations", at=at, limit=limit, cursor=cursor)

    def get_iteration(self, ident: int | str) -> Answer:
        """Everything that one pass saw, thought and did. ident: EPOCH-NUMBER, or NUMBER for the newest of it."""
        return self._get(f"/v1/iterations/{part(ident)}")

    def list_alerts(self, *, source: str | None = None, limit: int | None = None, cursor: str | None = None) -> Answer:
        """Alerts in Alertmanager's shape. source: own (sent out), external (sent in) or all."""
        return self._get("/v1/alerts", source=source, limit=limit, cursor=cursor)

    def receive_alerts(self, alerts: Sequence[Mapping[str, object]], *, version: str = "4") -> Answer:
        """Hand in alerts of others as Alertmanager's webhook does (`alerts` and `version` of its document)."""
        return self._post("/v1/alerts", alerts=list(alerts), version=version)

    def list_faults(self, *, limit: int | None = None, cursor: str | None = None) -> Answer:
        """Faults of the lab that are active."""
        return self._get("/v1/lab/faults", limit=limit, cursor=cursor)

    def inject_fault(
        self, kind: str, target: str, for_s: float | None = None, parameters: Mapping[str, float] | None = None
    ) -> Answer:
        """Break something in the lab for `for_s` seconds."""
        return self._post("/v1/lab/faults", kind=kind, target=target, for_s=for_s, parameters=parameters)

    def end_fault(self, fault: str) -> Answer:
        """Mend it now."""
        return self._delete(f"/v1/lab/faults/{part(fault)}")

    def autonomic_loop(
        self,
        monitoring_data: Mapping[str, float | None],
        available_actions: Sequence[str],
        *,
        system: str | None = None,
    ) -> Answer:
        """One turn of the library's loop over readings of your own; None was not measured. system: whose they are."""
        body = {"monitoring_data": monitoring_data, "available_actions": list(available_actions), "system": system}
        return self._send(Request("POST", "/v1/autonomic/loop", body=body))

    def ml_stats(self, *, system: str | None = None) -> Answer:
        """What the library's loop has learned of a system."""
        return self._get("/v1/ml/stats", system=system)


class KnowledgeOperations(Calls[Answer]):
    """What is known: runbooks, past incidents, notes and pages."""

    def search_knowledge(
        self,
        q: str,
        *,
        k: int | None = None,
        threshold: float | None = None,
        kind: str | None = None,
        language: str | None = None,
        tag: str | None = None,
    ) -> Answer:
        """The passages that fit a query, best first, at least as similar as `threshold` (0 to 1)."""
        query = {"q": q, "k": k, "threshold": threshold, "kind": kind, "language": language, "tag": tag}
        return self._get("/v1/knowledge/search", **query)

    def list_passages(
        self,
        *,
        kind: str | None = None,
        language: str | None = None,
        tag: str | None = None,
        source: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Answer:
        """Passages by id, and how the knowledge base stands."""
        query = {"kind": kind, "language": language, "tag": tag, "source": source, "limit": limit, "cursor": cursor}
        return self._get("/v1/knowledge/passages", **query)

    def get_passage(self, passage: str) -> Answer:
        """One passage with its text; of a document the first."""
        return self._get(f"/v1/knowledge/passages/{part(passage)}")

    def add_knowledge(
        self, text: str, *, title: str | None = None, language: str | None = None, tags: Sequence[str] | None = None
    ) -> Answer:
        """Keep a note."""
        return self._post("/v1/knowledge", text=text, title=title, language=language, tags=tags)

    def put_page(self, page: str, text: str) -> Answer:
        """Keep a copy of a file, FOLDER/PATH, in place of the one of this name."""
        return self._put(f"/v1/knowledge/pages/{part(page)}", text=text)

    def forget_knowledge(self, passage: str) -> Answer:
        """Forget the note or page that a passage is of."""
        return self._delete(f"/v1/knowledge/passages/{part(passage)}")

    def give_feedback(
        self, passage: str, *, helped: bool, incident: str | None = None, query: str | None = None
    ) -> Answer:
        """Say whether a passage helped with an incident, or with a question."""
        return self._post("/v1/knowledge/feedback", passage=passage, helped=helped, incident=incident, query=query)

    def learn_knowledge(self) -> Answer:
        """Learn from all feedback how to search; may take a minute."""
        return self._post("/v1/knowledge/learn")


class Operations(
    MeshOperations[Answer],
    IncidentOperations[Answer],
    ControlOperations[Answer],
    HistoryOperations[Answer],
    KnowledgeOperations[Answer],
):
    """All of them."""
