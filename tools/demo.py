"""The demo cloud of `./dev up`: a Master, a Node, an operator, a customer, one service. All of it in `var/demo`.

The Master and the agent are kept alive by a supervisor like the one of partitions, so that killing either of
them heals without a human.
"""

import argparse
import hashlib
import http
import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from commerce import open_shop

from freehold.client import Client, ClientError, Refused, load_credentials, save_credentials
from freehold.client.messages import Release
from freehold.node import settings as node_settings
from freehold.node.software.build import PASSED
from freehold.node.supervisor.client import Process, Supervisor
from freehold.protocol import archive
from freehold.protocol.descriptor import DESCRIPTOR

REPOSITORY = Path(__file__).resolve().parent.parent


def place() -> Path:
    """Return where the demo lives: in the repository, unless partitions' users could not pass there."""
    if os.geteuid() == 0 and not all(parent.stat().st_mode & 0o001 for parent in (REPOSITORY, *REPOSITORY.parents)):
        return Path("/var/lib") / f"freehold-demo-{hashlib.sha256(str(REPOSITORY).encode()).hexdigest()[:12]}"
    return REPOSITORY / "var" / "demo"


DEMO = place()
MASTER, NODE, KEEPER = DEMO / "master", DEMO / "node", DEMO / "run"
CUSTOMER, OPERATOR = DEMO / "customer.json", DEMO / "operator.json"
FREEHOLD = [sys.executable, "-m", "freehold.cli"]
PARTITIONS = 24
EVERYTHING = ["read", "order", "operate", "sell", "account", "audit"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev")
    commands = parser.add_subparsers(dest="command", required=True)
    up_parser = commands.add_parser("up")
    up_parser.add_argument("--json", action="store_true")
    up_parser.add_argument("--unprivileged", action="store_true")
    down_parser = commands.add_parser("down")
    down_parser.add_argument("--forget", action="store_true")
    commands.add_parser("status")
    for name in ("freehold", "operator"):
        commands.add_parser(name, add_help=False)
    options, rest = parser.parse_known_args()
    try:
        if options.command == "up":
            return up(options)
        if options.command == "down":
            return down(forget=options.forget)
        if options.command == "status":
            return status()
        return command_line(options.command, rest)
    except ClientError as error:
        print(f"./dev: {error}", file=sys.stderr)
        return 1


def up(options: argparse.Namespace) -> int:
    """Start everything that is not there yet, and say where it is."""
    DEMO.mkdir(parents=True, exist_ok=True)
    DEMO.chmod(0o711)
    told = remember()
    run(
        "master",
        "init",
        "--root",
        MASTER,
        "--owner",
        "operator@demo.example",
        given=told["operator_password"],
    )
    run(
        "master",
        "person",
        "--root",
        MASTER,
        "operator@demo.example",
        "--project",
        "provider",
        "--role",
        "owner",
    )
    if not CUSTOMER.exists():
        run("master", "project", "--root", MASTER, "shopkeeper", allowed=(0, 1))
        run("master", "project", "--root", MASTER, "company", allowed=(0, 1))
        for who, project in (("customer", "shopkeeper"), ("buyer", "company")):
            run(
                *("master", "person", "--root", MASTER, f"{who}@demo.example", "--project", project),
                given=told[f"{who}_password"],
            )
    keep(told, with_node=(NODE / "identity" / "certificate.pem").exists())
    url = f"https://127.0.0.1:{told['port']}"
    operator = log_in(url, "operator@demo.example", told["operator_password"], OPERATOR, EVERYTHING)
    customer = log_in(url, "customer@demo.example", told["customer_password"], CUSTOMER, ["read", "order"])
    if not (NODE / "identity" / "certificate.pem").exists():
        make_node(operator, url, unprivileged=options.unprivileged or not partitions_can_reach())
    keep(told, with_node=True)
    wait_for_partitions(operator)
    for product in ("hello", "postgresql", "website"):
        release = publish(operator, REPOSITORY / "software" / product)
        operator.supply(release.product, release=release.version)
    open_shop(operator, free="shopkeeper", paying="company")
    customer.request("demo", product="hello", parameters={"greeting": "Hello from Freehold"}, state="started")
    if postgresql_may_run():
        customer.request("website", product="website", parameters={"title": "A website"}, state="started")
        customer.wait("website", seconds=400)
    customer.wait("demo", seconds=180)
    tell(told, url, customer, as_json=options.json)
    return 0


def publish(operator: Client, folder: Path) -> Release:
    """Publish a release of ours; one that changed since it was published, as a version of its own."""
    packed = archive.pack(folder)
    try:
        return operator.publish(packed)
    except Refused as refusal:
        if refusal.problem.status != http.HTTPStatus.CONFLICT:
            raise
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(shutil.copytree(folder, Path(temporary) / folder.name))
        version = json.loads((copy / DESCRIPTOR).read_text())["version"]
        for name in (DESCRIPTOR, "instance.py"):
            text = (copy / name).read_text()
            (copy / name).write_text(text.replace(f'"{version}"', f'"{version}.{archive.digest(packed)[:8]}"', 1))
        return operator.publish(archive.pack(copy))


def down(*, forget: bool) -> int:
    """Stop everything; with `forget` remove it, users and addresses of the partitions included."""
    if (NODE / "node.json").exists():
        # Also one that was killed: what it kept lives on.
        keeper = Supervisor(KEEPER)
        keeper.ensure()
        keeper.apply("demo", [])
        run("node", "stop", "--yes", "--root", NODE)
    Supervisor(KEEPER).shutdown()
    if forget:
        if (NODE / "node.json").exists():
            forget_places()
        shutil.rmtree(DEMO, ignore_errors=True)
    print("The demo is forgotten." if forget else "The demo is stopped; ./dev up starts it again as it was.")
    return 0


def status() -> int:
    """Say what runs; exit status 1 when something does not."""
    keeper = Supervisor(KEEPER)
    if not answers(keeper):
        print("The demo does not run. Start it: ./dev up")
        return 1
    for process in keeper.status()["demo"].processes:
        print(f"{process.name}: {process.state}, pid {process.pid}, restarted {process.restarts} times")
    run("node", "status", "--root", NODE, quiet=False)
    return command_line("freehold", ["list"])


def command_line(who: str, arguments: list[str]) -> int:
    """Run `freehold` as the customer or the operator; commands of the machine mean the demo's Master and Node."""
    credentials = CUSTOMER if who == "freehold" else OPERATOR
    environment = {
        **os.environ,
        "FREEHOLD_CREDENTIALS": str(credentials),
        "FREEHOLD_NODE_ROOT": str(NODE),
        "FREEHOLD_MASTER_ROOT": str(MASTER),
    }
    os.execve(FREEHOLD[0], [*FREEHOLD, *arguments], environment)


def remember() -> dict[str, Any]:
    """Return the demo's port and passwords, chosen once."""
    path = DEMO / "demo.json"
    if path.exists():
        told: dict[str, Any] = json.loads(path.read_text())
        return told
    told = {
        "port": free_port(8443),
        "operator_password": secrets.token_urlsafe(12),
        "customer_password": secrets.token_urlsafe(12),
        "buyer_password": secrets.token_urlsafe(12),
    }
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        json.dump(told, file)
    return told


def free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(sock.getsockname()[1])
    raise SystemExit("./dev: no port is free")


def keep(told: dict[str, Any], *, with_node: bool) -> None:
    """Have the keeper run the Master, and the agent once there is one."""
    keeper = Supervisor(KEEPER)
    keeper.ensure()
    environment = {name: value for name, value in os.environ.items() if name.startswith(PASSED)}
    environment |= {"PATH": os.environ["PATH"], "HOME": str(DEMO), "LANG": "C.UTF-8"}
    commands = {"master": ["master", "serve", "--root", str(MASTER), "--port", str(told["port"])]}
    if with_node:
        commands["node"] = ["node", "run", "--root", str(NODE)]
    keeper.apply(
        "demo",
        [
            Process(
                name=name,
                argv=[*FREEHOLD, *arguments],
                cwd=str(DEMO),
                log=str(DEMO / f"{name}.log"),
                digest=" ".join(arguments),
                environment=environment,
                stop_timeout=15,
            )
            for name, arguments in commands.items()
        ],
    )


def log_in(url: str, email: str, password: str, path: Path, scopes: list[str]) -> Client:
    """Return a client for one of the demo's people, with a token that is kept."""
    authority = (MASTER / "authority" / "authority.pem").read_text()
    deadline = time.monotonic() + 60
    while True:
        try:
            if path.exists():
                client = Client(load_credentials(path))
                client.releases()
                return client
            client = Client.log_in(url, email, password, scopes=scopes, authority=authority)
            save_credentials(client.credentials, path)
            return client
        except ClientError as error:
            if error.exit_status == 1:
                path.unlink(missing_ok=True)
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def make_node(operator: Client, url: str, *, unprivileged: bool) -> None:
    """Prepare and enrol this machine."""
    if unprivileged and os.geteuid() == 0:
        print("The node works without users of its own here.", file=sys.stderr)
    if not operator.sites():
        operator.add_site("home", region="europe")
    extra = ["--unprivileged"] if unprivileged else []
    run("node", "prepare", "--root", NODE, "--partitions", PARTITIONS, *extra)
    token = operator.enrol_token("home")
    run(
        "node",
        "enrol",
        "--root",
        NODE,
        "--master",
        url,
        "--token-file",
        "-",
        "--title",
        "demo-node",
        given=token,
    )


def partitions_can_reach() -> bool:
    """Return whether other Unix users can run this environment: partitions will."""
    if os.geteuid() != 0:
        return False
    probe = [sys.executable, "-c", "import freehold.release, zc.buildout"]
    done = subprocess.run(probe, cwd="/", user=65534, group=65534, extra_groups=[], capture_output=True, check=False)
    return done.returncode == 0


def postgresql_may_run() -> bool:
    """Return whether partitions are not root's own: PostgreSQL refuses to run as root, and so would a website."""
    return os.geteuid() != 0 or not node_settings.load(NODE).unprivileged


def wait_for_partitions(operator: Client) -> None:
    deadline = time.monotonic() + 60
    while not any(node.partitions for node in operator.nodes()):
        if time.monotonic() > deadline:
            raise SystemExit(f"./dev: the node does not report; see {DEMO / 'node.log'}")
        time.sleep(0.05)


def tell(told: dict[str, Any], url: str, customer: Client, *, as_json: bool) -> None:
    services = [
        {"title": one.title, "state": one.state, "promises_kept": one.promises_kept, **one.publication}
        for one in customer.instances()
        if "/" not in one.title
    ]
    login = {"email": "customer@demo.example", "password": told["customer_password"]}
    operator = {"email": "operator@demo.example", "password": told["operator_password"]}
    buyer = {"email": "buyer@demo.example", "password": told["buyer_password"]}
    found = {
        "master_url": url,
        "panel_url": f"{url}/",
        "login": login,
        "operator_login": operator,
        "buyer_login": buyer,
        "prices_url": f"{url}/prices",
        "authority": str(MASTER / "authority" / "authority.pem"),
        "services": services,
    }
    if as_json:
        print(json.dumps(found, indent=2))
        return
    print(f"Master and panel   {url}/  (its authority: {found['authority']})")
    print(f"Log in as          {login['email']}  password {login['password']}")
    print(f"or, as operator    {operator['email']}  password {operator['password']}")
    print(f"or, who pays       {buyer['email']}  password {buyer['password']}")
    print(f"Prices             {url}/prices")
    for service in services:
        print(f"Service            {service['title']}: {service['state']}  {service.get('url', '')}")
    print('Order another      ./dev freehold request shop hello --parameters \'{"greeting": "bonjour"}\' --wait 60')


def answers(supervisor: Supervisor) -> bool:
    try:
        supervisor.status()
    except Exception:
        return False
    return True


def forget_places() -> None:
    settings = node_settings.load(NODE)
    if settings.unprivileged:
        return
    for user in pwd.getpwall():
        if user.pw_name.startswith(f"fh-{settings.tag}-"):
            subprocess.run(["userdel", user.pw_name], capture_output=True, check=False)
    for slot in settings.slots:
        address = ["ip", "address", "del", f"{slot.address}/32", "dev", settings.interface]
        subprocess.run(address, capture_output=True, check=False)


def run(*arguments: object, given: str = "", allowed: tuple[int, ...] = (0,), quiet: bool = True) -> None:
    """Run a `freehold` command, giving it a secret on standard input if there is one."""
    command = [*FREEHOLD, *map(str, arguments)]
    if given and "--token-file" not in command:
        command += ["--password-file", "-"]
    done = subprocess.run(command, input=given, text=True, capture_output=quiet, check=False)
    if done.returncode not in allowed:
        raise SystemExit(f"./dev: freehold {' '.join(map(str, arguments[:2]))} failed: {done.stderr}")


if __name__ == "__main__":
    sys.exit(main())
