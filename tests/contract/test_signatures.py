"""Webhooks are signed as the vectors say: by the service, the SDK and the reference library."""

import json
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from infra.billing import InvalidSignature, webhook
from infra.billing.contract.signatures import key_of, signed_headers
from tests.support.every import every
from tests.support.vectors import VECTORS

SIGNATURES = json.loads((VECTORS / "signatures.json").read_text())
GOOD = [pytest.param(one, id=one["name"]) for one in SIGNATURES if one["valid"]]
BAD = [pytest.param(one, id=one["name"]) for one in SIGNATURES if not one["valid"]]


@every("vector", GOOD)
def test_everybody_signs_alike(vector):
    secrets, id_, at = vector["secrets"], vector["webhook_id"], vector["timestamp"]
    ours = signed_headers(
        [key_of(secret) for secret in secrets],
        webhook_id=id_,
        timestamp=at,
        body=vector["body"].encode(),
    )
    sdks = webhook.sign(vector["body"], secrets, webhook_id=id_, timestamp=at)
    reference = [
        Webhook(secret).sign(id_, datetime.fromtimestamp(at, UTC), vector["body"])
        for secret in secrets
    ]
    assert ours == sdks == _headers(vector)
    assert " ".join(reference) == vector["signature"]


@every("vector", GOOD)
def test_a_receiver_that_knows_one_of_the_secrets_is_sure(vector):
    for secret in vector["secrets"]:
        assert _is_verified(vector, secret)


@every("vector", BAD)
def test_what_was_not_signed_like_this_is_refused(vector):
    for secret in vector["secrets"]:
        with pytest.raises(InvalidSignature, match="not signed"):
            _verify(vector, secret)


def _headers(vector):
    return {
        "webhook-id": vector["webhook_id"],
        "webhook-timestamp": str(vector["timestamp"]),
        "webhook-signature": vector["signature"],
    }


def _verify(vector, secret):
    webhook.verify(vector["body"], _headers(vector), secret, now=vector["timestamp"])


def _is_verified(vector, secret):
    try:
        _verify(vector, secret)
    except InvalidSignature as error:
        return "it is no event" in str(error)  # signed, whatever it says
    return True
