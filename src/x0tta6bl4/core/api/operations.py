"""All operations of the API, and the document that describes them."""

from __future__ import annotations

from fastapi import FastAPI

from x0tta6bl4.core.api import (
    actions,
    alerts,
    autonomic,
    control,
    events,
    explanation,
    health,
    incidents,
    inventory,
    iterations,
    knowledge,
    knowledge_lessons,
    knowledge_writes,
    lab,
    mesh,
    paths,
    plans,
    schema,
    windows,
)
from x0tta6bl4.core.state import State


def install(app: FastAPI, state: State) -> None:
    """Add every operation to `app`, and the OpenAPI document that describes them."""
    for resource in (
        mesh,
        health,
        paths,
        inventory,
        incidents,
        explanation,
        plans,
        actions,
        control,
        windows,
        iterations,
        events,
        alerts,
        knowledge,
        knowledge_writes,
        knowledge_lessons,
        lab,
        autonomic,
        schema,
    ):
        app.router.routes.extend(resource.routes(state).routes)  # flat: matching nested routers costs every request
    schema.describe(app)
