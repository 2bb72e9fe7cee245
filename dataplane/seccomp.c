/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The system call filter. The allow-list is what strace showed of workers, main thread, EAL's
 * control threads (interrupts, telemetry, memif) and an orderly stop; everything else fails with
 * EPERM. Failing, not killing, is the default because a driver's or libc's rare call (a link-state
 * ioctl, a thread name) should not cost a gateway its life. What no honest run of this program can
 * reach, and what an intruder wants first (another program, another process's memory, a file to
 * write, kernel attack surface), kills the process at once and leaves an audit record.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "dataplane/privilege.h"

/* ioctl request type, bits 8 to 15: ';' is VFIO, 0x1b is verbs (mlx4, mlx5). */
#define IOCTL_TYPE_MASK  0xff00u
#define IOCTL_TYPE_VFIO  ((unsigned)';' << 8)
#define IOCTL_TYPE_VERBS (0x1bu << 8)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const int calls_common[] = {
	/* clocks and sleeps: workers read clocks through the vDSO, which may fall back */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(gettimeofday),
	SCMP_SYS(nanosleep),
	/* waiting and waking */
	SCMP_SYS(epoll_create), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_pwait),
	SCMP_SYS(epoll_wait), SCMP_SYS(futex), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(restart_syscall), SCMP_SYS(sched_yield), SCMP_SYS(timerfd_settime),
	SCMP_SYS(epoll_ctl),
	/* descriptors that are open: ports, set-up socket, log, telemetry */
	SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(lseek),
	SCMP_SYS(pread64), SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg), SCMP_SYS(sendto), SCMP_SYS(shutdown), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(getdents64), SCMP_SYS(getsockopt),
	/* memory */
	SCMP_SYS(brk), SCMP_SYS(madvise), SCMP_SYS(mremap), SCMP_SYS(munmap),
	/* threads: telemetry makes one per client */
	SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(getpid), SCMP_SYS(gettid),
	SCMP_SYS(membarrier), SCMP_SYS(rseq), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_setaffinity),
	SCMP_SYS(set_robust_list), SCMP_SYS(sigaltstack), SCMP_SYS(tgkill),
	/* who we are, random bytes */
	SCMP_SYS(geteuid), SCMP_SYS(getrandom), SCMP_SYS(getuid)};

/* A memif peer connects whenever it likes and brings its memory with it. */
static const int calls_memif[] = {SCMP_SYS(bind), SCMP_SYS(connect), SCMP_SYS(eventfd2),
	SCMP_SYS(fcntl), SCMP_SYS(ftruncate), SCMP_SYS(listen), SCMP_SYS(memfd_create),
	SCMP_SYS(setsockopt), SCMP_SYS(unlink)};

static const int calls_deadly[] = {
	/* other programs and other processes */
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(kcmp), SCMP_SYS(pidfd_getfd),
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(ptrace), SCMP_SYS(vfork),
	/* names, mounts and identities */
	SCMP_SYS(chroot), SCMP_SYS(mount), SCMP_SYS(name_to_handle_at), SCMP_SYS(open_by_handle_at),
	SCMP_SYS(pivot_root), SCMP_SYS(setns), SCMP_SYS(umount2), SCMP_SYS(unshare),
	SCMP_SYS(setuid), SCMP_SYS(setresuid), SCMP_SYS(setreuid), SCMP_SYS(capset),
	/* kernel surface */
	SCMP_SYS(add_key), SCMP_SYS(delete_module), SCMP_SYS(finit_module), SCMP_SYS(init_module),
	SCMP_SYS(io_uring_setup), SCMP_SYS(ioperm), SCMP_SYS(iopl), SCMP_SYS(kexec_file_load),
	SCMP_SYS(kexec_load), SCMP_SYS(keyctl), SCMP_SYS(perf_event_open), SCMP_SYS(personality),
	SCMP_SYS(reboot), SCMP_SYS(request_key), SCMP_SYS(swapon), SCMP_SYS(userfaultfd)};

static const int calls_interface[] = {SCMP_SYS(getsockname)};

/* The af_xdp driver tries to take its program off an interface when it stops, and may not. */
static const int calls_deadly_but_xdp[] = {SCMP_SYS(bpf)};

/* A rule that looks at one argument. */
struct rule {
	uint32_t action;
	int call;
	struct scmp_arg_cmp argument;
};

#define THREAD (CLONE_VM | CLONE_SIGHAND | CLONE_THREAD)
#define NAMESPACES                                                                                 \
	(CLONE_NEWNS | CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | \
		CLONE_NEWCGROUP)
#define ALLOW(call, argument)                            \
	{                                                \
		SCMP_ACT_ALLOW, SCMP_SYS(call), argument \
	}
#define KILL_FLAG2(call, flag)                                                                 \
	{                                                                                      \
		SCMP_ACT_KILL_PROCESS, SCMP_SYS(call), SCMP_A2(SCMP_CMP_MASKED_EQ, flag, flag) \
	}
#define KILL_FLAG1(call, flag)                                                                 \
	{                                                                                      \
		SCMP_ACT_KILL_PROCESS, SCMP_SYS(call), SCMP_A1(SCMP_CMP_MASKED_EQ, flag, flag) \
	}

static const struct rule rules_common[] = {
	/* memory that may be executed is never made */
	ALLOW(mmap, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)),
	ALLOW(mprotect, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)),
	/* threads, but no processes and no namespaces */
	ALLOW(clone, SCMP_A0(SCMP_CMP_MASKED_EQ, THREAD | NAMESPACES, THREAD)),
	ALLOW(prctl, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)),
	/* files are not opened at all; an attempt to write one is no accident */
	KILL_FLAG2(openat, O_WRONLY),
	KILL_FLAG2(openat, O_RDWR),
	KILL_FLAG2(openat, O_CREAT),
	KILL_FLAG2(openat, O_TRUNC),
	KILL_FLAG1(open, O_WRONLY),
	KILL_FLAG1(open, O_RDWR),
	KILL_FLAG1(open, O_CREAT),
	KILL_FLAG1(open, O_TRUNC),
};

static const struct rule rules_memif[] = {
	ALLOW(socket, SCMP_A0(SCMP_CMP_EQ, AF_UNIX)),
};

static const struct rule rules_pci[] = {
	ALLOW(ioctl, SCMP_A1(SCMP_CMP_MASKED_EQ, IOCTL_TYPE_MASK, IOCTL_TYPE_VFIO)),
	ALLOW(ioctl, SCMP_A1(SCMP_CMP_MASKED_EQ, IOCTL_TYPE_MASK, IOCTL_TYPE_VERBS)),
};

/* interface.c: reads the name and flags of an interface, of the whole family of requests. */
static const struct rule rules_interface[] = {
	ALLOW(ioctl, SCMP_A1(SCMP_CMP_EQ, SIOCGIFNAME)),
	ALLOW(ioctl, SCMP_A1(SCMP_CMP_EQ, SIOCGIFFLAGS)),
};

static int
calls_add(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
	int status = 0;

	for (size_t i = 0; i < count && status == 0; i++)
		status = seccomp_rule_add(filter, action, calls[i], 0);
	return status;
}

static int
rules_add(scmp_filter_ctx filter, const struct rule *rules, size_t count)
{
	int status = 0;

	for (size_t i = 0; i < count && status == 0; i++)
		status = seccomp_rule_add_array(
			filter, rules[i].action, rules[i].call, 1, &rules[i].argument);
	return status;
}

static int
filter_fill(scmp_filter_ctx filter, unsigned needs)
{
	int status;

	status = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (status == 0)
		status = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (status == 0)
		status =
			calls_add(filter, SCMP_ACT_KILL_PROCESS, calls_deadly, COUNT(calls_deadly));
	if (status == 0 && !(needs & PRIVILEGE_NEED_XDP))
		status = calls_add(filter, SCMP_ACT_KILL_PROCESS, calls_deadly_but_xdp,
			COUNT(calls_deadly_but_xdp));
	if (status == 0)
		status = calls_add(filter, SCMP_ACT_ALLOW, calls_common, COUNT(calls_common));
	if (status == 0)
		status = rules_add(filter, rules_common, COUNT(rules_common));
	/* It hides its flags behind a pointer: said not to exist, so that libc takes clone. */
	if (status == 0)
		status = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (status == 0 && (needs & PRIVILEGE_NEED_MEMIF))
		status = calls_add(filter, SCMP_ACT_ALLOW, calls_memif, COUNT(calls_memif));
	if (status == 0 && (needs & PRIVILEGE_NEED_MEMIF))
		status = rules_add(filter, rules_memif, COUNT(rules_memif));
	if (status == 0 && (needs & PRIVILEGE_NEED_PCI))
		status = rules_add(filter, rules_pci, COUNT(rules_pci));
	if (status == 0 && (needs & PRIVILEGE_NEED_INTERFACE))
		status = calls_add(filter, SCMP_ACT_ALLOW, calls_interface, COUNT(calls_interface));
	if (status == 0 && (needs & PRIVILEGE_NEED_INTERFACE))
		status = rules_add(filter, rules_interface, COUNT(rules_interface));
	return status;
}

int
privilege_filter_load(unsigned needs, struct failure *failure)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int status = filter ? filter_fill(filter, needs) : -ENOMEM;

	if (status == 0)
		status = seccomp_load(filter);
	if (filter)
		seccomp_release(filter);
	if (status < 0)
		return failure_set(failure, -status,
			"cannot load the system call filter: %s; the kernel needs "
			"CONFIG_SECCOMP_FILTER",
			strerror(-status));
	return 0;
}
