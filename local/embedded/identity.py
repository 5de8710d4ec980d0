"""The user of our servers: ourselves, or an ordinary user if we are root.

PostgreSQL refuses to run as root; Redis would, and an intruder in it would be root.

The folders above our data and above the program may be closed to everyone but us (/root is), and
their permissions are not ours to change. So an ordinary user gets only the capability to pass
through, or, if that is not available, a user namespace in which our own user looks ordinary.
"""

import os
import pwd
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from local.embedded import process
from local.embedded.embedded_server import EmbeddedError
from local.embedded.process import Identity

# The first of these that exists. Not `postgres` first: that may be the owner of other databases,
# which are none of our business. A root-owned 0700 above our files keeps other programs of
# `nobody` out.
ACCOUNTS = ("billing", "nobody", "postgres")
CAP_DAC_OVERRIDE = 1  # read, write and pass everywhere: containers usually have it
CAP_DAC_READ_SEARCH = 2  # read and pass only: less, so tried first


def choose(
    folder: Path, *, what: str, probe: Sequence[str], otherwise: str, initialised: bool
) -> Identity | None:
    """The first identity that can work in the folder and run `probe`; None = as we are.

    Gives a fresh folder to that identity; one with data keeps its owner. Raises EmbeddedError
    with `what` can't run and what to do `otherwise` when there is none.
    """
    owner = folder.stat()
    if os.geteuid() != 0:
        if initialised and owner.st_uid != os.geteuid():
            raise EmbeddedError(
                f"{folder} belongs to uid {owner.st_uid}; run as that user, as before, "
                "or set BILLING_DATA_DIR to another folder"
            )
        if initialised or _has_name(os.geteuid()):
            return None  # initdb alone insists on a name
    refusals = []
    for wished in _candidates():
        candidate = wished
        if os.geteuid() == 0 and not initialised:
            _give(folder, candidate)
        elif os.geteuid() == 0 and owner.st_uid != (0 if wished.user_namespace else wished.uid):
            if wished.user_namespace or owner.st_uid == 0:
                continue  # this one could not own what is there
            candidate = replace(wished, uid=owner.st_uid, gid=owner.st_gid)
        refusal = _try(candidate, folder, probe)
        if refusal is None:
            return candidate
        refusals.append(refusal)
    raise EmbeddedError(
        f"the embedded {what} can't run here: it does not run as root (or as a user without "
        "a name), and this machine allows neither another user nor a user namespace. Run as an "
        f"ordinary user, or {otherwise}.\n  " + "\n  ".join(dict.fromkeys(refusals))
    )


def _candidates() -> Iterator[Identity]:
    account = next(filter(None, map(_account, ACCOUNTS)), None)
    if os.geteuid() == 0 and account:
        for capabilities in ((), (CAP_DAC_READ_SEARCH,), (CAP_DAC_OVERRIDE,)):
            yield Identity(account.pw_uid, account.pw_gid, capabilities)
    # Inside, any name will do; the files stay ours.
    inside = account or pwd.getpwall()[-1]
    yield Identity(inside.pw_uid, inside.pw_gid, user_namespace=True)


def _try(candidate: Identity, folder: Path, probe: Sequence[str]) -> str | None:
    """Why the candidate can't, or None if it can."""
    with tempfile.TemporaryFile() as output:
        child = process.spawn(
            list(probe),
            death_signal=signal.SIGKILL,
            identity=candidate,
            reach=folder,
            environ={},
            output=output,
        )
        try:
            status = child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
            status = -1
        if status == 0:
            return None
        output.seek(0)
        reason = output.read().decode(errors="replace").strip().splitlines()
    how = "user namespace" if candidate.user_namespace else f"uid {candidate.uid}"
    extra = "".join(f" with capability {number}" for number in candidate.capabilities)
    return f"{how}{extra}: {reason[0] if reason else f'status {status}'}"


def _give(folder: Path, candidate: Identity) -> None:
    uid, gid = (0, 0) if candidate.user_namespace else (candidate.uid, candidate.gid)
    try:
        os.chown(folder, uid, gid)
    except PermissionError:
        pass  # a container without CAP_CHOWN: the trial says what it means


def _account(name: str) -> pwd.struct_passwd | None:
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        return None
    return account if account.pw_uid != 0 else None


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True
