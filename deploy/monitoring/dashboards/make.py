"""Writes the Grafana dashboards beside it: `python deploy/monitoring/dashboards/make.py`.

A panel is a title, a unit and its queries; where it stands follows from their order.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
# A rate over four scrapes at least, whatever the zoom.
RATE = "[$__rate_interval]"


@dataclass(frozen=True)
class Panel:
    """`queries` are PromQL by the name of what they show. A `stat` turns red at `bad`."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    bad: float | None = None
    says: str = ""
    stacked: bool = False


@dataclass(frozen=True)
class Row:
    title: str
    panels: Sequence[Panel] = field(default_factory=tuple)


def quantiles(histogram: str, by: str = "", **labels: str) -> dict[str, str]:
    """The median, the 95th and the 99th percentile of a histogram."""
    where = ",".join(f'{name}="{value}"' for name, value in labels.items())
    buckets = f"sum by (le{by}) (rate({histogram}_bucket{{{where}}}{RATE}))"
    return {f"p{q * 100:g}": f"histogram_quantile({q}, {buckets})" for q in (0.5, 0.95, 0.99)}


PAYMENTS = (
    Row(
        "Now",
        (
            Panel("Processes", {"up": 'sum(up{job="billing"})'}, kind="stat", width=3),
            Panel(
                "Accepted per second",
                {"accepted": f"sum(rate(billing_accepted_total{RATE}))"},
                kind="stat",
                width=3,
                unit="reqps",
            ),
            Panel(
                "Charges that succeed",
                {
                    "share": 'sum(rate(billing_settled_total{operation="charge",'
                    'state="succeeded"}[1h])) / sum(rate(billing_settled_total'
                    '{operation="charge"}[1h]))'
                },
                kind="stat",
                width=3,
                unit="percentunit",
            ),
            Panel(
                "Longest overdue",
                {"overdue": "max(billing_overdue_oldest_seconds)"},
                kind="stat",
                width=3,
                unit="s",
                bad=60,
                says="What is due is taken up within a second or two.",
            ),
            Panel(
                "Unknown",
                {
                    "unknown": "sum(max by (operation)"
                    ' (billing_pending{phase="unknown"})) or vector(0)'
                },
                kind="stat",
                width=3,
                bad=100,
                says="Money may have moved; each is looked up.",
            ),
            Panel(
                "Need review",
                {
                    "review": "sum(max by (operation)"
                    ' (billing_pending{phase="needs_review"})) or vector(0)'
                },
                kind="stat",
                width=3,
                bad=1,
                says="A person decides: billing resolve.",
            ),
            Panel("In quarantine", {"n": "max(billing_quarantined)"}, kind="stat", width=3, bad=1),
            Panel(
                "Oldest sweep",
                {"age": 'max(billing_sweep_age_seconds{sweep!="secrets"})'},
                kind="stat",
                width=3,
                unit="s",
                bad=30,
            ),
        ),
    ),
    Row(
        "Payments",
        (
            Panel(
                "Accepted, by door",
                {
                    "{{operation}} by {{door}}": "sum by (operation, door)"
                    f" (rate(billing_accepted_total{RATE}))"
                },
                unit="reqps",
            ),
            Panel(
                "Final, by state",
                {
                    "{{operation}} {{state}}": "sum by (operation, state)"
                    f" (rate(billing_settled_total{RATE}))"
                },
                unit="reqps",
            ),
            Panel(
                "Failures, by code",
                {
                    "{{failure_code}}": "sum by (failure_code)"
                    f' (rate(billing_settled_total{{state="failed"}}{RATE}))'
                },
                unit="reqps",
                stacked=True,
            ),
            Panel(
                "From accepted to final",
                quantiles("billing_accept_to_final_seconds", operation="charge"),
                unit="s",
                says="Of charges. Dots are examples: click one to see its trace.",
            ),
            Panel(
                "Pending, by phase",
                {
                    "{{operation}} {{phase}}": "max by (operation, phase) (billing_pending)",
                },
                stacked=True,
            ),
            Panel(
                "Oldest pending, by phase",
                {
                    "{{operation}} {{phase}}": "max by (operation, phase)"
                    " (billing_pending_oldest_seconds)"
                },
                unit="s",
            ),
        ),
    ),
    Row(
        "Processors",
        (
            Panel(
                "Attempts, by outcome",
                {
                    "{{verb}} {{outcome}}": "sum by (verb, outcome)"
                    f" (rate(billing_attempts_total{RATE}))"
                },
                unit="reqps",
                stacked=True,
            ),
            Panel(
                "Calls: p95",
                {
                    "{{processor}} {{verb}}": "histogram_quantile(0.95,"
                    " sum by (processor, verb, le)"
                    f" (rate(billing_processor_call_seconds_bucket{RATE})))"
                },
                unit="s",
            ),
            Panel(
                "Calls without an answer",
                {
                    "{{processor}} {{outcome}}": "sum by (processor, outcome)"
                    ' (rate(billing_processor_call_seconds_count{outcome=~"unknown|unavailable"}'
                    f"{RATE}))"
                },
                unit="reqps",
            ),
        ),
    ),
    Row(
        "Doors",
        (
            Panel(
                "HTTP requests, by status",
                {"{{status}}": f"sum by (status) (rate(billing_http_requests_total{RATE}))"},
                unit="reqps",
                stacked=True,
            ),
            Panel(
                "HTTP: p99, by route",
                {
                    "{{method}} {{route}}": "histogram_quantile(0.99, sum by (method, route, le)"
                    f" (rate(billing_http_request_seconds_bucket{RATE})))"
                },
                unit="s",
            ),
            Panel(
                "Messages that were refused",
                {
                    "{{task}} {{code}}": "sum by (task, code)"
                    f" (rate(billing_messages_refused_total{RATE}))"
                },
                unit="reqps",
            ),
        ),
    ),
    Row(
        "Processes",
        (
            Panel(
                "Slots taken",
                {"{{instance}}": "billing_in_flight / (billing_slots > 0)"},
                unit="percentunit",
            ),
            Panel(
                "CPU",
                {
                    "{{process}} {{instance}}": 'rate(process_cpu_seconds_total{job="billing"}'
                    f"{RATE})"
                },
                unit="percentunit",
            ),
            Panel(
                "Memory",
                {"{{process}} {{instance}}": 'process_resident_memory_bytes{job="billing"}'},
                unit="bytes",
            ),
            Panel(
                "Sweeps: mean time",
                {
                    "{{sweep}}": f"sum by (sweep) (rate(billing_sweep_seconds_sum{RATE}))"
                    f" / sum by (sweep) (rate(billing_sweep_seconds_count{RATE}))"
                },
                unit="s",
            ),
            Panel(
                "Dead rows, by table",
                {"{{table}}": "max by (table) (billing_table_dead_rows)"},
            ),
            Panel(
                "Stock that pending charges hold",
                {
                    "units": "max(billing_stock_held_units)",
                    "charges": "max(billing_stock_held_charges)",
                },
            ),
        ),
    ),
)
WEBHOOKS = (
    Row(
        "Now",
        (
            Panel(
                "Endpoints",
                {"{{state}}": "max by (state) (billing_webhook_endpoints)"},
                kind="stat",
                width=8,
            ),
            Panel(
                "Longest overdue",
                {"overdue": "max(billing_webhook_overdue_seconds) or vector(0)"},
                kind="stat",
                width=8,
                unit="s",
                bad=120,
            ),
            Panel(
                "First attempts that are taken",
                {
                    "share": "sum(rate(billing_webhook_posts_total"
                    '{attempt="first",answer="2xx"}[1h]))'
                    ' / sum(rate(billing_webhook_posts_total{attempt="first"}[1h]))'
                },
                kind="stat",
                width=8,
                unit="percentunit",
            ),
        ),
    ),
    Row(
        "Delivery",
        (
            Panel(
                "From commit to arrival",
                quantiles("billing_commit_to_arrival_seconds", attempt="first"),
                unit="s",
                says="Of webhooks whose first attempt was taken.",
            ),
            Panel(
                "Posts, by answer",
                {
                    "{{attempt}} {{answer}}": "sum by (attempt, answer)"
                    f" (rate(billing_webhook_posts_total{RATE}))"
                },
                unit="reqps",
                stacked=True,
            ),
            Panel(
                "How long receivers take",
                quantiles("billing_webhook_post_seconds"),
                unit="s",
            ),
            Panel(
                "Deliveries that are over",
                {"{{state}}": f"sum by (state) (rate(billing_webhook_deliveries_total{RATE}))"},
                unit="reqps",
            ),
            Panel(
                "Overdue, by endpoint",
                {"{{endpoint_id}}": "max by (endpoint_id) (billing_webhook_overdue_seconds)"},
                unit="s",
                says="The twenty that are worst.",
            ),
            Panel(
                "Failing for, by endpoint",
                {"{{endpoint_id}}": "max by (endpoint_id) (billing_webhook_failing_seconds)"},
                unit="s",
                says="Nothing but failures for so long; the twenty that are worst.",
            ),
        ),
    ),
)
DASHBOARDS = {"billing": ("Billing", PAYMENTS), "billing-webhooks": ("Billing: webhooks", WEBHOOKS)}


def dashboard(uid: str) -> dict[str, Any]:
    """A dashboard as Grafana imports it."""
    title, rows = DASHBOARDS[uid]
    return {
        "uid": uid,
        "title": title,
        "tags": ["billing"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [
            {
                "type": "dashboards",
                "title": "Billing",
                "tags": ["billing"],
                "asDropdown": False,
                "includeVars": True,
                "keepTime": True,
            }
        ],
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "type": "datasource",
                    "query": "prometheus",
                    "label": "Prometheus",
                }
            ]
        },
        "panels": list(_laid_out(rows)),
    }


def _laid_out(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for row in rows:
        number += 1
        place = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "gridPos": place,
            "panels": [],
        }
        y, x = y + 1, 0
        for panel in row.panels:
            height = 4 if panel.kind == "stat" else 8
            if x + panel.width > WIDTH:
                x, y = 0, y + height
            number += 1
            place = {"x": x, "y": y, "w": panel.width, "h": height}
            yield {"id": number, "gridPos": place, **_panel(panel)}
            x += panel.width
        y += height


def _panel(one: Panel) -> dict[str, Any]:
    is_stat = one.kind == "stat"
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if one.bad is not None:
        steps.append({"color": "red", "value": one.bad})
    defaults: dict[str, Any] = {
        "unit": one.unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
        "color": {"mode": "thresholds" if is_stat else "palette-classic"},
    }
    options: dict[str, Any] = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value" if one.bad is not None else "none",
        "graphMode": "area",
        "textMode": "auto",
    }
    if not is_stat:
        defaults["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 30 if one.stacked else 0,
            "showPoints": "never",
            "stacking": {"mode": "normal" if one.stacked else "none", "group": "A"},
        }
        options = {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    return {
        "type": one.kind,
        "title": one.title,
        "description": one.says,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": options,
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": DATASOURCE,
                "expr": query,
                "legendFormat": name,
                "exemplar": "_bucket" in query,
                "instant": False,
                "range": True,
            }
            for place, (name, query) in enumerate(one.queries.items())
        ],
    }


def text_of(uid: str) -> str:
    """The file of a dashboard."""
    return json.dumps(dashboard(uid), indent=1) + "\n"


if __name__ == "__main__":
    for name in DASHBOARDS:
        (HERE / f"{name}.json").write_text(text_of(name))
