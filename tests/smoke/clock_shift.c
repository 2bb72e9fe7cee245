/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Preloaded into credgated and credgate-dataplane by tests/smoke/intruder_test.py: the real-time
 * clock of the machine plus the microseconds (int64, host order) in the file that CLOCK_SHIFT names.
 * The file is mapped at the start, so it works behind the dataplane's system call filter as well.
 */

#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const _Atomic int64_t *shift_us;

__attribute__((constructor)) static void
shift_map(void)
{
	const char *path = getenv("CLOCK_SHIFT");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *mapping;

	if (fd < 0)
		return;
	mapping = mmap(NULL, sizeof(*shift_us), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (mapping != MAP_FAILED)
		shift_us = mapping;
}

int
clock_gettime(clockid_t clock, struct timespec *now)
{
	int status = (int)syscall(SYS_clock_gettime, clock, now);
	int64_t ns;

	if (status != 0 || clock != CLOCK_REALTIME || shift_us == NULL)
		return status;
	ns = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + atomic_load(shift_us) * 1000;
	now->tv_sec = ns / 1000000000;
	now->tv_nsec = (long)(ns % 1000000000);
	return 0;
}
