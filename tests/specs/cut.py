"""Cut a provider's official OpenAPI document down to the operations that our tools use.

    python -m tests.specs.cut github path/to/api.github.com.json           writes tests/specs/github.json
    python -m tests.specs.cut github path/to/a-newer.json --diff           shows what a newer document changes

The operations are named, one operationId a line, in tests/specs/<provider>.operations.txt. Kept: their paths,
parameters, bodies, responses and examples, and the components that these refer to. Dropped: prose and extensions
that nothing here reads. Examples stay as they are.
"""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.specs import FOLDER

_VERBATIM = {"example", "examples", "value", "default", "enum", "const", "required"}
_PROSE = {"description", "summary", "title", "tags", "externalDocs"}
_READ_EXTENSIONS = {"x-github", "x-multi-segment"}
_METHODS = {"get", "put", "post", "delete", "patch"}


def cut(document: dict[str, Any], operation_ids: Iterable[str]) -> dict[str, Any]:
    """The smallest document that still holds the named operations.

    Raises:
        LookupError: the document has no operation of that name.
    """
    wanted = set(operation_ids)
    paths: dict[str, Any] = {}
    for path, item in sorted(document["paths"].items()):
        kept = {method: _trim(operation) for method, operation in item.items() if _is_wanted(method, operation, wanted)}
        if kept:
            shared = {"parameters": _trim(item["parameters"])} if "parameters" in item else {}
            paths[path] = shared | kept
    found = {operation["operationId"] for item in paths.values() for key, operation in item.items() if key in _METHODS}
    if missing := wanted - found:
        raise LookupError(f"no such operation: {', '.join(sorted(missing))}")
    info = {key: document["info"][key] for key in ("title", "version")}
    head = {key: document[key] for key in ("openapi", "servers", "security") if key in document}
    return head | {"info": info, "paths": paths, "components": _components(document, paths)}


def dump(document: dict[str, Any]) -> str:
    """JSON with one line for each path and each component: compact, and a diff shows what changed."""
    lines = ["{"]
    for key, value in document.items():
        if key == "components":
            kinds = (f"{_json(kind)}:{_lines(entries)}" for kind, entries in value.items())
            lines.append(f"{_json(key)}:{{\n" + ",\n".join(kinds) + "\n},")
        else:
            lines.append(f"{_json(key)}:{_lines(value) if key == 'paths' else _json(value)},")
    return "\n".join(lines).rstrip(",") + "\n}\n"


def load(path: Path) -> dict[str, Any]:
    """An OpenAPI document from a .json or .yaml file."""
    text = path.read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    return document


def operations(provider: str) -> list[str]:
    """The operationIds that the provider's cut document holds."""
    return (FOLDER / f"{provider}.operations.txt").read_text(encoding="utf-8").split()


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 when `--diff` found a difference."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("provider")
    parser.add_argument("document", type=Path)
    parser.add_argument("--diff", action="store_true", help="compare with the committed cut instead of writing it")
    options = parser.parse_args(arguments)
    target = FOLDER / f"{options.provider}.json"
    text = dump(cut(load(options.document), operations(options.provider)))
    if not options.diff:
        target.write_text(text, encoding="utf-8")
        return 0
    old = target.read_text(encoding="utf-8")
    changes = list(difflib.unified_diff(old.splitlines(), text.splitlines(), "committed", "newer", n=0, lineterm=""))
    print("\n".join(changes))
    return 1 if changes else 0


def _is_wanted(method: str, operation: Any, wanted: set[str]) -> bool:
    return method in _METHODS and operation.get("operationId") in wanted


def _trim(node: Any, *, names: bool = False) -> Any:
    """The node without prose; `names` says that its keys are names of the API, not words of OpenAPI."""
    if isinstance(node, list):
        return [_trim(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    kept: dict[str, Any] = {}
    for key, value in node.items():
        if not names and (key in _VERBATIM or (key == "description" and _is_response(node))):
            kept[key] = value
        elif names or not (key in _PROSE or (key.startswith("x-") and key not in _READ_EXTENSIONS)):
            kept[key] = _trim(value, names=not names and key in ("properties", "responses", "headers", "content"))
    return kept


def _is_response(node: dict[str, Any]) -> bool:
    """Whether this is a Response Object: the only place where OpenAPI asks for a description (3.1.1, 4.8.17)."""
    return "content" in node or "headers" in node or set(node) == {"description"}


def _components(document: dict[str, Any], paths: dict[str, Any]) -> dict[str, Any]:
    """Everything below `components` that the paths refer to, directly or through each other."""
    found: dict[str, Any] = {}
    todo = sorted(set(_references(paths)))
    schemes = document["components"].get("securitySchemes", {})
    todo += [f"#/components/securitySchemes/{name}" for name in schemes]
    while todo:
        reference = todo.pop()
        if reference in found:
            continue
        _, _, kind, name = reference.split("/")
        entry = document["components"][kind][name]
        found[reference] = entry if kind == "examples" else _trim(entry)
        todo += [other for other in _references(found[reference]) if other not in found]
    components: dict[str, Any] = {}
    for reference in sorted(found):
        _, _, kind, name = reference.split("/")
        components.setdefault(kind, {})[name] = found[reference]
    return components


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _lines(entries: dict[str, Any]) -> str:
    return "{\n" + ",\n".join(f"{_json(key)}:{_json(value)}" for key, value in entries.items()) + "\n}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    sys.exit(main())
