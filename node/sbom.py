"""The software bill of materials: what is installed here, as CycloneDX 1.6 (ECMA-424) in JSON.

From the metadata that the installer left (importlib.metadata), not from what was asked for. Vulnerabilities are not in
it: they change daily, and are matched against these names, versions and purls by a scanner.
"""

import hashlib
import os
import platform
import re
import sqlite3
import ssl
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import Distribution, distributions
from typing import Any

from models.card import Bundle, Card

Component = dict[str, Any]

SPECIFICATION = "1.6"
_ROOT = "osteon"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_EXTRAS = re.compile(r"^[^;\[]+\[([^\]]*)\]")
_ASKED_EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")
_LICENCE = "License :: "
_LONGEST_NAME = 100


def bill(bundles: Iterable[Bundle[Card]]) -> dict[str, Any]:
    """The document for this environment and these model bundles."""
    found = {_key(each.name): each for each in distributions() if each.metadata["Name"]}
    edges = _edges(found)
    platforms = _platforms()
    models = [_model(bundle) for bundle in bundles]
    libraries = [_library(each, key in edges) for key, each in sorted(found.items()) if key != _ROOT]
    root = _library(found[_ROOT], is_reached=True) | {"type": "application"} if _ROOT in found else _unknown_root()
    components = libraries + platforms + models
    of_root = [part["bom-ref"] for part in (*platforms, *models)]
    dependencies = [
        {"ref": _purl(found[key]), "dependsOn": sorted({_purl(found[other]) for other in others} - {_purl(found[key])})}
        for key, others in sorted(edges.items())
    ]
    for entry in dependencies:
        if entry["ref"] == root["bom-ref"]:
            entry["dependsOn"] = sorted({*entry["dependsOn"], *of_root})
    content = repr([root, components, dependencies]).encode()
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPECIFICATION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=hashlib.sha256(content).digest()[:16], version=4)}",
        "version": 1,
        "metadata": {
            "timestamp": _now(),
            "lifecycles": [{"phase": "operations"}],
            "tools": {"components": [{"type": "application", "name": "osteon sbom", "version": root["version"]}]},
            "component": root,
        },
        "components": components,
        "dependencies": dependencies,
    }


def _edges(found: Mapping[str, Distribution]) -> dict[str, set[str]]:
    """Who needs whom, from osteon on; an optional requirement counts where its extra was asked for; ours all were."""
    edges: dict[str, set[str]] = {}
    own = found.get(_ROOT)
    extras = set((own.metadata.get_all("Provides-Extra") or ()) if own else ())
    waiting = [(_ROOT, frozenset(extras))] if own else []
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, asked = waiting.pop()
        if (name, asked) in seen:
            continue
        seen.add((name, asked))
        needs = edges.setdefault(name, set())
        for line in found[name].requires or ():
            wanted, extra = _NAME.match(line), _ASKED_EXTRA.search(line)
            if wanted is None or (extra and extra[1] not in asked) or _key(wanted[0]) not in found:
                continue
            needs.add(_key(wanted[0]))
            listed = _EXTRAS.match(line)
            more = re.split(r"[,\s]+", listed[1].strip()) if listed else ()
            waiting.append((_key(wanted[0]), frozenset(more)))
    return edges


def _library(each: Distribution, is_reached: bool) -> Component:
    component: Component = {
        "type": "library",
        "bom-ref": _purl(each),
        "name": each.metadata["Name"],
        "version": each.version,
        "purl": _purl(each),
    }
    if licences := _licences(each):
        component["licenses"] = licences
    if summary := _said(each, "Summary"):
        component["description"] = summary.strip()
    properties = [_property("osteon:needed-by-osteon", "yes" if is_reached else "no")]
    if record := each.read_text("RECORD"):
        # not "hashes": those are of the archive that was installed, which is no longer there
        properties.append(_property("osteon:record-sha256", hashlib.sha256(record.encode()).hexdigest()))
    return component | {"properties": properties}


def _unknown_root() -> Component:
    reference = {"bom-ref": "pkg:pypi/osteon@0", "purl": "pkg:pypi/osteon@0"}
    return {"type": "application", "name": _ROOT, "version": "0"} | reference


def _licences(each: Distribution) -> list[dict[str, Any]]:
    """An SPDX expression where the package states one, else what its classifiers or its free text say."""
    if expression := _said(each, "License-Expression"):
        return [{"expression": expression}]
    classifiers = each.metadata.get_all("Classifier") or ()
    names = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith(_LICENCE) and line.count("::") > 1]
    if not names and (text := _said(each, "License").strip()):
        names = [text.splitlines()[0][:_LONGEST_NAME]]
    return [{"license": {"name": name}} for name in dict.fromkeys(names)]


def _said(each: Distribution, key: str) -> str:
    return str((each.metadata.get_all(key) or [""])[0])


def _platforms() -> list[Component]:
    """What is not a Python package and is no less part of it."""
    parts = (
        ("platform", "cpython", platform.python_version(), "Python-2.0"),
        ("library", "openssl", ssl.OPENSSL_VERSION.split()[1], ""),
        ("library", "sqlite", sqlite3.sqlite_version, "blessing"),
        ("operating-system", "linux", platform.release(), "GPL-2.0-only WITH Linux-syscall-note"),
    )
    return [
        {"type": kind, "bom-ref": f"pkg:generic/{name}@{version}", "name": name, "version": version,
         "purl": f"pkg:generic/{name}@{version}"} | ({"licenses": [{"expression": licence}]} if licence else {})
        for kind, name, version, licence in parts
    ]  # fmt: skip


def _model(bundle: Bundle[Card]) -> Component:
    """A bundle, with each of its files; its own hash is the one that results and reports name."""
    card = bundle.card
    reference = f"model:{card.name}@{card.version}"
    files = [
        {
            "type": "file",
            "bom-ref": f"{reference}/{entry.path}",
            "name": entry.path,
            "hashes": [{"alg": "SHA-256", "content": entry.sha256}],
        }
        for _, entry in sorted(card.files.items())
    ]
    return {
        "type": "machine-learning-model",
        "bom-ref": reference,
        "name": card.name,
        "version": card.version,
        "description": card.intended_use,
        "hashes": [{"alg": "SHA-256", "content": bundle.weights_sha256}],
        "licenses": [{"license": {"name": card.licence}}],
        "modelCard": {
            "modelParameters": {"task": card.system},
            "considerations": {"technicalLimitations": [card.limitations]},
        },
        "components": files,
        "properties": [
            _property("osteon:stage", str(card.stage)),
            _property("osteon:trained-on", card.training_kind),
            _property("osteon:hash-over", "the hexadecimal SHA-256 of card.toml and of every file, by name"),
        ],
    }


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": name, "value": value}


def _key(name: str) -> str:
    """Names as the registries compare them (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _purl(each: Distribution) -> str:
    return f"pkg:pypi/{_key(each.metadata['Name'])}@{each.version.replace('+', '%2B')}"


def _now() -> str:
    """When it was made; SOURCE_DATE_EPOCH makes it the same each time."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    moment = datetime.fromtimestamp(int(given), UTC) if given.isdecimal() else datetime.now(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
