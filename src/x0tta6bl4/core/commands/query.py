"""`x0t status`, `x0t incidents`, `x0t explain`: what the running controller knows."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from x0tta6bl4.core.commands import client
from x0tta6bl4.core.commands.output import JsonFlag, console, number, percent, print_json, table
from x0tta6bl4.core.settings import load


def status(as_json: JsonFlag = False) -> None:
    """Show the mesh at a glance: nodes, links that are not well, open incidents, latent risks."""
    told = client.call(load(), "GET", "/v1/mesh/status")
    if as_json:
        print_json(told)
        return
    out = console()
    nodes = ", ".join(f"{count} {state}" for state, count in told["nodes"].items()) or "none known"
    out.print(f"{told['health']}  {told['backend']} {told['algorithm']}  nodes: {nodes}", style="bold")
    ill = [link for link in told["links"] if link["state"] != "well"]
    if ill:
        links = table("links not well", "link", "state", "loss", "rtt")
        for link in ill:
            name = f"{link['source']} > {link['target']} ({link['interface']})"
            links.add_row(name, link["state"], percent(link["loss_ratio"]), number(link["rtt_ms"], "ms"))
        out.print(links)
    if told["incidents_open"]:
        out.print(_incident_table("open incidents", told["incidents_open"]))
    for risk in told["risks"]:
        out.print(f"risk {risk['component']}: {risk['title']}. {risk['remedy']}", style="yellow")
    for sensor, why in told["sensor_errors"].items():
        out.print(f"blind {sensor}: {why}", style="red")


def incidents(
    state: Annotated[str, typer.Option(help="all, open, mitigated or closed.")] = "all",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")] = 20,
    as_json: JsonFlag = False,
) -> None:
    """List incidents, newest first."""
    told = client.call(load(), "GET", "/v1/incidents", state=state, limit=limit)
    if as_json:
        print_json(told)
        return
    if not told["incidents"]:
        console().print("no incidents")
        return
    console().print(_incident_table("", told["incidents"]))


def explain(
    incident: Annotated[str, typer.Argument(help="Id of an incident, as `x0t incidents` prints it.")],
    as_json: JsonFlag = False,
) -> None:
    """Tell one incident from its evidence to its proof."""
    told = client.call(load(), "GET", f"/v1/incidents/{client.part(incident)}")
    if as_json:
        print_json(told)
        return
    _explain(told)


def _incident_table(title: str, rows: list[dict[str, Any]]) -> Any:
    made = table(title, "id", "state", "cause", "component", "sure", "age", "open for", "action", "")
    for row in rows:
        made.add_row(
            row["id"],
            row["state"],
            row["cause"],
            row["component"],
            percent(row["confidence"]),
            number(row["age_s"], "s"),
            number(row["open_s"], "s"),
            row["action"] or "-",
            row["action_state"] or "",
        )
    return made


def _explain(told: dict[str, Any]) -> None:
    out = console()
    sure = percent(told["confidence"])
    out.print(f"{told['cause']} at {told['component']}  ({told['state']}, {sure} sure)", style="bold")
    out.print(f"found {number(told['detect_s'], 's', 2)} after the first sign of it")
    if told["evidence"]["detail"]:
        out.print(told["evidence"]["detail"])
    evidence = table("evidence", "symptom", "component", "value", "threshold", "for")
    for symptom in told["evidence"]["symptoms"]:
        value, threshold = number(symptom["value"], digits=2), number(symptom["threshold"], digits=2)
        age = number(symptom["since_age_s"], "s")
        evidence.add_row(symptom["code"], symptom["component"], f"{symptom['metric']} {value}", threshold, age)
    out.print(evidence)
    for other in told["causes"][1:]:
        out.print(f"or: {other['code']} at {other['component']} ({percent(other['confidence'])})")
    for plan in told["plans"]:
        considered = table("considered", "action", "target", "score", "risk", "worked", "refused by")
        for one in plan["candidates"]:
            worked = f"{percent(one['success_rate'])} of {one['trials']}"
            refusal = f"{one['refused_by']} {one['reason']}".strip()
            target = one["action"]["target"]
            score, risk = number(one["score"], digits=2), number(one["risk"], digits=2)
            considered.add_row(one["action"]["kind"], target, score, risk, worked, refusal)
        out.print(considered)
    line = table("timeline", "ago", "what", "where", "details")
    for event in told["timeline"]:
        data = event["data"]
        words = data.get("detail") or data.get("kind") or data.get("code") or ""
        line.add_row(number(event["age_s"], "s"), event["type"], data.get("target") or event["component"], str(words))
    out.print(line)
