/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* What the tests of client/ share: a directory of one's own with a node key file and a boot id. */

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/kdf.h"
#include "wire/cred.h"
#include "wire/text.h"

#define FIXTURE_BOOT_1 "11111111-2222-3333-4444-555555555555\n"
#define FIXTURE_BOOT_2 "11111111-2222-3333-4444-555555555556\n"

struct fixture {
	char directory[64];
	char key[96];
	char serial[112];
	char boot_id[96];
	struct node_key node;
};

static inline void
fixture_write(const char *path, const void *bytes, size_t size, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
}

static inline void
fixture_boot(const struct fixture *f, const char *boot_id)
{
	fixture_write(f->boot_id, boot_id, strlen(boot_id), 0644);
}

/* (Re)writes the key file with a key of `suite`. */
static inline void
fixture_key(struct fixture *f, uint8_t suite)
{
	char text[NODE_KEY_TEXT_SIZE + 1];
	unsigned i;

	f->node = (struct node_key){.realm = 7, .node = 0x01020304, .epoch = 5, .suite = suite};
	for (i = 0; i < sizeof(f->node.key); i++)
		f->node.key[i] = (uint8_t)(i * 7 + suite);
	node_key_encode(text, &f->node);
	fixture_write(f->key, text, NODE_KEY_TEXT_SIZE, 0600);
}

static inline void
fixture_init(struct fixture *f)
{
	snprintf(f->directory, sizeof(f->directory), "/tmp/credgate-client-XXXXXX");
	assert_non_null(mkdtemp(f->directory));
	snprintf(f->key, sizeof(f->key), "%s/node.key", f->directory);
	snprintf(f->serial, sizeof(f->serial), "%s.serial", f->key);
	snprintf(f->boot_id, sizeof(f->boot_id), "%s/boot_id", f->directory);
	fixture_boot(f, FIXTURE_BOOT_1);
	fixture_key(f, CRED_SUITE_SEALED128);
}

/* Also the proof that nothing is left behind: the directory must be empty then. */
static inline void
fixture_fini(const struct fixture *f)
{
	unlink(f->key);
	unlink(f->serial);
	unlink(f->boot_id);
	assert_int_equal(rmdir(f->directory), 0);
}

/* The slot a gateway would have for the key; made from K_node, not from the library's state. */
static inline void
fixture_slot(const struct fixture *f, struct key_slot *slot)
{
	memset(slot, 0, sizeof(*slot));
	slot->realm = f->node.realm;
	slot->node = f->node.node;
	slot->epoch = f->node.epoch;
	kdf_slot_request(slot, f->node.key, f->node.suite);
}

static inline void
fixture_reply_slot(const struct fixture *f, struct key_slot *slot)
{
	memset(slot, 0, sizeof(*slot));
	kdf_slot_reply(slot, f->node.key, f->node.suite);
}

/* Runs `check` in a child that is not root, so that file modes count; its exit code is returned. */
static inline int
fixture_unprivileged(int (*check)(void *), void *context)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
			_exit(120);
		_exit(check(context));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static inline int
compare_u64(const void *a, const void *b)
{
	uint64_t x, y;

	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

/* Sorts, and counts those that were there before. */
static inline size_t
count_repeats(uint64_t *serials, size_t count)
{
	size_t i, repeats = 0;

	qsort(serials, count, sizeof(*serials), compare_u64);
	for (i = 1; i < count; i++)
		repeats += serials[i] == serials[i - 1];
	return repeats;
}
