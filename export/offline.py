"""A process without connections, for libraries that report to their makers and have no switch for it."""

from __future__ import annotations

import ctypes
import platform
import struct
import sys

from models.errors import NotInstalledError

# Numbers of the kernel's interface: linux/prctl.h, linux/seccomp.h, linux/filter.h, linux/audit.h.
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _FAIL, _EACCES = 0x7FFF0000, 0x00050000, 13
_SOCKET = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""The architecture's number, and that of the system call `socket` on it."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def forbid_connections() -> None:
    """From here on, this thread and those it starts cannot open a socket: they get a PermissionError.

    There is no way back, so it is for a worker process. Pipes and sockets that are open go on.

    Raises:
        NotInstalledError: the system has no way to do that.
    """
    known = _SOCKET.get(platform.machine())
    if sys.platform != "linux" or known is None:
        raise NotInstalledError(
            f"only Linux on x86_64 or aarch64 can keep a library from reporting home, this is {sys.platform} on "
            f"{platform.machine()}; run this command there, in a container or on a build machine"
        )
    architecture, number = known
    steps = (
        (_LOAD, 0, 0, 4),
        (_JUMP_IF_EQUAL, 0, 3, architecture),
        (_LOAD, 0, 0, 0),
        (_JUMP_IF_EQUAL, 0, 1, number),
        (_RETURN, 0, 0, _FAIL | _EACCES),
        (_RETURN, 0, 0, _ALLOW),
    )
    program = _Program(len(steps), b"".join(struct.pack("<HBBI", *step) for step in steps))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)
    # Without the first, only root may install a filter.
    if prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(program), 0, 0):
        raise NotInstalledError(
            f"this Linux refuses to keep a process from the network (seccomp, error {ctypes.get_errno()}); run the "
            "command on one with seccomp filters"
        )
