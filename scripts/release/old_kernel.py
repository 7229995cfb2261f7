#!/usr/bin/env python3
"""Runs a command as on Linux 3.10, the kernel of RHEL 7: system calls that came later fail with ENOSYS.

Usage: old_kernel.py PROGRAM [ARGUMENT]... Only for x86_64, where system calls have numbers in the order in which they came.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

# sched_setattr, of Linux 3.14.
FIRST_NEWER = 314

# From linux/bpf_common.h, linux/seccomp.h, linux/audit.h and linux/prctl.h.
LOAD_WORD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
OFFSET_NUMBER, OFFSET_ARCHITECTURE = 0, 4
ALLOW, FAIL = 0x7FFF0000, 0x00050000
X86_64 = 0xC000003E
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, MODE_FILTER = 22, 38, 2

PROGRAM = [
    (LOAD_WORD, 0, 0, OFFSET_ARCHITECTURE),
    (JUMP_IF_EQUAL, 0, 2, X86_64),
    (LOAD_WORD, 0, 0, OFFSET_NUMBER),
    (JUMP_IF_AT_LEAST, 1, 0, FIRST_NEWER),
    (RETURN, 0, 0, ALLOW),
    (RETURN, 0, 0, FAIL | errno.ENOSYS),
]


def forget_newer_calls():
    """Sets the filter for this process and its children."""
    instructions = b"".join(struct.pack("HBBI", *instruction) for instruction in PROGRAM)
    buffer = ctypes.create_string_buffer(instructions)
    program = struct.pack("HxxxxxxP", len(PROGRAM), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in [(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, MODE_FILTER, program, 0, 0)]:
        if libc.prctl(*call) != 0:
            sys.exit(f"old_kernel: {os.strerror(ctypes.get_errno())}")


def main():
    if len(sys.argv) < 2 or platform.machine() != "x86_64":
        sys.exit(__doc__)
    forget_newer_calls()
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
