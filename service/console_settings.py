"""The settings of the console."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode


def _names(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]


class ConsoleSettings(BaseSettings):
    """A part of `service.settings.Settings`, which says how it is read."""

    # Whether the HTTP service has the console. On: without an API key it shows nothing.
    console: Literal["on", "off"] = Field(default="on", description="on or off")
    # The header in which a proxy names the user that it has signed in (OIDC, SAML), for a console
    # without keys. It is trusted only from BILLING_HTTP_TRUSTED_PROXIES, which must remove that
    # header from clients' requests. Unset, people sign in with an API key.
    console_proxy_header: str = Field(
        default="",
        pattern=r"^([A-Za-z][A-Za-z0-9-]{0,63})?$",
        description="the name of a header, such as X-Forwarded-Email",
    )
    # Which of the users that the proxy names may act. All others may only read.
    console_operators: Names = Field(
        default=(),
        description="names separated by commas, as BILLING_CONSOLE_PROXY_HEADER has them, such as"
        " ann@example.com,bob@example.com",
    )
