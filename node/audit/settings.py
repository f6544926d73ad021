"""The settings of the configuration file as the audit trail holds them: by name, and without a password. Pure."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping

from node.config import Config

_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/@]*@")

Values = Mapping[str, object]


def values_of(config: Config) -> dict[str, object]:
    """Every setting by its place, `section.key`; of the database's URL without the password."""
    found: dict[str, object] = {}
    for section in dataclasses.fields(config):
        value = getattr(config, section.name)
        if section.name == "web":
            for name, web in value.items():
                found |= {f"web.{name}.{key}": each for key, each in dataclasses.asdict(web).items()}
        elif section.name != "folder":
            found |= {f"{section.name}.{key}": each for key, each in dataclasses.asdict(value).items()}
    found["database.url"] = _PASSWORD.sub(r"\1:***@", config.database.url)
    return found


def hash_of(values: Values) -> str:
    """SHA-256 (hex) over all settings; the defaults are among them."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def changes(before: Values, after: Values) -> list[tuple[str, object, object]]:
    """(place, old, new) of each setting that is another now; a setting that is new, or gone, has the value "absent"."""
    places = sorted(before.keys() | after.keys())
    pairs = ((place, before.get(place, "absent"), after.get(place, "absent")) for place in places)
    return [(place, old, new) for place, old, new in pairs if old != new]
