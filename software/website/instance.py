"""How a website is configured: nginx in front, a small program that reads its database, and what it requests."""

from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from freehold.promises import Http
from freehold.release import Context, File, Network, Plan, Process, Release, Request, RequestType, Type, template

PORT = 8080


class Parameters(msgspec.Struct, forbid_unknown_fields=True):
    """What a customer may choose."""

    title: Annotated[str, Meta(min_length=1, max_length=100, title="Title", description="At the top of each page.")] = (
        "A website"
    )
    text: Annotated[
        str,
        Meta(
            max_length=20000,
            title="Text",
            description="Of the first page; it is kept in the database.",
            extra_json_schema={"textarea": True},
        ),
    ] = "This text was read from the database."
    greetings: Annotated[
        tuple[str, str],
        Meta(title="Greetings", description="Of the two pages below /hello/1/ and /hello/2/."),
    ] = ("hello", "bonjour")


class Publication(msgspec.Struct):
    """What a customer gets back."""

    url: Annotated[str, Meta(title="Address")]


def plan(parameters: Parameters, context: Context) -> Plan:
    """A database and two pages of hello are requested; once they are there the site is served."""
    server = Request("server", product="postgresql", returns=("host",))
    database = Request(
        "database",
        product="postgresql",
        type="database",
        constraints={"instance": server.title},
        returns=("url", "host", "port", "certificate"),
    )
    pages = tuple(
        Request(f"hello-{number}", product="hello", parameters={"greeting": greeting}, returns=("url",))
        for number, greeting in enumerate(parameters.greetings, start=1)
    )
    requests = (server, database, *pages)
    store = context.returned(database)
    proxied = [context.returned(page) for page in pages]
    if store is None or None in proxied:
        return Plan(requests=requests)
    authority = File("etc/database.pem", store["certificate"])
    port = context.port("application")
    settings = {
        "database": store["url"] + f"&sslrootcert={context.partition / authority.path}",
        "title": parameters.title,
        "text": parameters.text,
        "address": context.address,
        "port": port,
    }
    settings_file = File("etc/application.json", msgspec.json.encode(settings))
    application = Process(
        "application",
        (
            context.software / "bin" / "python",
            context.release / "application.py",
            context.partition / settings_file.path,
        ),
        reads=(settings_file, authority),
        ready=port,
    )
    front = File(
        "etc/nginx.conf",
        template(
            context.release / "nginx.conf.jinja",
            partition=context.partition,
            address=context.address,
            port=PORT,
            application=f"{context.address}:{port}",
            pages=[page["url"] for page in proxied if page is not None],
        ),
    )
    nginx = Process(
        "nginx",
        (
            context.software / "bin" / "nginx",
            "-p",
            context.partition,
            "-c",
            context.partition / front.path,
            "-e",
            "stderr",
        ),
        reads=(front,),
        after=(application,),
    )
    reached = [f"[{store['host']}]:{store['port']}" if ":" in store["host"] else f"{store['host']}:{store['port']}"]
    reached += [urlsplit(page["url"]).netloc for page in proxied if page is not None]
    url = f"http://{context.address}:{PORT}/"
    return Plan(
        processes=(application, nginx),
        files=(settings_file, authority, front, File("srv/static/robots.txt", "User-agent: *\nAllow: /\n")),
        directories=("tmp/nginx",),
        requests=requests,
        network=Network(listen=(PORT, port), connect=tuple(reached)),
        promises={
            "page": Http(url, contains=parameters.title),
            "static-files": Http(f"{url}static/robots.txt", contains="User-agent"),
            **{f"hello-{number}": Http(f"{url}hello/{number}/") for number in (1, 2)},
        },
        publication=Publication(url),
    )


release = Release(
    name="website",
    version="1.0",
    description="A website with its own database: static files, a page from the database, two pages of others.",
    types={
        "default": Type(
            title="Website",
            description="nginx in front of a small program, with a PostgreSQL server and two hello pages of its own.",
            parameters=Parameters,
            publication=Publication,
            plan=plan,
            requests=(
                RequestType("postgresql"),
                RequestType("postgresql", "database", shared=True),
                RequestType("hello", number=2),
            ),
        )
    },
)
