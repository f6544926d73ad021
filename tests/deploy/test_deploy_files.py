"""The files an administrator copies: the example configuration, Orthanc's, and the systemd unit."""

import configparser
import dataclasses
import json
import re
import tomllib
from pathlib import Path

from node.config import Config, WebSection, config_from, read_config
from storage.states import Outcome, StudyState

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"


def test_the_example_configuration_holds_every_key_with_its_default():
    example = DEPLOY / "node.example.toml"
    config = read_config(example)
    assert dataclasses.replace(config, folder=Path()) == Config()
    text = example.read_text(encoding="utf-8")
    for section in dataclasses.fields(Config):
        if section.name not in ("folder", "web"):
            for key in dataclasses.fields(getattr(config, section.name)):
                assert re.search(rf"^{key.name} = ", text, flags=re.MULTILINE), f"{section.name}.{key.name} is missing"


def test_the_example_shows_every_key_of_a_stow_peer():
    text = (DEPLOY / "node.example.toml").read_text(encoding="utf-8")
    shown = tomllib.loads(re.sub(r"^# (?=\[web\.|\w+ = )", "", text, flags=re.MULTILINE))["web"]["cloud"]
    assert shown.keys() == {key.name for key in dataclasses.fields(WebSection)}


def test_the_demonstration_writes_a_configuration_without_fault():
    from deploy.demonstration.running_node import CONFIGURATION

    tables = tomllib.loads(CONFIGURATION.format(ae_title="OSTEON", host="127.0.0.1", port=11112, models=""))
    assert config_from(tables, Path())[1] == []


def test_orthanc_knows_the_node_and_the_metadata_that_its_script_writes():
    config = json.loads((DEPLOY / "orthanc" / "orthanc.json").read_text(encoding="utf-8"))
    script = (DEPLOY / "orthanc" / "route.lua").read_text(encoding="utf-8")
    assert config["LuaScripts"] == ["route.lua"]
    (name,) = config["DicomModalities"]
    assert f"NODE = '{name}'" in script
    (metadata,) = config["UserMetadata"]
    assert metadata in script
    assert config["UserMetadata"][metadata] >= 1024
    assert config["DicomModalities"][name][2] == Config().listen.port


def test_the_unit_starts_the_node_as_a_user_of_its_own_and_can_write_its_data_only():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read(DEPLOY / "osteon.service", encoding="utf-8")
    service = unit["Service"]
    assert " serve --config " in service["ExecStart"]
    assert service["User"] == "osteon"
    assert service["ProtectSystem"] == "strict"
    assert service["NoNewPrivileges"] == "yes"


def test_the_guide_explains_every_state_and_every_outcome():
    guide = (DEPLOY / "ADMIN.md").read_text(encoding="utf-8")
    assert not [state.value for state in StudyState if f"| {state.value} |" not in guide]
    assert not [outcome.value for outcome in Outcome if not re.search(rf"\b{outcome.value}\b", guide)]
