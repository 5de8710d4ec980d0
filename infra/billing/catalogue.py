"""What may be asked of products, prices and stock: the checks that run before anything is sent.

Types, money and what belongs together are checked here, in the service's words and order. It has
more rules, such as that tiers rise, and says those itself.
"""

from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any, Final

from infra.billing import tariffs
from infra.billing.contract.catalog import check_lookup_key, currency_of
from infra.billing.contract.limits import LOOKUP_KEY_MAX
from infra.billing.contract.sentences import METADATA_OBJECT
from infra.billing.errors import InvalidRequest
from infra.billing.fields import checked as checked_by
from infra.billing.fields import (
    choice,
    flag,
    given,
    id_of,
    integer,
    long_text,
    optional_text,
    required,
    text,
    wrong,
)
from infra.billing.fields import metadata as checked_metadata


class Unset(Enum):
    """The type of the default in `update`: what is not passed stays as it is."""

    UNSET = "unset"

    def __repr__(self) -> str:
        return self.name


UNSET: Final = Unset.UNSET


def product_fields(
    *,
    name: object,
    description: object,
    active: object,
    type: object,
    metadata: object,
    idempotency_key: object,
) -> dict[str, Any]:
    """The fields of a product; absent ones left out. Raises InvalidRequest, as all of these do."""
    return given(
        idempotency_key=text("idempotency_key", idempotency_key),
        metadata=checked_metadata(metadata),
        name=text("name", name),
        description=long_text("description", description),
        active=flag("active", active),
        type=None if type is None else choice("type", type, ("good", "service")),
    )


def product_changes(
    *, name: object, description: object, active: object, metadata: object
) -> dict[str, Any]:
    """What is to change of a product: all but UNSET."""
    return _passed(
        active=_checked(active, _active),
        metadata=_checked(metadata, _merged),
        name=_checked(name, _name),
        description=_checked(description, partial(long_text, "description")),
    )


def price_fields(
    *,
    product_id: object,
    currency_id: object,
    unit_amount: object,
    type: object,
    recurring: object,
    tiers: object,
    tiers_mode: object,
    billing_scheme: object,
    transform_quantity: object,
    nickname: object,
    active: object,
    lookup_key: object,
    transfer_lookup_key: object,
    quantity_available: object,
    metadata: object,
    idempotency_key: object,
) -> dict[str, Any]:
    """The fields of a price; absent ones left out, amounts as digits."""
    # In the order in which the service looks at them, so that both name the same field first.
    key, metadata = text("idempotency_key", idempotency_key), checked_metadata(metadata)
    product = id_of("product_id", product_id, "prod_", "a product")
    currency = _currency_id(currency_id)
    return given(
        idempotency_key=key,
        metadata=metadata,
        product_id=product,
        currency_id=currency,
        recurring=tariffs.recurring(recurring),
        type=tariffs.type_of(type, recurring),
        tiers=tariffs.tiers(tiers),
        tiers_mode=tariffs.tiers_mode(tiers_mode, tiers),
        billing_scheme=tariffs.billing_scheme(billing_scheme, tiers),
        unit_amount=tariffs.unit_amount(
            unit_amount, tiers, currency=currency.removeprefix("cur_").upper()
        ),
        transform_quantity=tariffs.transform_quantity(transform_quantity, tiers),
        nickname=long_text("nickname", nickname),
        active=flag("active", active),
        lookup_key=_lookup_key(lookup_key),
        transfer_lookup_key=_transfer(transfer_lookup_key, lookup_key),
        quantity_available=None
        if quantity_available is None
        else integer("quantity_available", quantity_available, least=0),
    )


def price_changes(
    *,
    nickname: object,
    active: object,
    lookup_key: object,
    transfer_lookup_key: object,
    metadata: object,
) -> dict[str, Any]:
    """What is to change of a price: all but UNSET."""
    changes = _passed(
        active=_checked(active, _active),
        metadata=_checked(metadata, _merged),
        nickname=_checked(nickname, partial(long_text, "nickname")),
        lookup_key=_checked(lookup_key, _lookup_key),
    )
    transfer = _transfer(transfer_lookup_key, changes.get("lookup_key"))
    return changes | given(transfer_lookup_key=transfer)


def inventory_fields(
    *, quantity: object, action: object, idempotency_key: object
) -> dict[str, Any]:
    """A change of what is left of a price."""
    return {
        "idempotency_key": text("idempotency_key", idempotency_key),
        "quantity": integer("quantity", required("quantity", quantity), least=1),
        "action": choice("action", required("action", action), ("increment", "decrement")),
    }


def quote_fields(*, quantity: object) -> dict[str, Any]:
    """How many units one would buy; none, too."""
    return {"quantity": integer("quantity", required("quantity", quantity), least=0)}


def _currency_id(value: object) -> str:
    checked = required("currency_id", value)
    if not isinstance(checked, str):
        raise wrong("currency_id", "string_type")
    checked_by(currency_of, checked)
    return checked


def _lookup_key(value: object) -> str | None:
    checked = optional_text("lookup_key", value, length_max=LOOKUP_KEY_MAX)
    if checked is None:
        return None
    checked_by(check_lookup_key, checked)
    return checked


def _transfer(value: object, lookup_key: object) -> bool | None:
    checked = flag("transfer_lookup_key", value)
    if checked and lookup_key is None:
        raise InvalidRequest(
            "transfer_lookup_key needs the lookup_key that is to move",
            param="transfer_lookup_key",
        )
    return checked or None


def _active(value: object) -> bool | None:
    if value is None:
        raise wrong("active", "bool_type")
    return flag("active", value)


def _merged(value: object) -> dict[str, Any] | None:
    if value is None:
        raise InvalidRequest(METADATA_OBJECT, param="metadata")
    return checked_metadata(value, may_unset=True)


def _name(value: object) -> str:
    if value is None:  # what is changed is not required, and can't be nothing either
        raise wrong("name", "string_type")
    return text("name", value)


def _checked(value: object, check: Callable[[object], object]) -> object:
    return value if value is UNSET else check(value)


def _passed(**fields: object) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not UNSET}
