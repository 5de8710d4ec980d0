"""A receiver verifies webhooks with the SDK; Standard Webhooks' own library agrees with it."""

import base64
import json
import time
from datetime import UTC, datetime
from http.client import HTTPMessage

import pytest
import standardwebhooks

from infra import billing
from infra.billing.contract.signatures import key_of, new_secret, signed_headers
from tests.support.every import every

SECRET, OTHER = new_secret(), new_secret()
BODY = json.dumps(
    {
        "type": "charge.succeeded",
        "timestamp": "2026-11-22T10:00:00.000000Z",
        "sequence": 2,
        "data": {"object": "charge", "charge_id": "ch_1", "state": "succeeded", "amount": 1999},
    }
).encode()
NOW = 1_800_000_000


def a_webhook(body=BODY, secret=SECRET, *, timestamp=NOW, webhook_id="evt_1"):
    return billing.webhook.sign(body, secret, webhook_id=webhook_id, timestamp=timestamp)


def verified(headers, body=BODY, secret=SECRET, *, now=NOW):
    return billing.webhook.verify(body, headers, secret, now=now)


def test_a_signed_webhook_is_an_event():
    event = verified(a_webhook())
    assert (event.id, event.type, event["sequence"]) == ("evt_1", "charge.succeeded", 2)
    assert isinstance(event.data, billing.Charge)
    assert event.data.charge_id == event["data"]["charge_id"] == "ch_1"


def test_what_the_service_signs_is_accepted():
    headers = signed_headers([key_of(SECRET)], webhook_id="evt_1", timestamp=NOW, body=BODY)
    assert headers == a_webhook()
    assert verified(headers).id == "evt_1"


def test_the_reference_library_accepts_what_we_sign_and_the_other_way_round():
    now = int(time.time())
    reference = standardwebhooks.Webhook(SECRET)
    assert reference.verify(BODY, a_webhook(timestamp=now))["sequence"] == 2

    signature = reference.sign("evt_1", datetime.fromtimestamp(now, UTC), BODY.decode())
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(now),
        "webhook-signature": signature,
    }
    assert verified(headers, now=now).type == "charge.succeeded"


@every(
    "headers",
    [
        {name.title(): value for name, value in a_webhook().items()},
        {name.upper(): value for name, value in a_webhook().items()},
        list(a_webhook().items()),
        [(name.encode(), value.encode()) for name, value in a_webhook().items()],
    ],
    ids=["Title-Case", "UPPER", "pairs", "pairs of bytes, as in ASGI"],
)
def test_headers_come_in_any_shape(headers):
    assert verified(headers).id == "evt_1"


def test_the_headers_of_http_server_are_taken():
    message = HTTPMessage()
    for name, value in a_webhook().items():
        message[name] = value
    assert verified(message).id == "evt_1"


def test_what_cannot_be_headers_is_named():
    with pytest.raises(billing.InvalidRequest, match="headers must be a mapping") as refused:
        verified([1, 2])
    assert refused.value.param == "headers"


def test_the_body_may_be_text():
    assert verified(a_webhook(), BODY.decode()).id == "evt_1"


def test_one_of_several_signatures_is_enough_while_a_secret_rotates():
    both = a_webhook(secret=[OTHER, SECRET])
    assert both["webhook-signature"].count("v1,") == 2
    assert verified(both, secret=SECRET).id == verified(both, secret=OTHER).id == "evt_1"
    assert verified(a_webhook(), secret=[OTHER, SECRET]).id == "evt_1"


def test_signatures_of_other_versions_are_passed_over():
    headers = a_webhook()
    headers["webhook-signature"] = "v1a,AAAA " + headers["webhook-signature"]
    assert verified(headers).id == "evt_1"


@every(
    "change, param",
    [
        ({"webhook-id": "evt_2"}, None),
        ({"webhook-timestamp": str(NOW + 1)}, None),
        ({"webhook-signature": "v1,AAAA"}, None),
        ({"webhook-signature": "garbage"}, None),
        ({"webhook-signature": "v1,ünïcode"}, None),
        ({"webhook-signature": a_webhook()["webhook-signature"].replace("v1,", "v2,")}, None),
        ({"webhook-signature": a_webhook(secret=OTHER)["webhook-signature"]}, None),
        ({"webhook-id": ""}, "webhook-id"),
        ({"webhook-timestamp": ""}, "webhook-timestamp"),
        ({"webhook-timestamp": "yesterday"}, "webhook-timestamp"),
        ({"webhook-timestamp": "1" * 5000}, "webhook-timestamp"),
        ({"webhook-timestamp": "-5"}, "webhook-timestamp"),
        ({"webhook-signature": ""}, "webhook-signature"),
    ],
)
def test_anything_else_is_refused(change, param):
    with pytest.raises(billing.InvalidSignature) as refused:
        verified({**a_webhook(), **change})
    assert refused.value.code == "invalid_signature"
    assert refused.value.param == param


def test_a_changed_body_is_refused():
    with pytest.raises(billing.InvalidSignature):
        verified(a_webhook(), BODY + b" ")


@pytest.mark.parametrize("age_s", [-300, 0, 300])
def test_five_minutes_either_way_are_tolerated(age_s):
    assert verified(a_webhook(), now=NOW + age_s).id == "evt_1"


@pytest.mark.parametrize(("age_s", "why"), [(301, "too old"), (-301, "from the future")])
def test_older_and_younger_ones_are_refused(age_s, why):
    with pytest.raises(billing.InvalidSignature, match=why):
        verified(a_webhook(), now=NOW + age_s)


@every(
    "secret",
    ["", "whsec_", "whsec_AAAA", "not base64!", "whsec_" + base64.b64encode(b"x" * 23).decode(), 5],
)
def test_a_secret_that_is_none_is_the_callers_mistake(secret):
    with pytest.raises(billing.InvalidRequest) as refused:
        verified(a_webhook(), secret=[secret])
    assert refused.value.param == "secret"
    assert str(refused.value) == "a secret is whsec_ and base64, as the service showed it"


def test_a_body_that_was_read_already_is_the_callers_mistake():
    with pytest.raises(billing.InvalidRequest, match="as they arrived"):
        verified(a_webhook(), json.loads(BODY))


@every("body", [b"", b"{", b"[]", b'"x"', b"{}", b'{"data": 5}', b"\xff"])
def test_a_signed_body_that_is_no_event_is_refused(body):
    with pytest.raises(billing.InvalidSignature, match="no event"):
        verified(a_webhook(body), body)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("price", billing.Price), ("product", billing.Product), ("payout", billing.Resource)],
)
def test_an_object_is_of_its_kind_and_an_unknown_one_readable_all_the_same(name, kind):
    event = {"type": f"{name}.created", "sequence": 1, "data": {"object": name, "id": "p"}}
    body = json.dumps(event).encode()
    data = verified(a_webhook(body), body).data
    assert (type(data), data.id) == (kind, "p")


def test_an_id_with_a_dot_is_not_signed():
    with pytest.raises(billing.InvalidRequest):
        billing.webhook.sign(BODY, SECRET, webhook_id="evt.1")
