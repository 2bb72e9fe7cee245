/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/privilege.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Rings, clients and consumers, several times over. */
#define DESCRIPTORS 8192u

static int
dir_make(const char *dir, mode_t mode, const struct config_user *owner, struct reason *reason)
{
	struct stat st;

	if (mkdir(dir, mode) == 0) {
		/* The mask must not decide who gets in; the parent's group must not either. */
		if (chmod(dir, mode) == 0 && lchown(dir, owner->uid, owner->gid) == 0)
			return 0;
		return reason_set(reason, errno, "%s: %s", dir, strerror(errno));
	}
	if (errno != EEXIST)
		return reason_set(reason, errno, "%s cannot be made: %s; make it, for uid %u", dir,
			strerror(errno), owner->uid);
	if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
		return reason_set(reason, ENOTDIR, "%s is not a directory; remove it", dir);
	if (st.st_uid != owner->uid)
		return reason_set(reason, EPERM,
			"%s belongs to uid %u and not to the control user; chown it to uid %u", dir,
			st.st_uid, owner->uid);
	return 0;
}

int
privilege_make_dirs(const struct config *config, struct reason *reason)
{
	/* Consumers and admins of other users come to the sockets in the run directory. */
	int error = dir_make(config->run_dir, 0755, &config->control, reason);

	return error != 0 ? error : dir_make(config->state_dir, 0700, &config->control, reason);
}

/* As far as may be: refusals are seen later, as a table not locked or a descriptor missing. */
static void
limit_raise(int resource, rlim_t wanted)
{
	const struct rlimit all = {wanted, wanted};
	struct rlimit limit;

	if (getrlimit(resource, &limit) != 0 || limit.rlim_cur >= wanted ||
		(limit.rlim_max < wanted && setrlimit(resource, &all) == 0))
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	setrlimit(resource, &limit);
}

static void
limits_raise(void)
{
	limit_raise(RLIMIT_MEMLOCK, RLIM_INFINITY);
	limit_raise(RLIMIT_NOFILE, DESCRIPTORS);
}

static int
capabilities_clear(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	return (int)syscall(SYS_capset, &header, none);
}

/* What was dropped must be gone, whatever the kernel's configuration. */
static int
loss_check(const struct config_user *user, struct reason *reason)
{
	if (getuid() != user->uid || geteuid() != user->uid || getgid() != user->gid ||
		getegid() != user->gid || (user->uid != 0 && setuid(0) == 0))
		return reason_set(reason, EPERM, "privileges could not be dropped for good");
	return 0;
}

int
privilege_become(const struct config_user *user, struct reason *reason)
{
	limits_raise();
	if (geteuid() == 0 &&
		(setgroups(0, NULL) != 0 || setresgid(user->gid, user->gid, user->gid) != 0 ||
			setresuid(user->uid, user->uid, user->uid) != 0))
		return reason_set(reason, errno, "cannot become uid %u gid %u: %s", user->uid,
			user->gid, strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || capabilities_clear() != 0)
		return reason_set(
			reason, errno, "capabilities cannot be dropped: %s", strerror(errno));
	return loss_check(user, reason);
}
