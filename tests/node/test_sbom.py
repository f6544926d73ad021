"""The bill of materials lists what is installed, and has the form that CycloneDX 1.6 publishes."""

import json
import re
import uuid
from datetime import datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from models.card import bundles
from node.cli import main
from node.config import BUNDLED_MODELS

# bom-1.6.schema.json: the keys of a component, and the choices of those that we use
COMPONENT_KEYS = {"type", "mime-type", "bom-ref", "supplier", "manufacturer", "authors", "author", "publisher", "group",
                  "name", "version", "description", "scope", "hashes", "licenses", "copyright", "cpe", "purl",
                  "omniborId", "swhid", "swid", "modified", "pedigree", "externalReferences", "components", "evidence",
                  "releaseNotes", "modelCard", "data", "cryptoProperties", "properties", "tags",
                  "signature"}  # fmt: skip
TYPES = {"application", "framework", "library", "container", "platform", "operating-system", "device", "device-driver",
         "firmware", "file", "machine-learning-model", "data", "cryptographic-asset"}  # fmt: skip
TOP_KEYS = {"$schema", "bomFormat", "specVersion", "serialNumber", "version", "metadata", "components", "services",
            "externalReferences", "dependencies", "compositions", "vulnerabilities", "annotations", "formulation",
            "declarations", "definitions", "properties", "signature"}  # fmt: skip
METADATA_KEYS = {"timestamp", "lifecycles", "tools", "manufacturer", "authors", "component", "manufacture", "supplier",
                 "licenses", "properties"}  # fmt: skip
MODEL_CARD_KEYS = {"bom-ref", "modelParameters", "quantitativeAnalysis", "considerations", "properties"}
PHASES = {"design", "pre-build", "build", "post-build", "operations", "discovery", "decommission"}
HASH_DIGITS = {"MD5": 32, "SHA-1": 40, "SHA-256": 64, "SHA-384": 96, "SHA-512": 128}
PURL = re.compile(r"pkg:[a-z]+/[a-z0-9._/-]+@[A-Za-z0-9._%+~-]+")


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    settings = tmp_path_factory.mktemp("sbom") / "node.toml"
    settings.write_text("", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr("builtins.print", lambda *words, **_: lines.extend(map(str, words)))
        assert main(["sbom", "--config", str(settings)]) == 0
    return json.loads("\n".join(lines))


def everything(document: Any) -> list[Any]:
    """All components, those inside others too."""
    found, waiting = [], [document["metadata"]["component"], *document["components"]]
    while waiting:
        found.append(waiting.pop())
        waiting += found[-1].get("components", ())
    return found


def test_the_document_has_the_published_form(printed: Any) -> None:
    assert printed.keys() <= TOP_KEYS
    assert (printed["bomFormat"], printed["specVersion"], printed["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", printed["serialNumber"])
    assert uuid.UUID(printed["serialNumber"][9:]).version == 4
    metadata = printed["metadata"]
    assert metadata.keys() <= METADATA_KEYS
    assert datetime.fromisoformat(metadata["timestamp"]).utcoffset() is not None
    assert {each["phase"] for each in metadata["lifecycles"]} <= PHASES
    assert metadata["component"]["type"] == "application"
    for tool in metadata["tools"]["components"]:
        assert_component(tool)


def test_every_component_has_the_published_form(printed: Any) -> None:
    for component in everything(printed):
        assert_component(component)


def assert_component(component: Any) -> None:
    assert component.keys() <= COMPONENT_KEYS, component
    assert component["type"] in TYPES
    assert component["name"]
    assert PURL.fullmatch(component.get("purl", "pkg:a/b@1")), component["purl"]
    for each in component.get("hashes", ()):
        assert each.keys() == {"alg", "content"}
        assert re.fullmatch(f"[0-9a-f]{{{HASH_DIGITS[each['alg']]}}}", each["content"])
    licences = component.get("licenses", ())
    if any("expression" in each for each in licences):
        assert len(licences) == 1, "either one expression or a list of licences"
        assert licences[0].keys() <= {"expression", "bom-ref", "acknowledgement"}
    else:
        assert all(len(each["license"].keys() & {"id", "name"}) == 1 for each in licences)
    for each in component.get("properties", ()):
        assert each.keys() == {"name", "value"}
        assert all(isinstance(text, str) for text in each.values())
    assert ("modelCard" in component) == (component["type"] == "machine-learning-model")
    assert component.get("modelCard", {}).keys() <= MODEL_CARD_KEYS
    assert all(isinstance(value, str) for value in component.values() if not isinstance(value, (list, dict)))


def test_references_are_unique_and_lead_somewhere(printed: Any) -> None:
    references = [component["bom-ref"] for component in everything(printed)]
    assert len(references) == len(set(references))
    named = {entry["ref"] for entry in printed["dependencies"]}
    assert len(named) == len(printed["dependencies"])
    for entry in printed["dependencies"]:
        assert entry.keys() == {"ref", "dependsOn"}
        assert len(entry["dependsOn"]) == len(set(entry["dependsOn"]))
        assert {entry["ref"], *entry["dependsOn"]} <= set(references)
        assert entry["ref"] not in entry["dependsOn"]


def test_what_is_installed_is_listed_and_nothing_else(printed: Any) -> None:
    listed = {(each["name"], each["version"]) for each in everything(printed) if each.get("purl", "").startswith("pkg:pypi")}  # fmt: skip  # noqa: E501
    assert listed == {(each.metadata["Name"], each.version) for each in distributions()}
    assert {each["name"] for each in printed["components"]} >= {"cpython", "openssl", "sqlite", "linux"}


def test_the_graph_knows_what_osteon_stands_on(printed: Any) -> None:
    graph = {entry["ref"]: entry["dependsOn"] for entry in printed["dependencies"]}
    own = graph[printed["metadata"]["component"]["bom-ref"]]
    direct = {reference.partition("/")[2].partition("@")[0] for reference in own if reference.startswith("pkg:pypi")}
    assert {"pydicom", "pynetdicom", "highdicom", "numpy", "sqlalchemy", "alembic", "onnxruntime"} <= direct
    reached = {each["name"] for each in printed["components"] if {"name": "osteon:needed-by-osteon", "value": "yes"} in each.get("properties", ())}  # fmt: skip  # noqa: E501
    assert "psycopg-binary" in reached, "an extra of a requirement"
    assert "Mako" in reached or "mako" in {name.lower() for name in reached}, "what a requirement requires"


def test_every_sound_model_is_listed_with_the_hash_that_results_name(printed: Any) -> None:
    listed = {
        (each["name"], each["version"]): each["hashes"][0]["content"]
        for each in printed["components"]
        if each["type"] == "machine-learning-model"
    }
    sound = bundles(Path(BUNDLED_MODELS)).sound
    assert sound
    assert listed == {(each.card.name, each.card.version): each.weights_sha256 for each in sound}
    assert len([each for each in everything(printed) if each["type"] == "file"]) == sum(
        len(each.files) for each in sound
    )


def test_two_bills_of_the_same_installation_have_the_same_number(
    printed: Any, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    (tmp_path / "node.toml").write_text("", encoding="utf-8")
    assert main(["sbom", "--config", str(tmp_path / "node.toml")]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["serialNumber"] == printed["serialNumber"]
    assert again["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
