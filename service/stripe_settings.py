"""Stripe's settings, and what they may be. Keys and secrets are never shown."""

import re
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings

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


class StripeSettings(BaseSettings):
    """The Stripe account, and what it may do."""

    # The secret key of the Stripe account, or a restricted key that may write PaymentIntents and
    # refunds. Its prefix says whether money is real.
    stripe_api_key: ApiKey = Field(
        default=SecretStr(""),
        description="a key of Stripe's: sk_test_…, sk_live_…, rk_test_… or rk_live_…,"
        " with 8 characters or more behind that",
    )
    # The signing secrets of the endpoint that Stripe sends its events to. Several, while one is
    # rolled: the old one signs for up to a day more.
    stripe_webhook_secrets: WebhookSecrets = Field(
        default=SecretStr(""),
        description="signing secrets of Stripe's (whsec_…), separated by commas",
    )
    # The name of this installation's objects at Stripe, beside our ids: several installations may
    # share an account. Unset, a name that the database keeps from its first use on. A name in use
    # can't be changed.
    stripe_installation: Installation = Field(
        default="",
        description="a name of up to 40 small letters, digits, dots and dashes",
    )
    # Where Stripe's API answers. Another one only for tests, and for stand-ins on this machine.
    stripe_api_base: ApiBase = Field(
        default="https://api.stripe.com",
        description="https://…, or http://… on this machine, without a path",
    )
    # Whether a charge may be captured in parts. Off, because Stripe refuses every charge that is to
    # be captured by hand for an account without the feature (multicapture).
    stripe_multicapture: Multicapture = Field("off", description="off or if_available")
