"""How an instance of hello is configured: one web server, one configuration file, one promise."""

import html
import json
from typing import Annotated

import msgspec
from msgspec import Meta

from freehold.promises import Http
from freehold.release import Context, File, Network, Plan, Process, Release, Type

PORT = 8080


class Parameters(msgspec.Struct, forbid_unknown_fields=True):
    """What a customer may choose."""

    greeting: Annotated[
        str, Meta(min_length=1, max_length=200, title="Greeting", description="What the page says.")
    ] = "hello"


class Publication(msgspec.Struct):
    """What a customer gets back."""

    url: Annotated[str, Meta(title="Address", description="The page's address.")]


def plan(parameters: Parameters, context: Context) -> Plan:
    """A web server on the partition's own address that shows its parameters."""
    url = f"http://{context.address}:{PORT}/"
    settings = {
        "address": context.address,
        "port": PORT,
        "title": context.title,
        "parameters": msgspec.to_builtins(parameters),
    }
    configuration = File("etc/hello.json", json.dumps(settings, indent=1, ensure_ascii=False))
    server = Process(
        "hello",
        (
            context.software / "bin" / "python",
            context.release / "hello.py",
            context.partition / configuration.path,
        ),
        reads=(configuration,),
    )
    return Plan(
        processes=(server,),
        files=(configuration,),
        network=Network(listen=(PORT,), connect=()),
        promises={"page": Http(url, contains=html.escape(parameters.greeting))},
        publication=Publication(url=url),
    )


release = Release(
    name="hello",
    version="1.0",
    description="A small web page that shows its parameters.",
    types={
        "default": Type(
            title="Page",
            description="One page, served over HTTP.",
            parameters=Parameters,
            publication=Publication,
            plan=plan,
            holds_data=False,
        )
    },
)
