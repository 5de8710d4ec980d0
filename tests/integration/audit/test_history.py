"""What was written stays: no statement changes it, and the service's role has no right to try."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import ProgrammingError
from sqlmodel import SQLModel

from local.embedded.throwaway import Servers
from models.base import APPEND_ONLY
from payments.catalog import products
from service.database import migrate, revisions
from service.database.diagnosis import Hopeless
from service.wiring import open_database
from tests.support.acting import Database
from tests.support.command import Billing
from tests.support.counter import counter
from tests.support.factories import a_product
from tests.support.webhooks import rows


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_database(database_url)
    with Database(engine).transaction() as transaction:
        products.create(transaction, a_product(), livemode=False)
    yield engine
    engine.dispose()


@pytest.fixture
def service_url(database_url: str, servers: Servers) -> Iterator[str]:
    """The URL of a role that is not there yet."""
    url = make_url(database_url).set(username="billing_test_service", password="it's a secret")
    yield url.render_as_string(hide_password=False)
    forget(servers, database_url, "billing_test_service")


def forget(servers: Servers, database_url: str, *roles: str) -> None:
    with psycopg.connect(database_url.replace("+psycopg", ""), autocommit=True) as connection:
        for role in roles:
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                named = sql.Identifier(role)
                connection.execute(sql.SQL("DROP OWNED BY {}").format(named))
                connection.execute(sql.SQL("DROP ROLE {}").format(named))


def equipped(engine: Engine, service_url: str) -> Engine:
    migrate.upgrade(engine, runs_as=service_url)
    return open_database(service_url)


def first_column(table: str) -> str:
    return next(iter(SQLModel.metadata.tables[table].c)).name


CHANGES = tuple(
    statement
    for table in APPEND_ONLY
    for statement in (
        f"UPDATE {table} SET {first_column(table)} = {first_column(table)}",
        f"DELETE FROM {table}",
        f"TRUNCATE {table}",
    )
)


# Ways around what no right is given to.
AROUND = (
    "ALTER TABLE audit_log DISABLE TRIGGER ALL",
    "DROP TRIGGER audit_log_append_only ON audit_log",
    "SET session_replication_role = replica",
    "CREATE FUNCTION refuse_to_change_history_not() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE RULE lost AS ON INSERT TO audit_log DO INSTEAD NOTHING",
    "CREATE TRIGGER lost BEFORE INSERT ON audit_log EXECUTE FUNCTION refuse_to_change_history()",
    "MERGE INTO audit_log USING (SELECT 1) AS one ON true WHEN MATCHED THEN DELETE",
    "LOCK TABLE audit_log IN ACCESS EXCLUSIVE MODE",
    "TRUNCATE charges",
    "UPDATE alembic_version SET version_num = '0001'",
)


@pytest.mark.parametrize("statement", CHANGES)
def test_not_even_the_owner_changes_a_row(engine: Engine, statement: str) -> None:
    with pytest.raises(ProgrammingError, match="append-only"), engine.begin() as connection:
        connection.execute(text(statement))


@pytest.mark.parametrize("statement", CHANGES)
def test_the_role_of_the_service_has_no_right_to(
    engine: Engine, service_url: str, statement: str
) -> None:
    service = equipped(engine, service_url)
    with pytest.raises(ProgrammingError, match="permission denied"), service.begin() as connection:
        connection.execute(text(statement))
    service.dispose()


def test_the_role_is_made_once_and_works_as_the_service(engine: Engine, service_url: str) -> None:
    service = equipped(engine, service_url)
    migrate.upgrade(engine, runs_as=service_url)  # again, as with every release
    assert revisions.missing(service) == []
    with counter(service) as till:
        charge = till.charge()
        till.refund(charge["id"])
        price = till.price(quantity_available=3)
        till.buy(price["id"], 2)
    assert rows(service, "SELECT count(*) AS n FROM audit_log")[0]["n"] >= 3
    for statement in AROUND:
        refused = pytest.raises(ProgrammingError, match=r"must be owner|permission denied")
        with refused, service.begin() as connection:
            connection.execute(text(statement))
    service.dispose()


def test_an_owner_who_may_make_no_roles_is_told_what_to_do(
    empty_database_url: str, servers: Servers
) -> None:
    name = make_url(empty_database_url).database
    with psycopg.connect(empty_database_url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE ROLE billing_test_owner LOGIN PASSWORD 'x'")
        connection.execute(f"GRANT ALL ON DATABASE {name} TO billing_test_owner".encode())
        connection.execute("GRANT ALL ON SCHEMA public TO billing_test_owner")
    owner_url = make_url(empty_database_url).set(username="billing_test_owner", password="x")
    owner = open_database(owner_url.render_as_string(hide_password=False))
    wanted = owner_url.set(username="billing_test_nobody").render_as_string(hide_password=False)
    try:
        with pytest.raises(Hopeless, match="CREATE ROLE billing_test_nobody") as refused:
            migrate.upgrade(owner, runs_as=wanted)
        assert "billing_test_owner may not create roles" in str(refused.value)
        with psycopg.connect(empty_database_url.replace("+psycopg", "")) as connection:
            connection.execute("CREATE ROLE billing_test_nobody LOGIN PASSWORD 'x'")
        assert migrate.upgrade(owner, runs_as=wanted) == []
    finally:
        owner.dispose()
        forget(servers, empty_database_url, "billing_test_nobody", "billing_test_owner")


def with_role(database_url: str, name: str) -> str:
    """The URL with this role, and a password that has whatever may need an escape."""
    url = make_url(database_url).set(username=name, password='it\'s % a \\ "secret"')
    return url.render_as_string(hide_password=False)


@pytest.mark.parametrize("name", ['a"b; --', "per%cent%s", "Üpper Case", "select", ":name"])
def test_a_role_may_be_called_anything(
    engine: Engine, database_url: str, servers: Servers, name: str
) -> None:
    try:
        service = equipped(engine, with_role(database_url, name))
        assert rows(service, "SELECT current_user AS name")[0]["name"] == name
        service.dispose()
    finally:
        forget(servers, database_url, name)


@pytest.mark.parametrize("name", ["public", "pg_billing"])
def test_a_role_that_can_not_be_made_is_told_without_its_password(
    engine: Engine, database_url: str, name: str
) -> None:
    with pytest.raises(Hopeless, match="reserved") as refused:
        migrate.upgrade(engine, runs_as=with_role(database_url, name))
    assert name in str(refused.value)
    assert "SCRAM" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_the_doctor_says_who_could_change_history(
    engine: Engine, billing: Billing, service_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> dict[str, Any]:
        findings: list[dict[str, Any]] = billing("doctor", "--json").json["findings"]
        (roles,) = [one for one in findings if one["subject"] == "roles"]
        return roles

    assert found()["level"] == "warn"
    assert "BILLING_DATABASE_DIRECT_URL" in found()["advice"]
    equipped(engine, service_url).dispose()
    monkeypatch.setenv("BILLING_DATABASE_URL", service_url)
    assert found()["level"] == "ok"
