/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/peers/realm.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

static int
master_read(uint8_t master[KDF_KEY_SIZE], const char *path)
{
	FILE *file = fopen(path, "rbe");
	size_t size;
	bool is_longer;

	if (file == NULL)
		return -errno;
	size = fread(master, 1, KDF_KEY_SIZE, file);
	is_longer = fgetc(file) != EOF;
	fclose(file);
	return size == KDF_KEY_SIZE && !is_longer ? 0 : -EBADMSG;
}

int
realm_init(struct realm *realm, uint32_t id, uint32_t nodes, const char *master_path)
{
	uint8_t master[KDF_KEY_SIZE];
	int status = 0;

	for (unsigned i = 0; i < sizeof(master); i++)
		master[i] = (uint8_t)i;
	if (master_path != NULL)
		status = master_read(master, master_path);
	*realm = (struct realm){.id = id, .nodes = nodes};
	if (status == 0)
		kdf_realm(realm->key, master, id);
	return status;
}

void
realm_node_key(const struct realm *realm, uint32_t node, uint8_t key[KDF_KEY_SIZE])
{
	kdf_node(key, realm->key, node, REALM_EPOCH);
}

uint64_t
realm_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}
