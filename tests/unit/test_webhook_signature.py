"""Signatures: the specification's own example, and the reference library as a second opinion."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from infra.billing.contract.signatures import key_of, new_secret, signed_headers

# The example that the specification's libraries share.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'


def test_the_signature_is_the_one_of_the_specifications_example() -> None:
    headers = signed_headers(
        [key_of(SECRET)], webhook_id=MESSAGE_ID, timestamp=1614265330, body=BODY
    )
    assert headers == {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@given(body=st.dictionaries(st.text(), st.text() | st.integers()))
def test_the_reference_library_accepts_what_we_sign(body: dict[str, object]) -> None:
    secret = new_secret()
    text = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    now = int(datetime.now(UTC).timestamp())
    headers = signed_headers([key_of(secret)], webhook_id="evt_1", timestamp=now, body=text)
    assert Webhook(secret).verify(text, headers) == json.loads(text)


def test_while_a_secret_rotates_the_receiver_may_know_the_old_or_the_new_one() -> None:
    new, old, stranger = new_secret(), new_secret(), new_secret()
    now = int(datetime.now(UTC).timestamp())
    headers = signed_headers(
        [key_of(new), key_of(old)], webhook_id="evt_1", timestamp=now, body=BODY
    )
    assert headers["webhook-signature"].count("v1,") == 2
    Webhook(new).verify(BODY, headers)
    Webhook(old).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(stranger).verify(BODY, headers)


@pytest.mark.parametrize(
    "change",
    [{"webhook-id": "evt_2"}, {"webhook-timestamp": str(int(datetime.now(UTC).timestamp()) - 1)}],
)
def test_id_and_timestamp_are_signed_too(change: dict[str, str]) -> None:
    secret = new_secret()
    now = int(datetime.now(UTC).timestamp())
    headers = signed_headers([key_of(secret)], webhook_id="evt_1", timestamp=now, body=BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY, headers | change)


def test_a_new_secret_holds_32_random_bytes() -> None:
    one, another = new_secret(), new_secret()
    assert one != another
    assert one.startswith("whsec_")
    assert len(key_of(one)) == 32


def test_the_key_is_what_the_secret_decodes_to_not_its_text() -> None:
    assert key_of("whsec_" + base64.b64encode(b"k" * 32).decode()) == b"k" * 32


def test_a_secret_that_is_none_is_refused_without_being_shown() -> None:
    with pytest.raises(ValueError, match="base64") as refused:
        key_of("whsec_not*base64")
    assert "not*base64" not in str(refused.value)
    assert refused.value.__cause__ is None
