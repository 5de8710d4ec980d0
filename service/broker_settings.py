"""Validation of the broker's settings: its URL, and the additional queues of workers."""

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError
from pydantic_settings import NoDecode

from infra.billing import brokers

# Errors of this type may be shown: their text quotes no value.
TOLD = "told"

OUR_QUEUES = frozenset({"payments", "webhooks", "billing.dead"})
_QUEUE = re.compile(r"[A-Za-z0-9._-]{1,100}")


def _url(value: str) -> str:
    try:
        if value:
            brokers.parse(value)
    except brokers.BrokerUrlError as wrong:
        raise PydanticCustomError(TOLD, "{reason}", {"reason": str(wrong)}) from None
    return value


def _queues(value: object) -> object:
    if isinstance(value, str):
        value = tuple(part.strip() for part in value.split(",") if part.strip())
    for name in value if isinstance(value, tuple) else ():
        if not _QUEUE.fullmatch(name) or name in OUR_QUEUES:
            raise ValueError
    return value


BrokerUrl = Annotated[str, AfterValidator(_url)]
QueueNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_queues)]
