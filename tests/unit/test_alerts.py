"""Alerts, their runbooks and the dashboards: of metrics that there are, and each of use."""

import json
import re
import runpy
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import Counter, Histogram

from api.documents import metric_reference
from service.metrics import metric_catalogue
from tests.support.promised import program

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "deploy" / "monitoring"
RUNBOOKS = ROOT / "docs" / "runbooks"
ALERTS = [
    rule
    for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
MAKER = runpy.run_path(str(MONITORING / "dashboards" / "make.py"))
DASHBOARDS: Mapping[str, Any] = {uid: MAKER["dashboard"](uid) for uid in MAKER["DASHBOARDS"]}
QUERIES = [
    target["expr"]
    for one in DASHBOARDS.values()
    for panel in one["panels"]
    for target in panel.get("targets", ())
]


def series() -> set[str]:
    """The names under which there is anything."""
    names = set(re.findall(r"`(billing_\w+)`", metric_reference.document()))
    for one in vars(metric_catalogue).values():
        if isinstance(one, Histogram):
            (family,) = one.describe()
            names |= {f"{family.name}_{part}" for part in ("bucket", "sum", "count")}
        elif isinstance(one, Counter):
            names.add(f"{next(iter(one.describe())).name}_total")
    return names


def test_alerts_and_dashboards_ask_for_metrics_that_there_are() -> None:
    asked = {
        name
        for query in [*(rule["expr"] for rule in ALERTS), *QUERIES]
        for name in re.findall(r"\bbilling_\w+", query)
    }
    assert len(asked) > 20
    assert asked <= series()


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    names = {rule["alert"] for rule in ALERTS}
    assert names == {path.stem for path in RUNBOOKS.glob("*.md")} - {"index"}
    index = (RUNBOOKS / "index.md").read_text()
    for rule in ALERTS:
        page = (ROOT / rule["annotations"]["runbook_url"]).read_text()
        assert page.startswith(f"# {rule['alert']}\n")
        told = f"The alert ({rule['labels']['severity']}, after {rule['for']}): "
        assert told in page, rule["alert"]
        for heading in ("## What it means", "## See more", "## What to do"):
            assert heading in page, rule["alert"]
        assert f"]({rule['alert']}.md)" in index


def test_the_commands_of_runbooks_are_ours_and_there() -> None:
    commands = (ROOT / "docs/reference/command-line.md").read_text()
    for path in RUNBOOKS.glob("Billing*.md"):
        for command in re.findall(r"\bbilling ((?:[a-z]+ )*[a-z]+)", _code_of(path.read_text())):
            verbs = command.split()
            known = any(
                f"billing {' '.join(verbs[:n])}" in commands for n in range(len(verbs), 0, -1)
            )
            assert known, (path.name, command)


def _code_of(page: str) -> str:
    blocks = re.findall(r"```sh\n(.+?)```", page, re.DOTALL)
    return "\n".join([*blocks, *re.findall(r"`([^`\n]+)`", page)])


def test_each_alert_is_tried_firing_and_quiet() -> None:
    tried: dict[str, set[bool]] = {}
    for one in yaml.safe_load((MONITORING / "alerts_test.yml").read_text())["tests"]:
        for case in one["alert_rule_test"]:
            tried.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    assert tried == {rule["alert"]: {True, False} for rule in ALERTS}


def test_the_dashboards_are_what_their_maker_writes() -> None:
    for uid in DASHBOARDS:
        file = MONITORING / "dashboards" / f"{uid}.json"
        assert file.read_text() == MAKER["text_of"](uid), "run deploy/monitoring/dashboards/make.py"


def test_panels_have_numbers_of_their_own_and_fit_beside_each_other() -> None:
    for one in DASHBOARDS.values():
        panels = one["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridPos"]
            assert at["x"] + at["w"] <= 24
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & taken, panel["title"]
            taken |= cells


@pytest.fixture
def promtool() -> str:
    return program("promtool")  # Debian: apt install prometheus


def test_promtool_finds_the_rules_and_the_configuration_right(promtool: str) -> None:
    for what, file in (("rules", "alerts.yml"), ("config", "prometheus.yml")):
        subprocess.run([promtool, "check", what, file], cwd=MONITORING, check=True)


def test_alerts_fire_when_they_should_and_not_when_they_should_not(promtool: str) -> None:
    subprocess.run([promtool, "test", "rules", "alerts_test.yml"], cwd=MONITORING, check=True)


def test_the_queries_of_dashboards_can_be_read(promtool: str, tmp_path: Path) -> None:
    rules = [
        {"record": f"query_{n}", "expr": query.replace("$__rate_interval", "1m")}
        for n, query in enumerate(QUERIES)
    ]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))
    subprocess.run([promtool, "check", "rules", str(file)], check=True)
