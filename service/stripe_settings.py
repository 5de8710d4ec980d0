"""Validation of Stripe's settings. Keys and secrets are never shown."""

import re
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

# A secret key or a restricted one, of test mode or live (docs.stripe.com/keys).
_API_KEY = re.compile(r"[sr]k_(test|live)_[A-Za-z0-9_]{8,250}")
_INSTALLATION = re.compile("([a-z0-9][a-z0-9.-]{0,39})?")
_WEBHOOK_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]{8,250}")


def _api_key(value: SecretStr) -> SecretStr:
    if value.get_secret_value() and not _API_KEY.fullmatch(value.get_secret_value()):
        raise ValueError
    return value


def _webhook_secrets(value: SecretStr) -> SecretStr:
    if not all(map(_WEBHOOK_SECRET.fullmatch, secrets_of(value))):
        raise ValueError
    return value


def _installation(value: str) -> str:
    if not _INSTALLATION.fullmatch(value):
        raise ValueError
    return value


def _api_base(value: str) -> str:
    """It gets the key, so it must be encrypted, or on this machine."""
    url = urlsplit(value)
    if not url.hostname or url.path or url.query or url.fragment or url.username is not None:
        raise ValueError
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.hostname)):
        raise ValueError
    return value


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def secrets_of(value: SecretStr) -> tuple[str, ...]:
    """The secrets that a setting lists, separated by commas."""
    return tuple(part for one in value.get_secret_value().split(",") if (part := one.strip()))


ApiKey = Annotated[SecretStr, AfterValidator(_api_key)]
WebhookSecrets = Annotated[SecretStr, AfterValidator(_webhook_secrets)]
# As a PaymentIntent names it.
Multicapture = Literal["off", "if_available"]
ApiBase = Annotated[str, AfterValidator(_api_base)]
Installation = Annotated[str, AfterValidator(_installation)]
