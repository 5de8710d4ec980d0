"""What a receiver repeats of the headers that it was sent is not kept."""

from infra.billing.contract.endpoint_checks import MASKED
from payments.webhooks.records.echoes import headers_without, spellings, without
from tests.support.every import every

VALUE = 'Bearer to"ken/of<gate>way'
HIDDEN = spellings([VALUE])


@every(
    "said",
    [
        VALUE,
        'to"ken/of<gate>way',  # by itself
        'Bearer to\\"ken/of<gate>way',  # JSON
        'Bearer to\\"ken\\/of<gate>way',  # JSON of PHP
        "Bearer to&quot;ken/of&lt;gate&gt;way",  # HTML
        'Bearer to"ken/of&lt;gate&gt;way',  # within a text of HTML
    ],
)
def test_a_value_is_hidden_however_it_is_written(said: str) -> None:
    assert without(f"x: {said}, y", HIDDEN).replace("Bearer", MASKED) in (
        f"x: {MASKED}, y",
        f"x: {MASKED} {MASKED}, y",
    )
    assert headers_without({"x-seen": said}, HIDDEN)["x-seen"].endswith(MASKED)


def test_the_beginning_of_a_value_is_hidden_where_the_answer_was_cut() -> None:
    hidden = spellings(["ababababab-0123456789"])
    assert without("saw ababababab-0123", hidden) == f"saw {MASKED}"
    assert without("saw abababab", hidden) == f"saw {MASKED}"
    assert without("saw abababab, and more", hidden) == "saw abababab, and more"


def test_what_is_too_short_to_open_a_door_is_not_looked_for() -> None:
    assert spellings(["yes", "v1"]) == []
    assert without("yes, v1 on", spellings(["yes"])) == "yes, v1 on"
