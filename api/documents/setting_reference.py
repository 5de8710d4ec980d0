"""docs/reference/settings.md: every setting, its default, what it takes, and the reason."""

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence

from api.documents.markdown import NOTICE
from service.settings import Settings, variable

# By the first words of a name, in the order of the page; what no other heading takes is the last's.
GROUPS: Mapping[str, Sequence[str]] = {
    "Database and broker": ("database_", "broker_", "extra_queues", "data_dir", "encryption_"),
    "Processors": ("processor", "customer_", "call_", "sandbox_", "stripe_"),
    "HTTP": ("http_",),
    "Webhooks": ("webhook_", "drain_"),
    "What is kept": ("keep_",),
    "Metrics and traces": ("metrics_", "traces_", "sentry_"),
    "Workers and logs": ("",),
}


def document() -> str:
    """The page."""
    return "\n".join(
        [
            "# Settings",
            "",
            (
                "Every environment variable that the service reads, with its default, the values"
                " it takes, and the reason for the default."
            ),
            "",
            NOTICE,
            "",
            (
                "An empty variable counts as unset. A wrong value, or a misspelled name, is refused"
                " at start by name. There is no settings file; durations are in the unit that ends"
                " the name (`_s` seconds, `_ms` milliseconds). Each can be given by a file, too, as"
                " containers get their secrets: `BILLING_DATABASE_URL_FILE` is the absolute path of"
                " a file that holds the value of `BILLING_DATABASE_URL`; only one of the two may be"
                " set. The SDK's own variables"
                " (`BILLING_URL`, `BILLING_API_KEY`, `BILLING_SIGNING_KEY`) are on the page of"
                " the [Python SDK](python.md)."
            ),
            "",
            *_sections(),
        ]
    )


def reasons() -> Mapping[str, str]:
    """What stands above each field of the settings, by its name: what it is for, and why so."""
    return {
        name: why
        for part in Settings.__mro__
        if part.__module__.startswith("service.")
        for name, why in _reasons_in(inspect.getsource(part).splitlines())
    }


def _reasons_in(source: Sequence[str]) -> Iterator[tuple[str, str]]:
    (found,) = ast.parse("\n".join(source)).body
    assert isinstance(found, ast.ClassDef)
    for node in found.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, " ".join(_above(source, node.lineno))


def _above(source: Sequence[str], line: int) -> Sequence[str]:
    """The comment that ends right above a line (counted from 1)."""
    lines: list[str] = []
    for text in reversed(source[: line - 1]):
        if not text.strip().startswith("#"):
            break
        lines.insert(0, text.strip().removeprefix("#").strip())
    return lines


def _sections() -> Iterator[str]:
    left = dict(Settings.model_fields)
    why = reasons()
    for heading, beginnings in GROUPS.items():
        yield f"## {heading}"
        yield ""
        for name in [one for one in left if one.startswith(tuple(beginnings))]:
            field = left.pop(name)
            yield f"### {variable(name)}"
            yield ""
            yield why[name]
            yield ""
            yield f"- Default: {_default(name)}"
            yield f"- Takes: {field.description}"
            yield ""


def _default(name: str) -> str:
    if name == "data_dir":
        return "`.billing` in the checkout"  # not where this checkout stands
    value = Settings.model_fields[name].get_default(call_default_factory=True)
    if value is None or value == {}:
        return "unset"
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"`{text.removesuffix('.0')}`" if text else "unset"
