"""The plot: bars of the medians with their spread. Runs in the environment of the tools:
`python plot.py figures.json figures.svg`."""

import json
import sys
from statistics import median

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "billing", "font.size": 9}
from matplotlib import pyplot as plt  # noqa: E402  # after the choice of what it draws with

SERVERS = ("postgres", "redis", "rabbitmq")
OURS, THEIRS, CEILING = "#2b6cb0", "#a0aec0", "#d69e2e"


def own_cpu_ms(run):
    return sum(ms for role, ms in run["cpu_ms"].items() if role not in SERVERS)


PANELS = (
    ("burst", "W1: charges/s", lambda run: run["charges_per_s"]),
    ("burst", "W1: own CPU, ms a charge", own_cpu_ms),
    ("burst", "W1: WAL, kB a charge", lambda run: run["wal_kb"]),
    ("slow", "W2: charges/s", lambda run: run["charges_per_s"]),
    ("steady", "W3: p50, ms to the webhook", lambda run: run["p50_ms"]),
    ("steady", "W3: p99, ms to the webhook", lambda run: run["p99_ms"]),
)


def main(data, picture):
    with open(data) as file:  # noqa: PTH123  # no more than it needs
        document = json.load(file)
    panels = [panel for panel in PANELS if document["scenarios"].get(panel[0], {}).get("rounds")]
    figure, axes = plt.subplots(2, 3, figsize=(11, 5.2), layout="constrained")
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (scenario, title, value) in zip(axes.flat, panels, strict=False):
        rounds = document["scenarios"][scenario]["rounds"]
        names = list(rounds)[::-1]
        values = [[value(run) for run in rounds[name]] for name in names]
        middles = [median(each) for each in values]
        errors = [
            [middle - min(each) for middle, each in zip(middles, values, strict=True)],
            [max(each) - middle for middle, each in zip(middles, values, strict=True)],
        ]
        colors = [
            CEILING if name == "ceiling" else OURS if name.startswith("ours") else THEIRS
            for name in names
        ]
        bars = axis.barh(names, middles, xerr=errors, color=colors, ecolor="#4a5568", capsize=2)
        axis.bar_label(bars, [f"{each:,.4g}" for each in middles], padding=4, fontsize=8)
        axis.set_title(title, fontsize=10)
        axis.margins(x=0.2)
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    main(*sys.argv[1:])
