"""A step between us and a server: changes the user, ties its life to ours, and becomes the server.

Run as a script (`python -I -S launch.py '{"parent": …}' command …`), so standard library only. It
exists because these things must happen in the new process after fork, where a program with threads
may run no Python of its own (preexec_fn), and because `setpriv` isn't on every machine.
"""

import ctypes
import json
import os
import sys

REFUSED = 96  # exit status: the kernel refused a step; the reason is on stderr

# linux/prctl.h, linux/securebits.h, linux/capability.h, linux/sched.h
PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAPABILITY_VERSION_3 = 0x20080522
CLONE_NEWUSER = 0x10000000


class Refused(Exception):
    """The kernel refused a step."""


def main(arguments: list[str]) -> None:
    wish = json.loads(arguments[0])
    command = arguments[1:]
    if wish.get("user_namespace"):
        enter_user_namespace(inside_uid=wish["uid"], inside_gid=wish["gid"])
    elif "uid" in wish:
        become(wish["uid"], wish["gid"], wish["capabilities"])
    if wish.get("reach"):
        reach(wish["reach"])
    # Last, since a change of credentials clears it.
    die_with(wish["parent"], wish["death_signal"])
    os.execv(command[0], command)


def become(uid: int, gid: int, capabilities: list[int]) -> None:
    """Change to an ordinary user, for good, keeping only these capabilities (root only)."""
    if capabilities:
        # Without this bit access(2) answers as if the capabilities weren't there, and
        # PostgreSQL asks access(2) whether it can find its own binary.
        prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    if sys.platform != "linux":
        return
    capset(capabilities)
    for capability in capabilities:
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def enter_user_namespace(*, inside_uid: int, inside_gid: int) -> None:
    """Keep our user for every file, but look like an ordinary user from the inside."""
    uid, gid = os.geteuid(), os.getegid()
    check(libc().unshare(CLONE_NEWUSER), "unshare")
    for name, text in (
        ("setgroups", "deny"),  # the kernel wants this before a gid map by a non-root
        ("uid_map", f"{inside_uid} {uid} 1"),
        ("gid_map", f"{inside_gid} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def reach(folder: str) -> None:
    """Fail unless this process, as it is now, can read and write in the folder."""
    os.listdir(folder)
    probe = os.path.join(folder, f".reach.{os.getpid()}")
    os.close(os.open(probe, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600))
    os.unlink(probe)


def die_with(parent: int, death_signal: int) -> None:
    """Have the kernel send us `death_signal` when the thread that started us is gone: one that
    lives as long as its process (`process.start`)."""
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, death_signal)
    if os.getppid() != parent:  # gone before we asked
        raise Refused("the program that started this one has ended")


def capset(capabilities: list[int]) -> None:
    """Make these the permitted, effective and inheritable capabilities, and no others."""
    masks = [0, 0]
    for capability in capabilities:
        masks[capability // 32] |= 1 << (capability % 32)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(*(mask for mask in masks for _ in range(3)))
    check(libc().capset(header, sets), "capset")


def prctl(option: int, argument: int, detail: int = 0) -> None:
    check(libc().prctl(option, argument, detail, 0, 0), f"prctl({option}, {argument})")


def check(status: int, what: str) -> None:
    if status != 0:
        raise Refused(f"{what}: {os.strerror(ctypes.get_errno())}")


def libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Refused, OSError) as refusal:
        print(f"{type(refusal).__name__}: {refusal}", file=sys.stderr)
        sys.exit(REFUSED)
