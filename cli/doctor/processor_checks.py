"""The processors: whether those that can be asked answer, and take us for who we are."""

from collections.abc import Iterable

from cli.doctor.findings import Finding, fail, ok
from payments.processors.port import ChecksItself
from service.settings import Settings
from service.wiring import processors

# Less than the doctor's own patience with a part.
DEADLINE_S = 5.0
ADVICE = "charges and refunds wait meanwhile; see its dashboard, and the settings of ours"


def look(settings: Settings) -> Iterable[Finding]:
    """One finding for each that can be asked."""
    for name, processor in processors(settings).items():
        if not isinstance(processor, ChecksItself):
            continue
        wrong = processor.check(deadline_s=DEADLINE_S)
        mode = "live" if processor.livemode else "test"
        yield (
            fail(name, f"it {wrong}", ADVICE) if wrong else ok(name, f"takes our key; {mode} mode")
        )
