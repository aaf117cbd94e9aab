"""The services' OpenAPI documents as they are stored, and what of a change would break those who call."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Schema = Mapping[str, Any]

STORED = Path("docs/openapi")
_METHODS = ("get", "put", "post", "delete", "patch")
_DEPTH = 12  # deeper models say nothing new


def read(url: str) -> dict[str, Any]:
    """The document of the service that answers at `url`."""
    with urllib.request.urlopen(f"{url}/openapi.json", timeout=10) as answer:  # noqa: S310  a service of this stack
        found: dict[str, Any] = json.load(answer)
    found["info"]["version"] = ""  # of the build, not of the interface
    return found


def stored(service: str, folder: Path = STORED) -> dict[str, Any]:
    """The stored document; empty where there is none yet."""
    path = folder / f"{service}.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"paths": {}}
    return found


def store(urls: Mapping[str, str], folder: Path = STORED, *, breaking_too: bool = False) -> list[str]:
    """Rewrite the stored documents of these services; returns what would break callers, and then writes nothing."""
    now = {service: read(url) for service, url in urls.items()}
    found = [
        f"{service}: {each}"
        for service, document in now.items()
        for each in breaking(stored(service, folder), document)
    ]
    if not found or breaking_too:
        folder.mkdir(parents=True, exist_ok=True)
        for service, document in now.items():
            (folder / f"{service}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    return found


def breaking(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What callers of the old document would trip over: a program that was right, and is not any more.

    Paths, fields of answers, optional fields of questions and values of enumerations may be added at any time.
    """
    comparison = _Comparison(old, new)
    found: list[str] = []
    for path, operations in old["paths"].items():
        for method in (each for each in _METHODS if each in operations):
            where = f"{method.upper()} {path}"
            now = new["paths"].get(path, {}).get(method)
            found += [f"{where} is gone"] if now is None else comparison.operation(operations[method], now, where)
    return found


@dataclass(frozen=True, slots=True)
class _Comparison:
    """Two documents, in which references are looked up."""

    old: Schema
    new: Schema

    def operation(self, before: Schema, now: Schema, where: str) -> Iterator[str]:
        yield from self._parameters(before, now, where)
        yield from self._bodies(before.get("requestBody", {}), now.get("requestBody", {}), where)
        for status, answer in before["responses"].items():
            if status.startswith("2") and status not in now["responses"]:
                yield f"{where}: {status} is not answered any more"
            elif status.startswith("2"):
                yield from self._answers(answer, now["responses"][status], f"{where}: {status}")

    def _parameters(self, before: Schema, now: Schema, where: str) -> Iterator[str]:
        had = {(each["in"], each["name"]): each for each in before.get("parameters", ())}
        has = {(each["in"], each["name"]): each for each in now.get("parameters", ())}
        for place, name in sorted(had.keys() - has.keys()):
            yield f"{where}: the {place} parameter {name} is gone"
        for key in sorted(has):
            if has[key]["required"] and not (key in had and had[key]["required"]):
                yield f"{where}: the {key[0]} parameter {key[1]} is now required"
            if key in had:
                yield from self._question(had[key]["schema"], has[key]["schema"], f"{where}: {key[1]}", _DEPTH)

    def _bodies(self, before: Schema, now: Schema, where: str) -> Iterator[str]:
        if now.get("required") and not before.get("required"):
            yield f"{where}: a body is now required"
        has = dict(_contents(now))
        for kind, schema in _contents(before):
            if kind in has:
                yield from self._question(schema, has[kind], f"{where}: body", _DEPTH)
            else:
                yield f"{where}: a body of {kind} is not taken any more"

    def _answers(self, before: Schema, now: Schema, where: str) -> Iterator[str]:
        has = dict(_contents(now))
        for kind, schema in _contents(before):
            if kind in has:
                yield from self._answer(schema, has[kind], where, _DEPTH)
            else:
                yield f"{where} is not {kind} any more"

    def _question(self, before: Schema, now: Schema, where: str, depth: int) -> Iterator[str]:
        """What may be sent has to stay sendable."""
        had_kinds, has_kinds = _kinds(before, self.old), _kinds(now, self.new)
        if has_kinds and had_kinds - has_kinds:
            yield f"{where}: {', '.join(sorted(had_kinds - has_kinds))} is not taken any more"
        before, now = _resolved(before, self.old), _resolved(now, self.new)
        if "enum" in now and (gone := set(before.get("enum", ())) - set(now["enum"])):
            yield f"{where}: {', '.join(sorted(map(str, gone)))} is not taken any more"
        had, has = before.get("properties", {}), now.get("properties", {})
        for name in sorted(set(now.get("required", ())) - set(before.get("required", ()))):
            yield f"{where}.{name} is now required"
        for name in sorted(had.keys() - has.keys()):
            yield f"{where}.{name} is not taken any more"
        for name in sorted(had.keys() & has.keys()) if depth else ():
            yield from self._question(had[name], has[name], f"{where}.{name}", depth - 1)

    def _answer(self, before: Schema, now: Schema, where: str, depth: int) -> Iterator[str]:
        """What was always there has to stay there, as what it was."""
        had_kinds, has_kinds = _kinds(before, self.old), _kinds(now, self.new)
        if had_kinds and has_kinds - had_kinds:
            yield f"{where} can now be {', '.join(sorted(has_kinds - had_kinds))}"
        before, now = _resolved(before, self.old), _resolved(now, self.new)
        had, has = before.get("properties", {}), now.get("properties", {})
        for name in sorted(set(before.get("required", ())) - set(now.get("required", ()))):
            yield f"{where}.{name} {'can now be absent' if name in has else 'is gone'}"
        if not depth:
            return
        for name in sorted(had.keys() & has.keys()):
            yield from self._answer(had[name], has[name], f"{where}.{name}", depth - 1)
        if "items" in before and "items" in now:
            yield from self._answer(before["items"], now["items"], f"{where}[]", depth - 1)


def _contents(part: Schema) -> Iterator[tuple[str, Schema]]:
    for kind, content in part.get("content", {}).items():
        yield kind, content.get("schema", {})


def _resolved(schema: Schema, document: Schema) -> Schema:
    """The schema behind a reference; of an optional one, the part that is not null."""
    choices = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1:
        schema = choices[0]
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _kinds(schema: Schema, document: Schema) -> set[str]:
    """The JSON types that a value of this schema can have; empty if that is not said."""
    if "$ref" in schema:
        return _kinds(_resolved(schema, document), document)
    if "anyOf" in schema:
        return set().union(*(_kinds(each, document) for each in schema["anyOf"]))
    return {str(schema["type"])} if "type" in schema else set()
