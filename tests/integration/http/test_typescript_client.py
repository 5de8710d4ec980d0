"""The TypeScript client of clients/typescript, built as it is published: against the real door,
against faults, and with the samples that it was asked for with."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import billing
from infra.billing.contract.ids import id_from_key
from tests.support import generated
from tests.support.approvals import an_approval
from tests.support.factories import Till
from tests.support.web import Caller, Web

CLIENT = Path(__file__).parents[3] / "clients" / "typescript"
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"type":"charge.succeeded","timestamp":"2026-11-29T00:00:00Z","sequence":2,"data":{"ü":1}}'
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the client's folder, with its tools, built from our description."""
    tools = generated.node_tools(CLIENT)
    project = tmp_path_factory.mktemp("project")
    folder = project / "clients" / "typescript"
    left_out = shutil.ignore_patterns("node_modules", "dist", "schema.ts")
    shutil.copytree(CLIENT, folder, ignore=left_out)
    (folder / "node_modules").symlink_to(tools / "node_modules")
    shutil.copytree(CLIENT.parents[1] / "docs" / "reference", project / "docs" / "reference")
    generated.run(["npm", "run", "--silent", "build"], folder)
    return folder


def _environ(caller: Caller) -> dict[str, str]:
    return {"URL": caller.url, "KEY": caller.key, "NODE_NO_WARNINGS": "1"}


# How each runs a program, and the tests of a file.
RUNTIMES = {
    "deno": (["run", "--allow-all", "--no-check"], ["test", "--allow-all", "--no-check"]),
    "bun": (["run"], ["test"]),
}


@pytest.fixture(params=RUNTIMES)
def runtime(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], list[str]]:
    """What begins a command of Deno or Bun: to run a program, and to run tests."""
    program = str(generated.runtime(request.param))
    monkeypatch.setenv("DENO_DIR", str(tmp_path))
    monkeypatch.setenv("DENO_NO_UPDATE_CHECK", "1")
    to_run, to_test = RUNTIMES[request.param]
    return [program, *to_run], [program, *to_test]


def test_it_moves_money_once_at_the_real_door(built: Path, caller: Caller) -> None:
    _moves_money_once(["node"], built, caller)


def test_so_it_does_under_deno_and_bun(
    built: Path, caller: Caller, runtime: tuple[list[str], list[str]]
) -> None:
    _moves_money_once(runtime[0], built, caller)


def _moves_money_once(command: list[str], built: Path, caller: Caller) -> None:
    headers = billing.webhook.sign(BODY, SECRET, webhook_id="evt_1")
    given = {"BODY": BODY, "HEADERS": json.dumps(dict(headers)), "SECRET": SECRET}
    printed = generated.run([*command, "test/door.mjs"], built, {**_environ(caller), **given})
    told = json.loads(printed)
    charge, refund = told.pop("charge"), told.pop("refund")
    assert charge["charge_id"] == id_from_key("charge", producer=caller.producer, key="ts-1")
    assert caller.get(f"/charges/{charge['charge_id']}").json()["metadata"] == {
        "from": "typescript"
    }
    assert caller.get(f"/refunds/{refund['refund_id']}").json()["amount"] == 500
    assert told.pop("refused")[:2] == ["IdempotencyError", "idempotency_key_reused"]
    signed = told.pop("signed")
    assert billing.webhook.verify(BODY.encode(), signed, SECRET).type == "charge.succeeded"
    assert told == {
        "replayed": [False, True],
        "same": True,
        "pending": 500,
        "listed": 6,
        "stock": 3,
        "quote": 6000,
        "prices": [1, 1],
        "active": False,
        "secret": "whsec_",
        "canceled": "canceled",
        "feed": told["feed"],
        "verified": "charge.succeeded",
        "tampered": ["SignatureError", "invalid_signature"],
    }
    assert told["feed"] >= 4  # more than a page: of the product, the price and the charge


def test_an_operator_decides_what_waits(built: Path, strict: Web, till: Till) -> None:
    with strict.caller(scopes=["operator"]) as operator:
        ids = [an_approval(strict.engine, till.charged()) for _ in range(2)]
        charge = till.charged(producer=operator.producer, amount=1999)
        given = {"IDS": " ".join(ids), "CHARGE": charge}
        printed = generated.run(
            ["node", "test/approvals.mjs"], built, {**_environ(operator), **given}
        )
    assert json.loads(printed) == {
        "waiting": True,
        "before": "pending",
        "approved": ["approved", "seen the mail"],
        "again": "seen the mail",
        "late": ["ConflictError", "move_not_allowed"],
        "rejected": "rejected",
        "phase": "awaiting_approval",
        "own": ["PermissionError", "second_person_required"],
        "missing": "NotFoundError",
    }


def test_no_fault_makes_it_ask_for_money_twice(built: Path) -> None:
    files = sorted(str(path) for path in (built / "test").glob("*.test.mjs"))
    said = generated.run(["node", "--test", "--test-reporter=tap", *files], built)
    assert "# fail 0" in said
    assert "# pass 0" not in said


def test_nor_does_it_under_deno_and_bun(built: Path, runtime: tuple[list[str], list[str]]) -> None:
    files = sorted(str(path) for path in (built / "test").glob("*.test.mjs"))
    generated.run([*runtime[1], *files], built)  # with none, they fail


def test_the_samples_of_the_seed_compile_strictly_and_run(
    built: Path, tmp_path: Path, caller: Caller
) -> None:
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "billing-worker-client").symlink_to(built)
    shutil.copy(built / "test" / "seeds.ts", tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    options = {
        "strict": True,
        "exactOptionalPropertyTypes": True,
        "target": "ES2022",
        "lib": ["ES2022", "DOM"],
        "module": "NodeNext",
        "types": [],
    }
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options}))
    generated.run([built / "node_modules" / ".bin" / "tsc", "--project", tmp_path], tmp_path)
    moved, priced = generated.run(["node", "seeds.js"], tmp_path, _environ(caller)).splitlines()
    charge_id, *others = json.loads(moved)
    assert charge_id == id_from_key("charge", producer=caller.producer, key="seed-1")
    assert others[:3] == [1999, "USD", "pending"]
    assert json.loads(priced) == ["month", "New name", 1, 2, False, True]


def test_what_is_published_works_for_every_way_of_importing_it(built: Path) -> None:
    generated.run(["npm", "run", "--silent", "check"], built)
    required = (
        "const { BillingClient, webhooks } = require('./dist/cjs/index.js');"
        "console.log(typeof BillingClient, typeof webhooks.verify)"
    )
    assert generated.run(["node", "-e", required], built).split() == ["function", "function"]
    dependencies = json.loads((CLIENT / "package.json").read_text())
    assert "dependencies" not in dependencies


def test_what_its_readme_shows_is_true(built: Path) -> None:
    """Each block compiles, put behind what it stands on."""
    blocks = (built / "README.md").read_text().split("```ts\n")[1:]
    programs = [one.partition("```")[0] for one in blocks]
    given = "\n".join(
        f"declare const {name}: {kind};"
        for name, kind in {
            "rawBody": "string",
            "request": "Request",
            "secret": "string",
            "process": "{ env: Record<string, string> }",
        }.items()
    )
    first = programs[0]
    for number, program in enumerate(programs):
        before = "" if number == 0 or "webhooks" in program else first
        imports, rest = [], []
        for line in (before + program).splitlines():
            (imports if line.startswith("import ") else rest).append(line)
        text = "\n".join([*dict.fromkeys(imports), given, *rest, "export {};"])
        (built / "src" / f"readme{number}.ts").write_text(
            text.replace('"billing-worker-client"', '"./index.js"')
        )
    try:
        tsc = built / "node_modules" / ".bin" / "tsc"
        options = ["--noEmit", "--noUnusedLocals", "false"]
        generated.run([tsc, "--project", built, *options], built)
    finally:
        for path in (built / "src").glob("readme*.ts"):
            path.unlink()
