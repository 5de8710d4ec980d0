"""What the documents show of HTTP is so."""

import json
from pathlib import Path

from infra.billing.contract.ids import id_from_key
from tests.support.examples import examples, run
from tests.support.programs import ROOT
from tests.support.web import Caller

PAGE = (ROOT / "docs" / "how-to" / "write-a-producer.md").read_text()


def test_the_curl_for_other_languages_is_one_charge_however_often_it_is_pasted(
    caller: Caller, tmp_path: Path
) -> None:
    steps = examples(PAGE, "curl")
    environ = {"BILLING_URL": caller.url, "BILLING_API_KEY": caller.key}
    told = run([*steps, *steps], scratch=tmp_path, folder=tmp_path, environ=environ)
    charges = [json.loads(one.text) for one in told]
    assert [charge["state"] for charge in charges] == ["pending", "pending"]
    charge_id = id_from_key("charge", producer=caller.producer, key="order-2001-charge")
    assert {charge["charge_id"] for charge in charges} == {charge_id}
