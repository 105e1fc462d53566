"""`x0t context`: several controllers by name. `--context NAME` or X0T_CONTEXT picks one for a single command."""

from __future__ import annotations

import ssl
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import typer

from x0tta6bl4.client.wire import checked
from x0tta6bl4.core import access
from x0tta6bl4.core.commands import contexts
from x0tta6bl4.core.commands.contexts import Context, Contexts
from x0tta6bl4.core.commands.output import JsonFlag, console, done, print_json, table
from x0tta6bl4.core.gate import LOOPBACK
from x0tta6bl4.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Several controllers by name: where they are and which one you mean.")
Name = Annotated[str, typer.Argument(help="Its name.")]
LOCAL = "local"  # stands for the controller of this machine's settings


@app.command(name="list")
def list_contexts(as_json: JsonFlag = False) -> None:
    """List the contexts; `*` marks the one in use."""
    found = contexts.read()
    if as_json:
        rows = [{"name": name, **asdict(one), "current": name == found.current} for name, one in found.known.items()]
        print_json({"items": rows, "file": str(contexts.place())})
        return
    made = table("", "", "name", "url", "token file")
    made.add_row("" if found.current else "*", LOCAL, "(this machine's settings)", "")
    for name, one in sorted(found.known.items()):
        made.add_row("*" if name == found.current else "", name, one.url, one.token_file)
    console().print(made)


@app.command()
def use(
    name: Annotated[str, typer.Argument(help="Its name; `local` is this machine's controller.")],
    as_json: JsonFlag = False,
) -> None:
    """Make it the one that commands talk to."""
    found = contexts.read()
    if name != LOCAL:
        contexts.named(found, name)
    contexts.write(replace(found, current="" if name == LOCAL else name))
    done({"current": name}, f"commands now talk to {name}", as_json=as_json)


@app.command()
def add(
    *,
    name: Name,
    url: Annotated[str, typer.Argument(help="http://HOST:PORT or https://HOST:PORT.")],
    token_file: Annotated[Path, typer.Option("--token-file", help="File of the bearer token, mode 0600.")],
    ca_file: Annotated[
        Path | None, typer.Option("--ca-file", help="PEM file of the authorities to trust for https.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace one of this name.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Add a controller. Only the path of its token is kept, never the token."""
    found = contexts.read()
    if not contexts.NAME.match(name) or name == LOCAL:
        raise ConfigError("name", name, f"1 to 64 of A-Z a-z 0-9 _ . -, and not {LOCAL!r}")
    if name in found.known and not force:
        raise ConfigError("name", name, "a new name, or --force to replace it")
    if ca_file is not None:
        _check_authorities(ca_file)
    access.read(token_file)  # now, while whoever gave it is there to mend it
    authorities = str(ca_file.absolute()) if ca_file else ""
    added = Context(checked(url), str(token_file.absolute()), authorities)
    contexts.write(Contexts(found.current, {**found.known, name: added}))
    if added.url.startswith("http:") and urlsplit(added.url).hostname not in LOOPBACK:
        console(stderr=True).print("warning: over http the token travels in clear text", style="yellow")
    done(
        {"name": name, **asdict(added)}, f"added {name}; `x0t context use {name}` makes it the default", as_json=as_json
    )


def _check_authorities(file: Path) -> None:
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError("--ca-file", str(file), f"a PEM file of certificates ({error})") from None


@app.command()
def remove(name: Name, as_json: JsonFlag = False) -> None:
    """Forget a controller; its token file stays."""
    found = contexts.read()
    contexts.named(found, name)
    rest = {known: one for known, one in found.known.items() if known != name}
    contexts.write(Contexts("" if found.current == name else found.current, rest))
    done({"removed": name}, f"removed {name}", as_json=as_json)
