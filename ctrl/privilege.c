/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/privilege.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
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

/*
 * A directory of root's own, as a service manager or an installation makes it, goes to the control
 * user, with root's plain files in it: nobody else could have put them there. Links stay as they
 * are; what control then cannot use it refuses itself.
 */
static int
dir_adopt(int fd, const struct config_user *owner)
{
	DIR *dir = fdopendir(dup(fd));
	struct dirent *entry;
	struct stat st;
	int error = fchown(fd, owner->uid, owner->gid) != 0 ? -errno : 0;

	if (dir == NULL)
		return -ENOMEM;
	while (error == 0 && (entry = readdir(dir)) != NULL) {
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
			!S_ISREG(st.st_mode) || st.st_uid != 0 || st.st_nlink != 1)
			continue;
		if (fchownat(fd, entry->d_name, owner->uid, owner->gid, AT_SYMLINK_NOFOLLOW) != 0)
			error = -errno;
	}
	closedir(dir);
	return error;
}

static int
dir_check(int fd, const char *dir, const struct config_user *owner, struct reason *reason)
{
	struct stat st;
	int error = 0;

	if (fstat(fd, &st) != 0)
		return reason_set(reason, errno, "%s: %s", dir, strerror(errno));
	if (st.st_uid == owner->uid)
		return 0;
	if (geteuid() != 0 || st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		return reason_set(reason, EPERM,
			"%s belongs to uid %u and not to the control user; chown it to uid %u", dir,
			st.st_uid, owner->uid);
	error = dir_adopt(fd, owner);
	if (error != 0)
		return reason_set(reason, -error, "%s cannot be given to uid %u: %s", dir,
			owner->uid, strerror(-error));
	return 0;
}

/* The mask must not decide who gets in. */
static int
dir_make(const char *dir, mode_t mode, const struct config_user *owner, struct reason *reason)
{
	bool is_new = mkdir(dir, mode) == 0;
	int fd, error;

	if (!is_new && errno != EEXIST)
		return reason_set(reason, errno, "%s cannot be made: %s; make it, for uid %u", dir,
			strerror(errno), owner->uid);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return reason_set(reason, errno, "%s: %s; remove it, or make it a directory", dir,
			strerror(errno));
	if (is_new && fchmod(fd, mode) != 0)
		error = reason_set(reason, errno, "%s: %s", dir, strerror(errno));
	else
		error = dir_check(fd, dir, owner, reason);
	close(fd);
	return error;
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
