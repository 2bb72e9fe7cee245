/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dataplane/threads.h"

/* Of the calling thread; raw, because it also runs in a signal handler. */
static int
capabilities_clear(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	return (int)syscall(SYS_capset, &header, none);
}

/* What a program executed by us could get: nothing, even if the filter failed. */
static int
bounding_set_clear(void)
{
	for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
		if (prctl(PR_CAPBSET_DROP, capability) < 0)
			return errno == EPERM ? 0
					      : -errno; /* needs CAP_SETPCAP: we never had more */
	return 0;
}

int
privilege_prepare(struct failure *failure)
{
	const struct rlimit no_core = {0};

	/* The limit stops core files; a core pipe ignores it, but obeys PR_SET_DUMPABLE. */
	if (setrlimit(RLIMIT_CORE, &no_core) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
		bounding_set_clear() < 0)
		return failure_set(
			failure, errno, "cannot prepare to drop privileges: %s", strerror(errno));
	return 0;
}

static void
thread_capabilities_clear(void)
{
	capabilities_clear();
}

/* glibc makes these calls in every thread. Groups first: they need the privilege of the uid. */
static int
identity_change(uid_t uid, gid_t gid, struct failure *failure)
{
	if (geteuid() == uid && getuid() == uid && getegid() == gid && getgid() == gid)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return failure_set(failure, errno,
			"cannot become user %u group %u: %s; start credgated as root, or configure "
			"the "
			"user it runs as",
			uid, gid, strerror(errno));
	return 0;
}

int
privilege_drop(uid_t uid, gid_t gid, unsigned needs, struct failure *failure)
{
	struct threads_view *view;
	int status = identity_change(uid, gid, failure);

	if (status == 0)
		status = threads_run(thread_capabilities_clear, failure);
	/* Changing the uid sets it to what /proc/sys/fs/suid_dumpable says. */
	if (status == 0 && prctl(PR_SET_DUMPABLE, 0) < 0)
		status = failure_set(failure, errno, "cannot forbid core files");
	if (status < 0)
		return status;
	/* Opened before the filter is there, which lets no file be opened; read when it is. */
	view = threads_view_open(failure);
	if (view == NULL)
		return -failure->error;
	status = privilege_filter_load(needs, failure);
	if (status == 0)
		status = threads_view_check(view, uid, gid, failure);
	threads_view_close(view);
	return status;
}
