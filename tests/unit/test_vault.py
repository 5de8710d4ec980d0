"""The vault: what is sealed can be opened with its key, in its place, and not otherwise."""

import pytest

from payments.access.encryption_keys import new_key
from payments.access.vault import CantOpen, Vault, key_id_of
from service import log
from tests.support.every import every
from tests.support.vault import KEY, OLD_KEY, VAULT

SECRET = "whsec_c2VjcmV0"
HERE, THERE = "the secret of we_1", "the secret of we_2"


def test_what_is_sealed_is_opened_and_shows_nothing() -> None:
    sealed = VAULT.seal(SECRET, about=HERE)
    assert VAULT.open(sealed, about=HERE) == SECRET
    assert "c2VjcmV0" not in sealed
    assert VAULT.seal(SECRET, about=HERE) != sealed  # nobody sees that two are the same


def test_it_opens_in_its_own_place_only() -> None:
    sealed = VAULT.seal(SECRET, about=HERE)
    with pytest.raises(CantOpen, match="the secret of we_2: not what was sealed there"):
        VAULT.open(sealed, about=THERE)


@every(
    "changed", [lambda s: s[:-1], lambda s: s[:-6] + "AAAAAA", lambda s: s[:18], lambda s: s + "é"]
)
def test_what_was_tampered_with_is_not_opened(changed: object) -> None:
    sealed = VAULT.seal(SECRET, about=HERE)
    with pytest.raises(CantOpen):
        VAULT.open(changed(sealed), about=HERE)  # type: ignore[operator]


def test_a_new_key_in_front_seals_and_the_old_one_still_opens() -> None:
    sealed = Vault([OLD_KEY]).seal(SECRET, about=HERE)
    both = Vault([KEY, OLD_KEY])
    assert both.open(sealed, about=HERE) == SECRET
    resealed = both.resealed(sealed, about=HERE)
    assert key_id_of(resealed) == VAULT.key_ids[0]
    assert VAULT.open(resealed, about=HERE) == SECRET
    assert both.resealed(resealed, about=HERE) == resealed  # nothing is left to do


def test_without_the_key_it_says_which_is_missing_and_nothing_else() -> None:
    sealed = Vault([OLD_KEY]).seal(SECRET, about=HERE)
    (old_id,) = Vault([OLD_KEY]).key_ids
    with pytest.raises(CantOpen, match=old_id) as error:
        VAULT.open(sealed, about=HERE)
    assert "BILLING_ENCRYPTION_KEYS" in str(error.value)
    for secret in (KEY, OLD_KEY, sealed):
        assert secret not in str(error.value)


def test_what_was_kept_in_the_open_is_read_and_sealed() -> None:
    assert VAULT.open(SECRET, about=HERE) == SECRET
    assert VAULT.open(VAULT.resealed(SECRET, about=HERE), about=HERE) == SECRET


@every("key", ["", "bek_", f"{KEY}A", KEY[:-1], KEY.upper(), "whsec_c2VjcmV0"])
def test_a_key_is_a_key(key: str) -> None:
    with pytest.raises(ValueError, match="an encryption key is bek_ and 43 characters") as error:
        Vault([key])
    assert not key or key not in str(error.value).replace("bek_ and", "")
    with pytest.raises(ValueError, match="needs a key"):
        Vault([])


def test_a_key_is_new_each_time_and_never_logged() -> None:
    one, another = new_key(), new_key()
    assert one != another
    assert Vault([one, another]).key_ids == (*Vault([one]).key_ids, *Vault([another]).key_ids)
    assert log.scrub(f"BILLING_ENCRYPTION_KEYS={one},{another}") == (
        "BILLING_ENCRYPTION_KEYS=bek_***,bek_***"
    )
