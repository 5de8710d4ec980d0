"""Clients that are generated from our description compile strictly, and move money."""

import json
import shutil
from pathlib import Path

import pytest

from api.asgi_app import ROUTES
from api.description.openapi import document
from infra.billing.contract.ids import id_from_key
from tests.support import generated
from tests.support.web import Caller

CLIENTS = generated.LOCKED


@pytest.fixture(scope="session")
def description(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The document, in a file."""
    path = tmp_path_factory.mktemp("openapi") / "openapi.json"
    path.write_text(json.dumps(document(ROUTES)))
    return path


def assert_it_moved_money(printed: str, caller: Caller, key: str) -> None:
    """The charge, its refund, what the list says of it, and a refusal."""
    charge_id, refund_id, method, pending, refused = json.loads(printed)
    assert charge_id == id_from_key("charge", producer=caller.producer, key=key)
    assert (method, pending, refused) == ("pm_card_visa", 500, "invalid_request")
    assert caller.get(f"/refunds/{refund_id}").json()["charge_id"] == charge_id
    assert caller.get(f"/charges/{charge_id}").json()["amount"] == 1999


def environ(caller: Caller) -> dict[str, str]:
    return {"URL": caller.url, "KEY": caller.key, "NODE_NO_WARNINGS": "1"}


def project(folder: Path, program: str) -> tuple[Path, Path]:
    """A project with one program, and the folder of the tools."""
    tools = generated.node_tools()
    (folder / "src").mkdir()
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "node_modules").symlink_to(tools / "node_modules")
    shutil.copy(CLIENTS / "tsconfig.json", folder)
    shutil.copy(CLIENTS / program, folder / "src")
    return folder, tools / "node_modules" / ".bin"


@pytest.mark.timeout(600)
def test_a_linter_of_descriptions_has_nothing_to_say(description: Path) -> None:
    bin_ = generated.node_tools() / "node_modules" / ".bin"
    config = CLIENTS / "redocly.yaml"
    run = (bin_ / "redocly", "lint", description, "--config", config, "--max-problems", "5")
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    said = generated.run([*run, "--format=json"], description.parent, quiet)
    assert json.loads(said)["totals"] == {"errors": 0, "warnings": 0, "ignored": 0}


@pytest.mark.timeout(600)
def test_a_client_of_openapi_typescript(description: Path, tmp_path: Path, caller: Caller) -> None:
    folder, bin_ = project(tmp_path, "typescript.ts")
    generated.run([bin_ / "openapi-typescript", description, "-o", "src/schema.d.ts"], folder)
    generated.run([bin_ / "tsc"], folder)
    printed = generated.run(["node", "out/typescript.js"], folder, environ(caller))
    assert_it_moved_money(printed, caller, "typescript-1")


@pytest.mark.timeout(600)
def test_a_client_of_hey_api(description: Path, tmp_path: Path, caller: Caller) -> None:
    folder, bin_ = project(tmp_path, "hey.ts")
    shutil.copy(CLIENTS / "openapi-ts.config.mjs", folder)
    generated.run([bin_ / "openapi-ts"], folder, {"DESCRIPTION": str(description)})
    generated.run([bin_ / "tsc"], folder)
    printed = generated.run(["node", "out/hey.js"], folder, environ(caller))
    assert_it_moved_money(printed, caller, "hey-1")


@pytest.mark.timeout(600)
def test_a_client_of_openapi_python_client(
    description: Path, tmp_path: Path, caller: Caller
) -> None:
    bin_ = generated.python_tools()
    generate = (bin_ / "openapi-python-client", "generate", "--path", description)
    config = ("--config", CLIENTS / "generator.yaml", "--fail-on-warning")
    options = ("--meta", "none", "--output-path", "billing_client", *config)
    generated.run([*generate, *options], tmp_path)
    shutil.copy(CLIENTS / "python.py", tmp_path / "program.py")
    generated.run([bin_ / "mypy", "--strict", "program.py"], tmp_path)
    printed = generated.run([bin_ / "python", "program.py"], tmp_path, environ(caller))
    assert_it_moved_money(printed, caller, "python-1")
