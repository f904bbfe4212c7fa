"""How an instance of myservice is configured."""

import html
from typing import Annotated

import msgspec
from msgspec import Meta

from freehold.promises import Http
from freehold.release import Context, File, Plan, Process, Release, Type

PORT = 8080


class Parameters(msgspec.Struct, forbid_unknown_fields=True):
    """What a customer may choose."""

    greeting: Annotated[str, Meta(min_length=1, title="Greeting", description="What the page says.")] = "hello"


class Publication(msgspec.Struct):
    """What a customer gets back."""

    url: Annotated[str, Meta(title="Address", description="The page's address.")]


def plan(parameters: Parameters, context: Context) -> Plan:
    """A page, and a server that shows it."""
    url = f"http://{context.address}:{PORT}/"
    greeting = html.escape(parameters.greeting)
    page = File("srv/page/index.html", f"<!doctype html><title>myservice</title><h1>{greeting}</h1>\n")
    python, folder = context.software / "bin" / "python", context.partition / "srv/page"
    server = Process(
        "server", (python, "-m", "http.server", str(PORT), "--bind", context.address, "--directory", folder)
    )
    return Plan(
        processes=(server,),
        files=(page,),
        promises={"page": Http(url, contains=greeting)},
        publication=Publication(url),
    )


release = Release(
    name="myservice",
    version="0.1",
    description="A page that greets.",
    types={"default": Type("Page", Parameters, Publication, plan)},
)
