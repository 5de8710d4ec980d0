"""docs/reference/deprecations.md: how long what callers see stays, and what ends when."""

from collections.abc import Sequence

from api.documents.markdown import NOTICE, linked, table
from api.edge.deprecations import DEPRECATIONS, MONTHS_MIN, Deprecation

POLICY = f"""\
## What stays

What you can see from outside stays as it is within `/v1`: routes, fields and their meaning, error
codes, webhook events and their signatures, the messages of the broker, the SDK's verbs, commands
with their options and exit codes, settings, metrics and the columns of exports. New ones may come
at any time, so ignore fields, events and codes that you don't know.

When one of them has to end, three things happen, at least {MONTHS_MIN} months before it does:

1. It is in the table below, and under **Deprecated** in the
   [changelog](../../CHANGELOG.md), with what to use instead.
2. If it is an operation of HTTP, every answer of it says so, and [openapi.json](openapi.json) has
   `deprecated: true`:

    ```text
    Deprecation: @1798761600
    Sunset: Sat, 01 Jan 2028 00:00:00 GMT
    Link: </openapi.json>; rel="deprecation"; type="application/json"
    Link: </v1/billing/charges>; rel="successor-version"
    ```

    [`Deprecation`](https://www.rfc-editor.org/rfc/rfc9745) is since when, as seconds since 1970,
    and [`Sunset`](https://www.rfc-editor.org/rfc/rfc8594) until when it is answered at least.
3. The number of releases doesn't matter: two a week or none in a year, it is the date that counts.

What is not promised: the tables in PostgreSQL (read them through `billing`, HTTP or exports), log
lines, the console's pages, and what a page calls internal. A hole in security is closed at once.

How many still use an operation: `billing_http_requests_total` by `route` ([Metrics](metrics.md)).
"""


def document(deprecations: Sequence[Deprecation] = DEPRECATIONS) -> str:
    """The page."""
    return "\n".join(
        [
            "# Deprecations",
            "",
            "How long you can rely on what you use, and everything that is going to end.",
            "",
            NOTICE,
            "",
            POLICY,
            "## What ends",
            "",
            *_table(deprecations),
        ]
    )


def _table(deprecations: Sequence[Deprecation]) -> Sequence[str]:
    if not deprecations:
        return ["Nothing, at present.", ""]
    rows = [
        (one.what, one.since.isoformat(), one.sunset.isoformat(), linked(one.instead))
        for one in sorted(deprecations, key=lambda one: one.sunset)
    ]
    return [*table(("what", "deprecated since", "stays until", "use instead"), rows)]
