"""Card data in texts: card numbers and what is on a magnetic stripe, however they are written.

PCI DSS 3.3.1 forbids storing what authenticates a card (track data, card verification codes), and
storing card numbers brings all of PCI DSS. A processor's id of a payment method (`pm_…`) serves as
well and is worth nothing to a thief. So no text that is kept may contain either.

What counts as a card number: 12 to 19 digits that begin as a card scheme's numbers do, are as long
as those are, and have the right check digit (ISO/IEC 7812-1, annex B). Digits may be of any script,
and separated by spaces, dots, dashes and the like; letters before and behind don't matter. Digits
that go on are another number, unless they read as an expiry and a verification code. UUIDs,
hexadecimal hashes and IBANs are known as what they are. Of other long numbers in the ranges of card
schemes one in ten has the right check digit by chance: a letter in their middle makes ids of them.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from itertools import accumulate
from typing import Final

# What a refusal says of it, behind the field.
CARD_DATA: Final = (
    "must hold no card data, like a card number: send the processor's id of a payment method (pm_…)"
    " as payment_method_id, and keep the number out of all texts"
)

# Fields in which any scheme's card number counts: people send one in place of an id.
PAYMENT_METHOD: Final = "payment_method_id"
DIGITS_MIN, DIGITS_MAX = 12, 19
# The first digits of card schemes' numbers, and their lengths. Visa's thirteen digits are left out:
# such cards have not been issued for decades, and barcodes of German goods look like them.
_SCHEMES: Mapping[str, Sequence[int]] = {
    r"4": (16, 19),  # Visa
    r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720": (16,),  # Mastercard
    r"3[47]": (15,),  # American Express
    r"30[0-5]|3095|3[689]": (14, 16, 19),  # Diners Club
    r"6011|64[4-9]|65": (16, 19),  # Discover
    r"62|81": (16, 17, 18, 19),  # UnionPay
    r"352[89]|35[3-8]": (16, 17, 18, 19),  # JCB
    r"5018|5020|5038|5893|6304|6759|676[1-37]": (12, 13, 14, 15, 16, 17, 18, 19),  # Maestro
    r"220[0-4]": (16, 17, 18, 19),  # Mir
    r"508|60|82": (16,),  # RuPay, Hipercard
    r"506|509": (16, 18, 19),  # Elo, Verve
    r"9792|8600|9860": (16,),  # Troy, Uzcard, Humo
}
_PREFIX = 4  # this many digits determine the scheme
_FIRST_OF: Mapping[int, re.Pattern[str]] = {
    length: re.compile("|".join(first for first, of in _SCHEMES.items() if length in of))
    for length in range(DIGITS_MIN, DIGITS_MAX + 1)
}
_NOT_DIGITS = re.compile(r"[^0-9]+")
# Groups of digits with at most three characters between them that are neither letters nor digits.
_GROUPS = re.compile(r"[0-9]+(?:[^0-9A-Za-z]{1,3}[0-9]+)*")
_GROUP = re.compile(r"[0-9]+")
# Behind the number: month and year, and perhaps the code.
_EXPIRY = re.compile(r"(?:(?:0[1-9]|1[0-2])[0-9]{2}|[0-9]{2}(?:0[1-9]|1[0-2]))(?:[0-9]{3,4})?")
_BEHIND_MAX = 8  # digits
# Tracks 1 and 2 (ISO/IEC 7813), of whatever scheme.
_TRACKS = re.compile(r"[Bb][0-9]{12,19}\^|(?<=[0-9]{12})[=D][0-9]{7}")
# Verification codes, by what forms and processors call them; a number alone may be anything.
# Dashes make the ids of orders, such as CVC-2024.
_CODES = re.compile(
    r"(?<![0-9A-Za-z])cv[cvn]2?[\s:=\"']{1,8}[0-9]{3,4}(?![0-9A-Za-z-])", re.IGNORECASE
)
_CODE_NAME = re.compile(
    r"(?:cv[cvn]2?|(?:security|verification)[_ -]?code)(?:[_ -]?code)?", re.IGNORECASE
)
_CODE_WRITTEN_MAX = 16  # with whatever is around it
# What machines make: UUIDs, with and without dashes (RFC 9562, 4: the version and the variant have
# their places), and hexadecimal numbers with letters enough to be that.
_MADE = re.compile(
    r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
    r"|(?=[0-9]*[a-fA-F])[0-9a-fA-F]{12}[1-8][0-9a-fA-F]{3}[89abAB][0-9a-fA-F]{15}"
    r"|(?=(?:[0-9]*[a-fA-F]){6})[0-9a-fA-F]{24,})(?![0-9A-Za-z])"
)
_NO_DIGITS = bytes({*range(256)} - {*b"0123456789"})
_UUID_LENGTH = 36
_IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}(?: ?[0-9A-Z]){11,30}(?![0-9A-Za-z])")
_DOUBLED = str.maketrans("0123456789", "0246813579")  # doubled, and the digits of that added
_WHOLE = re.compile(r"[0-9][0-9 -]{11,21}[0-9]")


def holds_card_data(text: str) -> bool:
    """Whether it contains a card number, track data, or a verification code that is named as
    one."""
    if text.isascii():
        # Nearly all texts have neither the digits of a card nor a code that is called so; of those
        # that do, most are a UUID and nothing else.
        if not _has_digits_enough(text) and "cv" not in text.lower():
            return False
        if len(text) == _UUID_LENGTH and _MADE.fullmatch(text):
            return False
        plain = text
    else:
        plain = _plain(text)
    if "cv" in plain.lower() and _CODES.search(plain):
        return True
    if not _has_digits_enough(plain):
        return False
    plain = _MADE.sub(_blotted, plain)
    if not _has_digits_enough(plain):
        return False
    if _TRACKS.search(plain.replace(" ", "")):
        return True
    return next(card_numbers(plain), None) is not None


def is_card_data(name: str, text: str) -> bool:
    """Whether it is, or contains, card data, given the name of its field."""
    return (
        holds_card_data(text)
        or is_called_a_code(name, text)
        or (name == PAYMENT_METHOD and is_card_number(text))
    )


def is_called_a_code(name: str, value: str) -> bool:
    """Whether a value is a verification code by its name: by itself it may be any number."""
    if len(value) > _CODE_WRITTEN_MAX or not _CODE_NAME.search(name):
        return False
    return re.fullmatch(r"[^0-9A-Za-z]*[0-9]{3,4}[^0-9A-Za-z]*", _plain(value)) is not None


def _plain(text: str) -> str:
    return "".join(map(readable, text))


@lru_cache(maxsize=1 << 16)
def readable(char: str) -> str:
    """A character in the form for the search: digits of all scripts as ASCII, invisible ones
    removed."""
    return "".join(
        str(unicodedata.digit(one)) if unicodedata.category(one) == "Nd" else one
        for one in unicodedata.normalize("NFKC", char)
        if unicodedata.category(one) not in ("Cf", "Mn")
    )


def is_card_number(text: str) -> bool:
    """Whether the whole text is a card number, of any scheme: 13 to 19 digits with the right check
    digit."""
    if not _WHOLE.fullmatch(text):
        return False
    digits = _NOT_DIGITS.sub("", text)
    return 13 <= len(digits) <= DIGITS_MAX and _has_check_digit(digits)


def card_numbers(plain: str) -> Iterator[tuple[int, int]]:
    """The places of card numbers in a text of readable characters: where each begins and ends,
    including digits that directly continue it."""
    without = _IBAN.sub(_unless_iban, _MADE.sub(_blotted, plain))
    for run in _GROUPS.finditer(without):
        if _has_digits_enough(run[0]):
            yield from _in_run(without, *run.span())


def _in_run(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The places of card numbers in these consecutive groups of digits."""
    groups = [*_GROUP.finditer(text, start, stop)]
    # The beginning and end of each group among all digits.
    ends = [*accumulate(len(group[0]) for group in groups)]
    digits, begins = "".join([group[0] for group in groups]), [0, *ends[:-1]]
    ending = {end: at for at, end in enumerate(ends)}
    found = [
        (begin, end, first)
        for first, begin in enumerate(begins)
        for length in _lengths(digits[begin : begin + _PREFIX])
        if (end := begin + length) in ending
    ]
    if found:
        sums = _sums(digits)
        for begin, end, first in found:
            if (sums[end % 2][end] - sums[end % 2][begin]) % 10 == 0:
                yield groups[first].start(), groups[ending[end]].end()
    for group in groups:
        if len(group[0]) > DIGITS_MIN and _begins_with_number(group[0]):
            yield group.span()


def _sums(digits: str) -> tuple[list[int], list[int]]:
    """Prefix sums of the digits with every second one doubled: the even ones, and the odd ones. A
    number's end determines which of them counts, and each number's sum is the difference of two: so
    every check digit is found in linear time."""
    plain, doubled = [*map(int, digits)], [*map(int, digits.translate(_DOUBLED))]
    even, odd = plain.copy(), plain
    even[0::2], odd[1::2] = doubled[0::2], doubled[1::2]
    return [*accumulate(even, initial=0)], [*accumulate(odd, initial=0)]


def _begins_with_number(digits: str) -> bool:
    """Whether these digits are a card number directly followed by its expiry."""
    if len(digits) > DIGITS_MAX + _BEHIND_MAX:
        return False
    return any(
        _EXPIRY.fullmatch(digits, length) and _has_check_digit(digits[:length])
        for length in _lengths(digits[:_PREFIX])
    )


@cache
def _lengths(prefix: str) -> tuple[int, ...]:
    """The lengths of card numbers that begin like this (four digits: ten thousand entries at most
    are cached)."""
    return tuple(length for length, first in _FIRST_OF.items() if first.match(prefix))


def _has_digits_enough(text: str) -> bool:
    if len(text) < DIGITS_MIN:
        return False
    return len(text.encode("ascii", "ignore").translate(None, _NO_DIGITS)) >= DIGITS_MIN


def _has_check_digit(digits: str) -> bool:
    plain, doubled = digits[::-2], digits[-2::-2].translate(_DOUBLED)
    return sum(map(int, plain + doubled)) % 10 == 0


def _blotted(found: re.Match[str]) -> str:
    """As many dashes: what follows keeps its place."""
    return "/" * len(found[0])


def _unless_iban(found: re.Match[str]) -> str:
    """Empty for an account's number (ISO 13616), by its own check digits."""
    text = found[0].replace(" ", "")
    number = "".join(str(int(c, 36)) for c in text[4:] + text[:4])
    return _blotted(found) if int(number) % 97 == 1 else found[0]
