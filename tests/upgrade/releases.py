"""The versions that one upgrades from, taken out of git as they were.

Until there are releases, commits of this repository stand for them: the last ones before migrations
that old processes have to live with. The last release is to stand here once there is one.
"""

import io
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.programs import ROOT


@dataclass(frozen=True, slots=True)
class Release:
    """A version of this program: `head` is the last migration that it knows."""

    commit: str
    head: str
    # Whether it can read what the present version seals: docs/how-to/upgrade.md, "Go back".
    reads_sealed_secrets: bool = True

    @property
    def order_matters(self) -> bool:
        """Whether processes are replaced in the order of docs/how-to/upgrade.md, or in any."""
        return not self.reads_sealed_secrets

    @property
    def is_known(self) -> bool:
        """Whether this clone has it; a shallow one has only the newest commit."""
        command = ["git", "cat-file", "-e", f"{self.commit}^{{commit}}"]
        return subprocess.run(command, cwd=ROOT, check=False, capture_output=True).returncode == 0

    def unpack(self, folder: Path) -> Path:
        """Its files, in this folder, which is made."""
        command = ["git", "archive", "--format=tar", self.commit]
        tar = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
            archive.extractall(folder, filter="data")
        return folder


RELEASES = {
    # Before a second person approves, and before days of the ledger are counted.
    "0044": Release("1109c3577d54994a7670afd36a3e8f15ae17003f", head="0044"),
    # Before the ledger, the audit, sealed secrets, numbered deliveries, search.
    "0026": Release(
        "999793a1123c446c55b2bddc098da682d5e7e9b3", head="0026", reads_sealed_secrets=False
    ),
}
