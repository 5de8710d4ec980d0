"""Small charts, drawn as SVG: no script, no library in the page, readable by a screen reader."""

from collections.abc import Sequence

from markupsafe import Markup

from payments.audit.pulse import Minute

WIDTH, HEIGHT, GAP = 720, 120, 2


def by_minute(minutes: Sequence[Minute]) -> Markup:
    """A bar for each minute, split by the state of its charges; its tooltip has the numbers."""
    top = max(1, *(one.succeeded + one.failed + one.pending for one in minutes))
    step = WIDTH / len(minutes)
    bars = Markup().join(
        _bar(one, x=n * step, width=step - GAP, top=top) for n, one in enumerate(minutes)
    )
    total = sum(one.succeeded + one.failed + one.pending for one in minutes)
    label = f"Charges by minute over the last {len(minutes)} minutes: {total}, at most {top} in one"
    axis = Markup(
        '<text class="axis" x="3" y="10">{} a minute</text>'
        '<text class="axis" x="3" y="{y}">{:%H:%M}</text>'
        '<text class="axis end" x="{}" y="{y}">{:%H:%M} UTC</text>'
    ).format(top, minutes[0].at, WIDTH - 3, minutes[-1].at, y=HEIGHT + 11)
    return Markup(
        '<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>'
    ).format(WIDTH, HEIGHT + 15, label, bars, axis)


def _bar(one: Minute, *, x: float, width: float, top: int) -> Markup:
    parts, y = [], float(HEIGHT)
    for name in ("succeeded", "pending", "failed"):
        height = getattr(one, name) / top * (HEIGHT - 4)
        y -= height
        if height:
            parts.append(
                Markup(
                    '<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>'
                ).format(name, x, y, width, height)
            )
    told = f"{one.at:%H:%M}: {one.succeeded} succeeded, {one.failed} failed, {one.pending} pending"
    return Markup("<g><title>{}</title>{}</g>").format(told, Markup().join(parts))
