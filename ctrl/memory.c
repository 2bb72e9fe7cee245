/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define HUGE_PAGE_SIZE (2ull << 20)
#define MEMORY_SPARED  16
#define HUGE_FREE_PATH "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u /* Linux 6.3 */
#endif

static uint64_t
round_up(uint64_t size, uint64_t page)
{
	return (size + page - 1) / page * page;
}

/* Older kernels do not know MFD_NOEXEC_SEAL, newer ones complain in the log without it. */
static int
memfd_make(const char *name, unsigned flags)
{
	int fd = memfd_create(name, flags | MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags | MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd;
}

/* Sizes, allocates, seals and maps; -1 with errno. */
static int
object_fill(struct memory_object *object, const char *name, uint64_t file_size, unsigned flags)
{
	int error;

	object->fd = memfd_make(name, flags);
	if (object->fd < 0)
		return -1;
	if (fchmod(object->fd, 0600) != 0 || ftruncate(object->fd, (off_t)file_size) != 0)
		goto err_file;
	/* A hole would be allocated in the middle of a commit, or turn into SIGBUS there. */
	if (fallocate(object->fd, 0, 0, (off_t)file_size) != 0)
		goto err_file;
	if (fcntl(object->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
		goto err_file;
	object->mapping = mmap(
		NULL, file_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, object->fd, 0);
	if (object->mapping == MAP_FAILED)
		goto err_file;
	object->mapped = file_size;
	return 0;

err_file:
	error = errno;
	object->mapping = NULL;
	close(object->fd);
	object->fd = -1;
	errno = error;
	return -1;
}

int
memory_object_create(struct memory_object *object, const char *name, uint64_t size,
	enum memory_pages pages, struct reason *reason)
{
	*object = MEMORY_OBJECT_NONE;
	object->size = size;
	if (pages == MEMORY_PAGES_HUGE && object_fill(object, name, round_up(size, HUGE_PAGE_SIZE),
						  MFD_HUGETLB | MFD_HUGE_2MB) == 0) {
		object->is_huge = true;
		return 0;
	}
	if (memory_check(size, reason) != 0)
		return -ENOMEM;
	if (object_fill(object, name, size, 0) == 0)
		return 0;
	return reason_set(reason, errno,
		"%llu MB of shared memory for %s: %s; lower nodes_max or window_bits, or add "
		"memory",
		(unsigned long long)((size + (1u << 20) - 1) >> 20), name, strerror(errno));
}

void
memory_object_destroy(struct memory_object *object)
{
	if (object->mapping != NULL)
		munmap(object->mapping, object->mapped);
	if (object->reader_fd >= 0)
		close(object->reader_fd);
	if (object->fd >= 0)
		close(object->fd);
	*object = MEMORY_OBJECT_NONE;
}

int
memory_object_seal(struct memory_object *object, bool is_readonly, struct reason *reason)
{
	int seals = F_SEAL_SEAL | (is_readonly ? F_SEAL_FUTURE_WRITE : 0);

	if (fcntl(object->fd, F_ADD_SEALS, seals) != 0)
		return reason_set(reason, errno,
			"shared memory cannot be sealed: %s; Linux 5.16 or later is needed",
			strerror(errno));
	return 0;
}

/*
 * Works without being dumpable as well: a process may always look into its own /proc/self/fd, and
 * the file belongs to the user that made it.
 */
int
memory_object_open_reader(struct memory_object *object, struct reason *reason)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", object->fd);
	object->reader_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (object->reader_fd < 0)
		return reason_set(reason, errno,
			"a ring cannot be opened read-only: %s; is /proc mounted?",
			strerror(errno));
	return 0;
}

bool
memory_object_protect(struct memory_object *object)
{
	madvise(object->mapping, object->mapped, MADV_DONTDUMP);
	/* Hugepages are never swapped. */
	return object->is_huge || mlock(object->mapping, object->mapped) == 0;
}

uint64_t
memory_huge_free(void)
{
	unsigned long long count = 0;
	FILE *file = fopen(HUGE_FREE_PATH, "re");

	if (file == NULL)
		return 0;
	if (fscanf(file, "%llu", &count) != 1)
		count = 0;
	fclose(file);
	return count * HUGE_PAGE_SIZE;
}

/* MemAvailable in bytes; without it nothing is known, and nothing is promised. */
static uint64_t
memory_available(void)
{
	unsigned long long kilobytes = 0;
	char line[128];
	FILE *file = fopen("/proc/meminfo", "re");

	if (file == NULL)
		return UINT64_MAX;
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "MemAvailable: %llu kB", &kilobytes) == 1)
			break;
	fclose(file);
	return kilobytes * 1024;
}

int
memory_check(uint64_t bytes, struct reason *reason)
{
	uint64_t available = memory_available();

	/* Allocating the last of it would have the kernel kill somebody: a part stays free. */
	available -= available / MEMORY_SPARED;
	if (bytes <= available)
		return 0;
	return reason_set(reason, ENOMEM,
		"tables, windows and rings need %llu MB and %llu MB are available; lower "
		"nodes_max, "
		"window_bits or ring_slots, or add memory",
		(unsigned long long)(bytes >> 20), (unsigned long long)(available >> 20));
}

int
memory_process_harden(struct reason *reason)
{
	const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return reason_set(
			reason, errno, "core files cannot be forbidden: %s", strerror(errno));
	return 0;
}
