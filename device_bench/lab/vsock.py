"""Keeps this process and its children from VM sockets."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct

_AUDIT_ARCH_X86_64 = 0xC000003E
_SYS_SOCKET = 41
_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def deny_vsock() -> None:
    """Makes every later `socket(AF_VSOCK, …)` of this thread and its children fail with EAFNOSUPPORT.

    adbd listens on VM sockets too, and no namespace holds these: the machine around a virtual machine could reach it.

    Raises:
        OSError: the kernel refuses the filter.
    """
    instructions = b"".join(
        struct.pack("=HBBI", *row)
        for row in (
            # Offsets of struct seccomp_data: number of the call 0, architecture 4, first argument 16.
            (_LOAD, 0, 0, 4),
            (_JUMP_IF_EQUAL, 1, 0, _AUDIT_ARCH_X86_64),
            (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
            (_LOAD, 0, 0, 0),
            (_JUMP_IF_EQUAL, 0, 3, _SYS_SOCKET),
            (_LOAD, 0, 0, 16),
            (_JUMP_IF_EQUAL, 0, 1, socket.AF_VSOCK),
            (_RETURN, 0, 0, _ERRNO | errno.EAFNOSUPPORT),
            (_RETURN, 0, 0, _ALLOW),
        )
    )
    program = _Program(len(instructions) // 8, instructions)
    library = ctypes.CDLL(None, use_errno=True)
    # Allowed without no_new_privs, because we are root in our own user namespace.
    if library.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")
