"""The folder with an installation's data: what runs in it, and where its servers listen."""

import fcntl
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

from payments.access.encryption_keys import new_key

LOCK = "lock"
RUNNING = "running.json"
ENCRYPTION_KEY = "encryption-key"
# A person's clock and the kernel's differ by rounding only; a reused pid starts much later.
START_TOLERANCE_S = 2.0


class DataDirError(Exception):
    """The data folder can't be used; the text says why and what to do."""


class AlreadyRunning(DataDirError):
    """Another `billing up` uses this folder."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock the folder, creating it as private (0700). Raises AlreadyRunning.

    The lock is the kernel's (flock), so it ends with its process, however that ends.
    """
    create(folder)
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(_occupied(folder, os.pread(descriptor, 64, 0))) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def create(folder: Path) -> None:
    """Create the folder if it doesn't exist, as private. Raises DataDirError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except FileExistsError:
        raise DataDirError(f"{folder} is a file; BILLING_DATA_DIR must be a folder") from None
    except OSError as error:
        raise DataDirError(f"can't create the data folder {folder}: {error.strerror}") from None
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise DataDirError(
            f"{folder} belongs to another user (uid {folder.stat().st_uid}); "
            "run as that user or set BILLING_DATA_DIR to a folder of your own"
        )


def announce(folder: Path, facts: Mapping[str, str]) -> None:
    """Write, for other processes of this user, what runs here (URLs with passwords: mode 0600)."""
    owner = {"pid": os.getpid(), "started_at": psutil.Process().create_time()}
    write_private(folder / RUNNING, json.dumps({"owner": owner, **facts}, indent=2) + "\n")


def withdraw(folder: Path) -> None:
    """Nothing runs here any more."""
    (folder / RUNNING).unlink(missing_ok=True)


def running(folder: Path) -> dict[str, str]:
    """The facts from `announce`, or {} if its process is gone. Raises DataDirError if
    unreadable."""
    try:
        facts = json.loads((folder / RUNNING).read_text())
        owner = facts.pop("owner")
        started_at = psutil.Process(owner["pid"]).create_time()
    except (FileNotFoundError, NotADirectoryError, psutil.NoSuchProcess):
        return {}
    except PermissionError:
        raise DataDirError(
            f"{folder} belongs to another user; run as that user, "
            "or set BILLING_DATABASE_URL and BILLING_BROKER_URL"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataDirError(
            f"{folder / RUNNING} is damaged; stop `billing up`, delete the file, start again"
        ) from None
    if abs(started_at - owner["started_at"]) > START_TOLERANCE_S:
        return {}  # the pid was given to another process since
    return {name: str(value) for name, value in facts.items()}


def encryption_key(folder: Path) -> str:
    """The key that encrypts the secrets in this folder's database, created on first use."""
    return secret(folder / ENCRYPTION_KEY, make=new_key)


def _password() -> str:
    return secrets.token_hex(24)


def secret(path: Path, make: Callable[[], str] = _password) -> str:
    """The password kept in this file, created on first use (mode 0600)."""
    try:
        kept = path.read_text().strip()
    except FileNotFoundError:
        kept = ""
    if not kept:  # also after a crash between creating the file and writing it
        kept = make()
        write_private(path, kept + "\n")
    return kept


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, completely or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _occupied(folder: Path, holder: bytes) -> str:
    who = f" (pid {holder.decode()})" if holder.isdigit() else ""
    return (
        f"`billing up` already runs in {folder}{who}; "
        "stop it first, or set BILLING_DATA_DIR to another folder"
    )
