"""What the image holds, as a CycloneDX bill of materials, made of the lock it is installed from."""

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

# What the image is: deploy/Dockerfile.
PLATFORM = {
    "python_version": "3.11",
    "python_full_version": "3.11.0",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "os_name": "posix",
    "platform_machine": "x86_64",
}
# A namespace of our own, so that the same content has the same serial number.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "billing-worker.invalid")


def write(lock: Path, *, version: str, epoch: int, to: Path) -> None:
    """Write it; the same lock, version and time make the same bytes."""
    components = [_component(one) for one in requirements(lock.read_text())]
    to.write_text(json.dumps(_bom(components, version, epoch), indent=2) + "\n")


def requirements(lock: str) -> Iterator[Requirement]:
    """What the lock names for the image's platform."""
    for line in lock.splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            found = Requirement(line.rstrip("\\ "))
            if found.marker is None or found.marker.evaluate(PLATFORM):
                yield found


def _component(found: Requirement) -> dict[str, Any]:
    (specifier,) = found.specifier
    name = re.sub(r"[-_.]+", "-", found.name).lower()
    purl = f"pkg:pypi/{name}@{specifier.version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": specifier.version,
        "purl": purl,
    }


def _bom(components: Sequence[Mapping[str, Any]], version: str, epoch: int) -> dict[str, Any]:
    ours = f"pkg:generic/billing@{version}"
    bom: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": ours,
                "name": "billing",
                "version": version,
                "purl": ours,
            },
        },
        "components": list(components),
        "dependencies": [
            {"ref": ours, "dependsOn": [one["bom-ref"] for one in components]},
            *({"ref": one["bom-ref"]} for one in components),
        ],
    }
    serial = uuid.uuid5(NAMESPACE, json.dumps(bom, sort_keys=True))
    return {**bom, "serialNumber": f"urn:uuid:{serial}"}
