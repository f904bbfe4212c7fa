"""How an instance of postgresql is configured: one server with TLS, databases for shared instances, backups."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from freehold.promises import Command
from freehold.release import (
    Certificate,
    Context,
    File,
    Job,
    Network,
    Plan,
    Process,
    Release,
    Secret,
    Shared,
    SharedType,
    Task,
    Type,
)

PORT = 5432
DATA, BACKUPS = "srv/postgresql", "srv/backup"
Label = Annotated[str, Meta(extra_json_schema={"pattern": "^([A-Za-z0-9][A-Za-z0-9._-]{0,62})?$"})]


class Parameters(msgspec.Struct, forbid_unknown_fields=True):
    """What a customer may choose."""

    max_connections: Annotated[
        int, Meta(ge=10, le=2000, title="Connections", description="How many may be open at once.")
    ] = 100
    shared_buffers_mb: Annotated[
        int, Meta(ge=16, le=65536, title="Cache", description="Megabytes of memory for data read often.")
    ] = 64
    backup_time: Annotated[
        str,
        Meta(
            title="Backup",
            description="Daily at this time, UTC.",
            extra_json_schema={"pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"},
        ),
    ] = "02:30"
    backups_kept: Annotated[
        int, Meta(ge=1, le=365, title="Backups kept", description="Daily backups older than so many days are removed.")
    ] = 14


class Publication(msgspec.Struct):
    """What a customer gets back."""

    host: Annotated[str, Meta(title="Host")]
    port: Annotated[int, Meta(title="Port")]
    superuser: Annotated[str, Meta(title="Superuser")]
    password: Annotated[Secret, Meta(title="Password", description="Of the superuser.")]
    certificate: Annotated[str, Meta(title="Certificate", description="PEM; trust this one only.")]


class DatabaseParameters(msgspec.Struct, forbid_unknown_fields=True):
    """What the customer of a database may choose."""

    connections: Annotated[int, Meta(ge=1, le=1000, title="Connections")] = 20
    backup: Annotated[
        Label,
        Meta(title="Backup now", description="A label: when it changes, a backup of this name is made."),
    ] = ""
    restore: Annotated[
        Label,
        Meta(
            title="Restore",
            description="A backup's label, or a day like 2026-11-23: when it changes, the database becomes what that "
            "backup holds.",
        ),
    ] = ""


class Database(msgspec.Struct):
    """What the customer of a database gets back."""

    url: Annotated[Secret, Meta(title="URL", description="With user and password.")]
    host: Annotated[str, Meta(title="Host")]
    port: Annotated[int, Meta(title="Port")]
    database: Annotated[str, Meta(title="Database")]
    user: Annotated[str, Meta(title="User")]
    password: Annotated[Secret, Meta(title="Password")]
    certificate: Annotated[str, Meta(title="Certificate", description="PEM; trust this one only.")]


def plan(parameters: Parameters, context: Context) -> Plan:
    """A server on the partition's own address, a task that keeps its databases, a daily backup."""
    bin, tool = context.software / "bin", context.release / "postgres.sh"
    certificate = Certificate("server", (context.address,))
    password = context.secret("superuser", survives_node=True)
    secret = File("etc/superuser", password)
    passwords = File("etc/pgpass", f"*:*:*:postgres:{password}\n")
    access = File("etc/pg_hba.conf", "hostssl all all all scram-sha-256\n")
    settings = File("etc/postgresql.conf", _settings(parameters, context, certificate))
    roles = File("etc/databases.sql", _roles(context.shared))
    labels = File("etc/databases", "".join(_labels(shared) for shared in context.shared))
    environment = {
        "BIN": str(bin),
        "DATA": str(context.partition / DATA),
        "BACKUPS": str(context.partition / BACKUPS),
        "PGHOST": context.address,
        "PGPORT": str(PORT),
        "PGUSER": "postgres",
        "PGDATABASE": "postgres",
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": str(context.partition / certificate.path),
        "PGPASSFILE": str(context.partition / passwords.path),
    }

    def run(verb: str, *arguments: str | Path) -> tuple[str | Path, ...]:
        return ("/bin/sh", tool, verb, *arguments)

    initialise = Task("initialise", run("initialise", context.partition / secret.path), environment)
    server = Process(
        "postgresql",
        (bin / "postgres", "-D", context.partition / DATA, f"--config-file={context.partition / settings.path}"),
        reads=(settings, access, certificate),
        after=(initialise,),
        # TERM would wait for its clients to leave.
        stop_signal="INT",
    )
    databases = Task(
        "databases",
        run("databases", context.partition / roles.path, context.partition / labels.path),
        environment,
        reads=(roles, labels, passwords),
        after=(initialise,),
    )
    backup = Job("backup", run("backup", str(parameters.backups_kept)), environment, daily=parameters.backup_time)
    check = File("etc/check", "".join(f"export {name}='{value}'\n" for name, value in sorted(environment.items())))
    return Plan(
        processes=(server,),
        tasks=(initialise, databases),
        jobs=(backup,),
        files=(secret, passwords, access, settings, roles, labels, check),
        directories=(BACKUPS,),
        certificates=(certificate,),
        network=Network(listen=(PORT,), connect=()),
        promises={"answers": Command(tuple(map(str, run("answers", context.partition / check.path))))},
        publication=Publication(context.address, PORT, "postgres", password, context.pem(certificate)),
        shared={shared.instance: _publish(shared, context, certificate) for shared in context.shared},
    )


def _settings(parameters: Parameters, context: Context, certificate: Certificate) -> str:
    partition = context.partition
    settings = {
        "listen_addresses": context.address,
        "port": PORT,
        "unix_socket_directories": "",
        "hba_file": partition / "etc/pg_hba.conf",
        "ssl": "on",
        "ssl_cert_file": partition / certificate.path,
        "ssl_key_file": partition / certificate.key,
        "ssl_min_protocol_version": "TLSv1.3",
        "password_encryption": "scram-sha-256",
        "max_connections": parameters.max_connections,
        "shared_buffers": f"{parameters.shared_buffers_mb}MB",
        "dynamic_shared_memory_type": "posix",
        # A failed statement of ours may hold a password.
        "log_min_error_statement": "panic",
    }
    return "".join(f"{name} = '{value}'\n" for name, value in settings.items())


def name_of(shared: Shared) -> str:
    """Return the name of the database, and of the user, of a shared instance."""
    return shared.instance.replace("-", "_")


def _roles(guests: tuple[Shared, ...]) -> str:
    """Return what makes the server have exactly these users and databases; repeated, it changes nothing.

    Set by set, so that a thousand that are as they should be cost no more than one. A user's comment holds a
    digest of the password, so that it is set only when it is another one.
    """
    rows = ",\n".join(
        f"('{name_of(one)}', '{one.secret('password')}', {one.state == 'started'}, {one.parameters.connections})"
        for one in guests
    )
    return f"""\
SET client_min_messages = warning;
CREATE TEMPORARY TABLE wanted (name text, password text, login boolean, connections int);
{f"INSERT INTO wanted VALUES{chr(10)}{rows};" if guests else ""}
SELECT format('CREATE ROLE %I', name) FROM wanted WHERE name NOT IN (SELECT rolname FROM pg_roles)
\\gexec
SELECT format('ALTER ROLE %I PASSWORD %L', name, password),
       format('COMMENT ON ROLE %I IS %L', name, sha256(password::bytea)::text)
FROM wanted JOIN pg_roles ON rolname = name
WHERE shobj_description(oid, 'pg_authid') IS DISTINCT FROM sha256(password::bytea)::text
\\gexec
SELECT format('ALTER ROLE %I %s CONNECTION LIMIT %s',
              name, CASE WHEN login THEN 'LOGIN' ELSE 'NOLOGIN' END, connections)
FROM wanted JOIN pg_roles ON rolname = name WHERE (rolcanlogin, rolconnlimit) IS DISTINCT FROM (login, connections)
\\gexec
SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN wanted ON usename = name WHERE NOT login \\g /dev/null
SELECT format('CREATE DATABASE %I OWNER %I', name, name), format('REVOKE ALL ON DATABASE %I FROM PUBLIC', name)
FROM wanted WHERE name NOT IN (SELECT datname FROM pg_database)
\\gexec
SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database
WHERE datname ~ '^inst_' AND datname NOT IN (SELECT name FROM wanted)
\\gexec
SELECT format('DROP ROLE %I', rolname) FROM pg_roles
WHERE rolname ~ '^inst_' AND rolname NOT IN (SELECT name FROM wanted)
\\gexec
"""


def _labels(shared: Shared) -> str:
    given = shared.parameters
    return f"{name_of(shared)} {given.backup or '-'} {given.restore or '-'}\n"


def _publish(shared: Shared, context: Context, certificate: Certificate) -> Database:
    name, password = name_of(shared), shared.secret("password")
    return Database(
        url=f"postgresql://{name}:{password}@{context.address}:{PORT}/{name}?sslmode=verify-full",
        host=context.address,
        port=PORT,
        database=name,
        user=name,
        password=password,
        certificate=context.pem(certificate),
    )


release = Release(
    name="postgresql",
    version="15.1",
    description="A PostgreSQL 15 server, and databases on one that is shared.",
    types={
        "default": Type(
            title="Server",
            description="A server of your own, with TLS and daily backups. It serves databases as shared instances.",
            parameters=Parameters,
            publication=Publication,
            plan=plan,
            weight=2,
        ),
        "database": SharedType(
            title="Database",
            description="A database with a user of its own, on a server that is there.",
            parameters=DatabaseParameters,
            publication=Database,
        ),
    },
)
