"""What several integration tests need: the command line, in this process."""

import sys

import pytest

import cli
from cli.doctor import broker_checks, processor_checks, rounds
from tests.support.command import Answer, Billing
from tests.support.waiting import slowness


@pytest.fixture
def billing(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Billing:
    """`billing("charge", "list")`: the command in this process, on this test's servers."""
    for name, value in environ.items():
        if name.startswith("BILLING_"):
            monkeypatch.setenv(name, value)
    # A part that answers late on a busy machine is in order all the same.
    for module, name in (
        (rounds, "LIMIT_S"), (processor_checks, "DEADLINE_S"), (broker_checks, "READERS_S")
    ):  # fmt: skip
        monkeypatch.setattr(module, name, getattr(module, name) * slowness())

    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["billing", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        captured = capsys.readouterr()
        return Answer(int(end.value.code or 0), captured.out, captured.err)

    return run
