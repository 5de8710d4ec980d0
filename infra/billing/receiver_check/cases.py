"""The deliveries for testing a receiver: what is sent, and how a good one answers.

All of them are made up. They are of type `ping`, or of one that does not exist, about an endpoint
that does not exist, and say so; an inbox keeps them apart from everything real.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from infra.billing.contract.ids import event_id, random_id
from infra.billing.contract.moments import rfc3339
from infra.billing.contract.signatures import key_of, new_secret, signed_headers

BIG_BYTES = 256 * 1024
SLOW_PARTS = 8
SLOW_PAUSE_S = 0.25  # between two parts: a body that takes two seconds to arrive
STALE_S = 600  # twice what Standard Webhooks' libraries tolerate
SIGNATURE = "webhook-signature"
MADE_UP = "Made up by `billing endpoint check`: nothing happened."


@dataclass(frozen=True, slots=True)
class Post:
    """One POST: its headers, its body, and in how many parts the body is sent."""

    headers: Mapping[str, str]
    body: bytes
    parts: int = 1

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]


def _an_id() -> str:
    """Recognisable, and an id in shape: a receiver may look at it."""
    return f"we_check{random_id('')[5:]}"


@dataclass(frozen=True)
class Kit:
    """What deliveries are made of. `began` and `now` are in whole Unix seconds: when the events
    were made up, and when they are signed; `endpoint_id` is what all of them are about, another one
    in each check; `stranger` is a secret that the receiver has not."""

    secret: str
    began: int
    now: int
    endpoint_id: str = field(default_factory=_an_id)
    stranger: str = field(default_factory=new_secret)

    @property
    def moment(self) -> str:
        return rfc3339(datetime.fromtimestamp(self.began, UTC))

    def event(self, sequence: int, *, type_: str = "ping", **more: Any) -> dict[str, Any]:
        data = {"object": "webhook_endpoint", "id": self.endpoint_id, "description": MADE_UP}
        return {
            "type": type_,
            "timestamp": self.moment,
            "sequence": sequence,
            "data": {**data, "state": "enabled", "created_at": self.moment, **more},
        }

    def post(
        self,
        sequence: int,
        body: bytes | None = None,
        *,
        secrets: Sequence[str] = (),
        age_s: int = 0,
        parts: int = 1,
    ) -> Post:
        """The event with this sequence, or this body of it, signed."""
        body = compact(self.event(sequence)) if body is None else body
        headers = signed_headers(
            [key_of(secret) for secret in secrets or (self.secret,)],
            webhook_id=event_id(self.endpoint_id, sequence),
            timestamp=self.now - age_s,
            body=body,
        )
        return Post(headers, body, parts)


def compact(event: Mapping[str, Any]) -> bytes:
    """As the service writes bodies."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


def _loose(event: Mapping[str, Any]) -> bytes:
    """The same JSON in other bytes than any program would write again."""
    return json.dumps(event, indent=3, separators=(" ,", " : ")).encode() + b"\n"


def _changed(post: Post, header: str, value: str) -> Post:
    return replace(post, headers={**post.headers, header: value})


def _other_signature(post: Post) -> Post:
    """One character of it is another: in the middle, where each bit counts."""
    given = post.headers[SIGNATURE]
    at = len(given) // 2
    return _changed(
        post, SIGNATURE, f"{given[:at]}{'A' if given[at] != 'A' else 'B'}{given[at + 1 :]}"
    )


def _signed_twice(kit: Kit, sequence: int, *, is_first: bool) -> Post:
    secrets = (kit.secret, kit.stranger) if is_first else (kit.stranger, kit.secret)
    return kit.post(sequence, secrets=secrets)


def _other_version(kit: Kit, sequence: int) -> Post:
    post = kit.post(sequence)
    return _changed(post, SIGNATURE, f"v1a,{'A' * 86}== {post.headers[SIGNATURE]}")


def _unsigned(post: Post) -> Post:
    return replace(post, headers={k: v for k, v in post.headers.items() if k != SIGNATURE})


@dataclass(frozen=True)
class Case:
    """One test.

    `posts` are sent one after the other, or at once; the case counts as accepted if all were
    answered 2xx, and as refused if none was.
    """

    name: str
    title: str
    expects: Literal["accepted", "refused"]
    posts: Callable[[Kit], Sequence[Post]]
    at_once: bool = False


CASES: tuple[Case, ...] = (
    Case("valid", "a webhook", "accepted", lambda kit: [kit.post(1)]),
    Case(
        "exact_bytes",
        "JSON with other spaces than most write",
        "accepted",
        lambda kit: [kit.post(2, _loose(kit.event(2)))],
    ),
    Case("repeat", "the first one again", "accepted", lambda kit: [kit.post(1)]),
    Case("twins", "one twice at the same moment", "accepted", lambda kit: [kit.post(3)] * 2, True),
    Case(
        "reordered",
        "a newer event before an older one",
        "accepted",
        lambda kit: [kit.post(5), kit.post(4)],
    ),
    Case(
        "rotated",
        "two signatures, as while a secret is replaced",
        "accepted",
        lambda kit: [
            _signed_twice(kit, 6, is_first=True),
            _signed_twice(kit, 7, is_first=False),
        ],
    ),
    Case(
        "other_version",
        "a signature of a later version beside ours",
        "accepted",
        lambda kit: [_other_version(kit, 8)],
    ),
    Case(
        "unknown_type",
        "a type of event that does not exist yet",
        "accepted",
        lambda kit: [kit.post(9, compact(kit.event(9, type_="check.made_up")))],
    ),
    Case(
        "big",
        f"a body of {BIG_BYTES // 1024} KiB",
        "accepted",
        lambda kit: [kit.post(10, compact(kit.event(10, padding="x" * BIG_BYTES)))],
    ),
    Case(
        "slow_body",
        f"a body that takes {SLOW_PARTS * SLOW_PAUSE_S:g} s to arrive",
        "accepted",
        lambda kit: [kit.post(11, parts=SLOW_PARTS)],
    ),
    Case(
        "tampered_body",
        "another body than the one that was signed",
        "refused",
        lambda kit: [replace(kit.post(12), body=compact(kit.event(12, amount=1)))],
    ),
    Case(
        "tampered_id",
        "another webhook-id than the one that was signed",
        "refused",
        lambda kit: [_changed(kit.post(13), "webhook-id", event_id(kit.endpoint_id, 113))],
    ),
    Case(
        "tampered_timestamp",
        "another webhook-timestamp than the one that was signed",
        "refused",
        lambda kit: [_changed(kit.post(14), "webhook-timestamp", str(kit.now - 1))],
    ),
    Case(
        "tampered_signature",
        "a signature of which one character is another",
        "refused",
        lambda kit: [_other_signature(kit.post(15))],
    ),
    Case(
        "wrong_secret",
        "signed with another secret",
        "refused",
        lambda kit: [kit.post(16, secrets=[kit.stranger])],
    ),
    Case("unsigned", "no signature", "refused", lambda kit: [_unsigned(kit.post(17))]),
    Case(
        "stale",
        f"signed {STALE_S // 60} minutes ago",
        "refused",
        lambda kit: [kit.post(18, age_s=STALE_S)],
    ),
    Case(
        "future",
        f"signed {STALE_S // 60} minutes from now",
        "refused",
        lambda kit: [kit.post(19, age_s=-STALE_S)],
    ),
    Case(
        "not_json",
        "neither signed nor JSON",
        "refused",
        lambda kit: [replace(kit.post(20, secrets=[kit.stranger]), body=b'{"type": "ping", ')],
    ),
)
FORGED = tuple(case.name for case in CASES if case.expects == "refused")
