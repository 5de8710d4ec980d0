"""The second way through a file: its requests are accepted, as at every other door."""

from collections.abc import Callable

from cli.importing.line_checks import Keys, in_batches
from cli.importing.refused import RefusedLines
from cli.importing.source import Refusal, Source
from cli.importing.tally import Tally
from payments.payment_errors import Refused
from payments.processors.registry import Processors
from payments.transaction import Database
from service import intake

# Of one transaction: as many as a worker puts into one of its own.
BATCH = 64


def send(
    source: Source,
    refused: RefusedLines,
    tally: Tally,
    *,
    database: Database,
    processors: Processors,
    advance: Callable[[int], None] = lambda _: None,
) -> None:
    """Accept every line that is valid; write down the others, and those that are refused now.

    Each batch is a transaction of its own, and counted in `tally` once it is committed: whatever
    breaks this off, to start it again repeats what was sent, and goes on.
    """
    keys = Keys()
    for some in in_batches(source.read(), BATCH):
        # What the check has refused is not sent: of two lines for one order the first counts.
        refusals = [one.refusal or keys.refusal(one) for one in some]
        asked = [
            intake.new(one.request, processors, any_charge=True)  # the operator asks
            for one, refusal in zip(some, refusals, strict=True)
            if one.request is not None and refusal is None
        ]
        with database.transaction() as transaction:
            answers = iter(intake.accept(transaction, asked, processors))
        for one, known in zip(some, refusals, strict=True):
            refusal = known
            if refusal is None:
                assert one.request is not None  # a line makes a request, or is refused
                answer = next(answers)
                if not isinstance(answer, Refused):
                    tally.accept(one.request, answer.row, fresh=answer.fresh)
                    continue
                refusal = Refusal(str(answer), answer.param)
            refused.add(one, refusal)
            tally.refuse(one.line.number, refusal)
        advance(len(some))
