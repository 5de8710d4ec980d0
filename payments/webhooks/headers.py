"""An endpoint's own headers. Their values are credentials: they are sent, and never shown."""

from collections.abc import Mapping, Sequence
from typing import Any

from infra.billing.contract import endpoint_checks as rules
from models.rows import EndpointRow
from payments.access.vault import Vault
from payments.parsing import refusing
from payments.payment_errors import InvalidRequest
from payments.webhooks.sealed import seal_headers
from payments.webhooks.target import is_same_host


def columns_of(headers: Mapping[str, str]) -> dict[str, list[str]]:
    """The columns for sealed headers."""
    return {"header_names": [*headers], "header_values": [*headers.values()]}


def kept(names: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    """The sealed headers from these columns."""
    return dict(zip(names, values, strict=True))


def shown(row: Any) -> dict[str, str]:
    """Their names."""
    return dict.fromkeys(row.header_names, rules.MASKED)


def changed(
    row: EndpointRow, changes: Mapping[str, str | None], *, vault: Vault, url: str | None = None
) -> dict[str, list[str]]:
    """The columns with changes merged in: a text sets a name, whatever its case, and None removes
    it.

    If `url` names another host, values for the old host are not sent to the new one: a person who
    may change an endpoint need not know them, and could read them that way. Raises InvalidRequest.
    """
    named = {name.lower() for name in changes}
    stays = {
        name: value
        for name, value in kept(row.header_names, row.header_values).items()
        if name.lower() not in named
    }
    if stays and url is not None and not is_same_host(row.url, url):
        raise InvalidRequest(
            f"headers: the values of {', '.join(stays)} were not for the new url's host; send them"
            " again, or unset them with null",
            param="headers",
        )
    new = {name: value for name, value in changes.items() if value is not None}
    refusing(rules.at_most, len(stays) + len(new))
    return columns_of(stays | seal_headers(vault, row.id, new))
