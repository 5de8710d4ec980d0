"""What a producer installs: the SDK alone, with little besides, and no more loaded than it uses."""

import ast
import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from infra import billing
from infra.billing import errors
from tests.support.every import every
from tests.support.scripted import scripted_service

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

CHARGE = "billing.charge.create(amount=1, currency='USD')"
# What the dependencies bring along by themselves.
HTTP = {"infra", "urllib3"}
BROKER = HTTP | {"iso4217", "kombu", "redis", "amqp", "vine", "pydantic", "pydantic_core"}


# Before anything: what the environment itself loads when Python starts.
PROGRAM = """
import sys, json
before = set(sys.modules)
from infra import billing
from infra.billing import errors
{code}
names = {{name.split(".")[0] for name in set(sys.modules) - before}}
print(json.dumps(sorted(names - sys.stdlib_module_names)))
"""


def loaded(code, **environ):
    """The names of what a fresh interpreter has loaded after `code`, without Python's own."""
    told = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(code=code)],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environ,
    )
    return set(json.loads(told.stdout))


VERIFY = """
secret, body = "whsec_" + "A" * 32, b'{"type": "ping", "timestamp": "", "sequence": 1, "data": {}}'
headers = billing.webhook.sign(body, secret, webhook_id="evt_1")
assert billing.webhook.verify(body, headers, secret).id == "evt_1"
"""


def test_a_receiver_of_webhooks_loads_nothing_but_the_sdk():
    assert loaded(VERIFY) == {"infra"}


def test_a_charge_over_http_loads_urllib3_and_no_models():
    with scripted_service() as service:
        names = loaded(CHARGE, BILLING_URL=service.url, BILLING_API_KEY="bk_1")
        assert len(service.asked) == 1
    # Compressions, if they are there.
    assert names - {"zstandard", "brotli", "brotlicffi", "_brotli", "backports"} == HTTP


def test_a_charge_over_a_broker_loads_no_urllib3_and_nothing_of_the_service():
    code = f"try: {CHARGE}\nexcept billing.Unavailable: pass"
    names = loaded(code, BILLING_URL="redis://127.0.0.1:1")
    assert {"kombu", "redis", "pydantic"} <= names
    assert not names & {"urllib3", "celery", "sqlalchemy", "sqlmodel", "fastapi"}
    assert not names & {"models", "payments", "tasks", "worker"}


AWAITED = """
import asyncio
from infra.billing.aio import Billing
async def charge():
    async with Billing() as client:
        try: await client.charge.create(amount=1, currency="USD")
        except billing.Unavailable: pass
asyncio.run(charge())
"""


def test_an_awaited_charge_over_http_loads_aiohttp_and_neither_urllib3_nor_models():
    with scripted_service() as service:
        names = loaded(AWAITED, BILLING_URL=service.url, BILLING_API_KEY="bk_1")
        assert len(service.asked) == 1
    assert "aiohttp" in names
    assert not names & {"urllib3", "kombu", "pydantic"}


def test_an_awaited_charge_over_a_broker_loads_neither():
    names = loaded(AWAITED, BILLING_URL="redis://127.0.0.1:1")
    assert {"kombu", "redis", "pydantic"} <= names
    assert not names & {"urllib3", "aiohttp"}


def test_it_imports_only_what_it_depends_on():
    used = set()
    for path in (ROOT / "infra").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                used.add((node.module or "").split(".")[0])
            elif isinstance(node, ast.Import):
                used |= {alias.name.split(".")[0] for alias in node.names}
    # amqp and redis come with kombu[redis], pydantic_core with pydantic, and yarl with aiohttp.
    assert used - sys.stdlib_module_names == BROKER - {"vine"} | {"aiohttp", "yarl"}


def test_only_the_wire_of_the_async_client_imports_aiohttp():
    for path in (ROOT / "infra").rglob("*.py"):
        if path.name != "async_wire.py":
            assert "import aiohttp" not in path.read_text(), path


def test_the_contract_stands_on_nothing_of_ours():
    """Nor on pydantic, but for the requests: receivers of webhooks need not have it."""
    for path in (ROOT / "infra" / "billing" / "contract").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("infra"):
                assert (node.module or "").startswith("infra.billing.contract"), path.name
    assert loaded("import infra.billing.contract.ids") == {"infra"}


def test_it_depends_on_four_distributions():
    names = [one.split(">")[0] for one in PROJECT["project"]["dependencies"]]
    assert names == ["iso4217", "kombu[redis]", "pydantic", "urllib3"]
    assert PROJECT["project"]["optional-dependencies"] == {"aio": ["aiohttp>=3.13"]}


def test_the_wheel_carries_the_sdk_and_that_it_is_typed():
    assert PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"] == {
        "only-include": ["infra/billing", "billing_sdk"]
    }
    assert (ROOT / "infra" / "billing" / "py.typed").exists()
    assert not (ROOT / "infra" / "__init__.py").exists(), "infra is a namespace others may share"


# An application with a package `infra` of its own, which hides ours.
HIDDEN = """
import sys
sys.path[:0] = [{application!r}, {wheel!r}]
import infra, infra.settings
try:
    import infra.billing
except ModuleNotFoundError:
    pass
else:
    raise SystemExit("nothing was in the way")
import billing_sdk as billing
import billing_sdk.webhook
from billing_sdk.errors import BillingError
from billing_sdk.aio import Billing
assert Billing(url="redis://127.0.0.1").charge.get
assert billing.webhook is billing_sdk.webhook
assert BillingError is billing.BillingError
import infra.billing
assert infra.billing.charge is billing.charge and infra.settings.OURS
print(billing.minor("19.99", "USD"), billing.__version__)
"""


def test_the_wheel_has_a_second_name_for_programs_with_an_infra_of_their_own(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", str(tmp_path)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "wheel")
    application = tmp_path / "application"
    (application / "infra").mkdir(parents=True)
    (application / "infra" / "__init__.py").touch()
    (application / "infra" / "settings.py").write_text("OURS = True")
    code = HIDDEN.format(application=str(application), wheel=str(tmp_path / "wheel"))
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert told.returncode == 0, told.stderr
    assert told.stdout.split() == ["1999", billing.__version__]


def test_its_version_stands_in_one_place():
    assert "version" in PROJECT["project"]["dynamic"]
    assert "version" not in PROJECT["project"]
    place = ROOT / PROJECT["tool"]["hatch"]["version"]["path"]
    assert place.read_text().endswith(f'\n__version__ = "{billing.__version__}"\n')


@every("name", billing.__all__)
def test_what_it_offers_is_there(name):
    assert getattr(billing, name) is not None


def test_every_error_can_be_caught_by_its_name_in_the_package() -> None:
    theirs = {
        name
        for name, one in vars(errors).items()
        if isinstance(one, type) and issubclass(one, billing.BillingError)
    }
    assert theirs <= set(billing.__all__)
