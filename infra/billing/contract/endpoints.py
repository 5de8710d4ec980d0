"""What may be asked of webhook endpoints: the checks of each field. All raise Invalid."""

from collections.abc import Sequence

from infra.billing.contract.card_data import CARD_DATA, holds_card_data
from infra.billing.contract.invalid import Invalid
from infra.billing.contract.limits import (
    ENDPOINT_DESCRIPTION_MAX,
    EVENT_IDS_MAX,
    IN_FLIGHT_MAX,
    OVERLAP_MAX_S,
    URL_MAX,
)
from infra.billing.contract.sentences import CONTROL, sentence
from infra.billing.contract.texts import is_storable, is_unicode


def url(value: object) -> str:
    """A text that may be a URL; whether it leads anywhere is for the service to say."""
    if not isinstance(value, str) or not 1 <= len(value) <= URL_MAX:
        raise Invalid(
            f"url must be a string of at most {URL_MAX} characters, like"
            " https://example.com/webhooks",
            param="url",
        )
    if " " in value or not is_storable(value):
        raise Invalid("url must not contain spaces or control characters", param="url")
    return value


def description(value: object) -> str:
    """What people call the endpoint."""
    param = "description"
    if not (isinstance(value, str) and is_unicode(value)):
        raise Invalid(sentence(param, "string_type", {}), param=param)
    if len(value) > ENDPOINT_DESCRIPTION_MAX:
        facts = {"max_length": ENDPOINT_DESCRIPTION_MAX}
        raise Invalid(sentence(param, "string_too_long", facts), param=param)
    if not is_storable(value):
        raise Invalid(f"{param}: {CONTROL}", param=param)
    if holds_card_data(value):
        raise Invalid(f"{param} {CARD_DATA}", param=param)
    return value


def max_in_flight(value: object) -> int:
    """How many webhooks may be under way there at once."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= IN_FLIGHT_MAX:
        facts = {"least": 1, "most": IN_FLIGHT_MAX}
        raise Invalid(sentence("max_in_flight", "whole_number", facts), param="max_in_flight")
    return value


def overlap_s(value: object) -> int:
    """For how long the secret before signs, too, in whole seconds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise Invalid("overlap_s must be a whole number of seconds", param="overlap_s")
    if not 0 <= value <= OVERLAP_MAX_S:
        raise Invalid(f"overlap_s must be from 0 to {OVERLAP_MAX_S} seconds", param="overlap_s")
    return value


def event_ids(value: object) -> list[str]:
    """The events that are to be sent again."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise Invalid('event_ids must be a list of ids, like ["evt_…"]', param="event_ids")
    if not 1 <= len(value) <= EVENT_IDS_MAX or not all(isinstance(one, str) for one in value):
        raise Invalid(f"event_ids must be 1 to {EVENT_IDS_MAX} ids", param="event_ids")
    return [*value]
