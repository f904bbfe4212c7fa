"""Which system calls a partition has: everything that services need, nothing that makes, joins or opens other worlds.

The filter is compiled once by libseccomp, which knows the numbers of every architecture, and loaded by each process
when it enters its sandbox (`freehold.node.isolation.sandbox.lock`). Calls of another architecture (32 bits, x32) are
refused with it: a filter of numbers alone would let them past.
"""

import ctypes
import errno
import os

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_SCMP_CMP_MASKED_EQ = 7
_SCMP_FLTATR_ACT_BADARCH = 2

FORBIDDEN = (
    # Namespaces and mounts: what is seen is what was given.
    "unshare", "setns", "mount", "umount", "umount2", "pivot_root", "chroot", "open_tree", "open_tree_attr",
    "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr", "name_to_handle_at", "open_by_handle_at",
    # Keys of the kernel are kept by user, and would outlive the partition.
    "add_key", "request_key", "keyctl",
    # Where kernels break.
    "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "perf_event_open", "userfaultfd", "kexec_load",
    "kexec_file_load", "init_module", "finit_module", "delete_module", "create_module", "lookup_dcookie", "nfsservctl",
    "vm86", "vm86old", "modify_ldt", "uselib", "_sysctl", "sysfs", "ustat",
    # The machine's own.
    "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "syslog", "vhangup", "settimeofday", "stime",
    "clock_settime", "clock_settime64", "sethostname", "setdomainname", "ioperm", "iopl", "fanotify_init",
)  # fmt: skip
"""Answered with EPERM."""
MISSING = ("clone3",)
"""Answered with ENOSYS, so that libraries use `clone`, whose flags can be looked at."""
_NAMESPACES = (0x00000080, 0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
"""Flags of `clone`: time, mount, control group, UTS, IPC, user, PID and network."""
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
"""Putting characters into a terminal as if they were typed."""


class _Comparison(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def compile_filter() -> bytes:
    """Return the filter as the kernel takes it (an array of `struct sock_filter`); raise OSError without one."""
    library = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(_ALLOW))
    if not context:
        raise OSError(errno.ENOMEM, "seccomp_init")
    try:
        refuse, missing = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
        _must(library.seccomp_attr_set(context, _SCMP_FLTATR_ACT_BADARCH, refuse))
        for name in FORBIDDEN:
            _refuse(library, context, name, refuse)
        for name in MISSING:
            _refuse(library, context, name, missing)
        for flag in _NAMESPACES:
            _refuse(library, context, "clone", refuse, _Comparison(0, _SCMP_CMP_MASKED_EQ, flag, flag))
        for request in (_TIOCSTI, _TIOCLINUX):
            # The kernel looks at 32 bits only.
            _refuse(library, context, "ioctl", refuse, _Comparison(1, _SCMP_CMP_MASKED_EQ, 0xFFFFFFFF, request))
        return _exported(library, context)
    finally:
        library.seccomp_release(context)


def _refuse(library: ctypes.CDLL, context: ctypes.c_void_p, name: str, answer: int, *when: _Comparison) -> None:
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number < 0:
        # No such call on this architecture, or one that this library does not know yet.
        return
    _must(library.seccomp_rule_add(context, ctypes.c_uint32(answer), number, len(when), *when))


def _exported(library: ctypes.CDLL, context: ctypes.c_void_p) -> bytes:
    descriptor = os.memfd_create("filter", os.MFD_CLOEXEC)
    try:
        _must(library.seccomp_export_bpf(context, descriptor))
        os.lseek(descriptor, 0, os.SEEK_SET)
        return os.read(descriptor, 1 << 20)
    finally:
        os.close(descriptor)


def _must(answer: int) -> None:
    if answer < 0:
        raise OSError(-answer, f"libseccomp: {os.strerror(-answer)}")
