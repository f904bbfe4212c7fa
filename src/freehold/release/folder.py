"""A release's folder: loading `instance.py`, generating the descriptor and schemas from its types."""

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from freehold.protocol import UNREADABLE
from freehold.protocol.descriptor import DESCRIPTOR, Descriptor
from freehold.protocol.size import UNNAMED
from freehold.release.errors import ReleaseError, mistake
from freehold.release.plan import Release, SharedType

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def load(folder: Path) -> Release:
    """Return the release that `instance.py` in a folder defines; raise ReleaseError when it does not."""
    path = folder / "instance.py"
    if not path.exists():
        raise ReleaseError(f"{folder} has no instance.py.")
    name = f"freehold_release_{abs(hash(path.resolve())):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # msgspec resolves the annotations of a struct through its module.
    sys.modules[name] = module
    without_bytecode = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise mistake(error) from error
    finally:
        sys.dont_write_bytecode = without_bytecode
    release = getattr(module, "release", None)
    if not isinstance(release, Release):
        raise ReleaseError(f"{path} does not define `release = Release(…)`.")
    return release


def descriptor(folder: Path) -> Descriptor:
    """Return what the Master will read of a release's folder; raise ReleaseError when that is nothing."""
    path = folder / DESCRIPTOR
    try:
        return msgspec.json.decode(path.read_bytes(), type=Descriptor)
    except FileNotFoundError:
        raise ReleaseError(f"{path} is missing; run `freehold software schema {folder}`.") from None
    except UNREADABLE as error:
        raise ReleaseError(f"{path}: {error}") from None


def generate(release: Release) -> dict[str, str]:
    """Return the descriptor and the schemas of a release, as text by file name."""
    files: dict[str, str] = {}
    types: dict[str, Any] = {}
    for index, (name, kind) in enumerate(release.types.items()):
        request, response = f"instance-{name}-input-schema.json", f"instance-{name}-output-schema.json"
        files[request] = _text(schema(kind.parameters, f"Parameters of {release.name}"))
        files[response] = _text(schema(kind.publication, f"Publication of {release.name}"))
        types[name] = {
            "title": kind.title,
            "description": kind.description,
            "request": request,
            "response": response,
            "index": index,
        }
        if isinstance(kind, SharedType):
            types[name] |= {"shared": True, "software-type": kind.host}
        else:
            types[name] |= {"weight": kind.weight} | ({} if kind.holds_data else {"data": False})
            types[name] |= {} if kind.orderable else {"orderable": False}
            types[name] |= {"peers": True} if kind.peers else {}
            types[name] |= {} if kind.size == UNNAMED else {"size": msgspec.to_builtins(kind.size)}
            if kind.requests:
                types[name]["requests"] = [
                    {
                        "product": request.product,
                        "type": request.type,
                        "shared": request.shared,
                        "number": request.number,
                    }
                    | ({"apart": request.apart} if request.apart else {})
                    for request in kind.requests
                ]
    files[DESCRIPTOR] = _text(
        {
            "name": release.name,
            "version": release.version,
            "description": release.description,
            "serialisation": "json-in-xml",
            **({} if release.goes_back else {"goes_back": False}),
            "software-type": types,
        }
    )
    return files


def schema(struct: type[msgspec.Struct], title: str) -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a struct, standing on its own."""
    try:
        _, components = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    except TypeError as error:
        raise ReleaseError(f"{struct.__name__} cannot be described as a JSON schema: {error}") from None
    top = components.pop(struct.__name__)
    top["title"] = title
    if components:
        top["$defs"] = components
    return {"$schema": DIALECT, **top}


def _text(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
