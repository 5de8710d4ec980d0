"""The database's URL in all its spellings, and what is no such URL."""

import pytest
from sqlalchemy import make_url

from service.database.database_url import address, hosts_of, normalised, options_of, place
from tests.support.every import every


@every(
    "given, hosts, told",
    [
        ("postgres://u:pw@db/billing", [("db", None)], "db:5432/billing"),
        ("postgresql://u:pw@[::1]:5433/billing", [("::1", 5433)], "[::1]:5433/billing"),
        (
            "postgresql://u:p%40@h1:1,h2/billing?target_session_attrs=read-write",
            [("h1", 1), ("h2", None)],
            "h1:1,h2:5432/billing",
        ),
        (
            "postgresql+psycopg://u:pw@/billing?host=h1:1&host=[::1]:2",
            [("h1", 1), ("::1", 2)],
            "h1:1,[::1]:2/billing",
        ),
        ("postgresql:///billing?host=a,b&port=1,2", [("a", 1), ("b", 2)], "a:1,b:2/billing"),
        ("postgresql:///billing?host=a,b&port=7", [("a", 7), ("b", 7)], "a:7,b:7/billing"),
        ("postgresql:///billing?host=/run/pg", [("/run/pg", None)], "/run/pg:5432/billing"),
        ("postgresql:///billing", [], "localhost/billing"),
    ],
)
def test_hosts_are_found_in_every_spelling_and_no_secret_is_told(
    given: str, hosts: list[object], told: str
) -> None:
    url = normalised(given)
    assert url.startswith("postgresql+psycopg://")
    assert hosts_of(make_url(url)) == hosts
    assert address(url) == told
    assert place(url) == f"postgresql://{told}"
    assert normalised(url) == url


@every(
    "wrong",
    [
        "mysql://h/name",
        "postgresql://h",
        "postgresql://h/",
        "postgresql://h:x/name",
        "postgresql://h1:x,h2/name",
        "postgresql://h1,,h2/name",
        "postgresql:///name?host=a,b&port=1,2,3",
        "h/name",
    ],
)
def test_what_is_no_url_of_a_database_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        normalised(wrong)


def test_options_for_the_server_are_read_as_the_server_reads_them() -> None:
    url = make_url(
        "postgresql://h/n?options=-csearch_path%3Dshop,public%20-c%20lock-timeout%3D1s"
        "%20--a.b%3Dx%5C%20y"
    )
    assert options_of(url) == {"search_path": "shop,public", "lock_timeout": "1s", "a.b": "x y"}
    assert options_of(make_url("postgresql://h/n")) == {}
