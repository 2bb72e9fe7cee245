/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * peer-mint: how many credentials a second one process issues with libcredgate, each with a call of
 * cg_mint of its own from a node key file, as `remunge` measures munge_encode.
 */

#include <getopt.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <credgate/credgate.h>
#include <sodium.h>

#include "perf/peers/program.h"
#include "perf/peers/realm.h"
#include "wire/cred.h"
#include "wire/text.h"

#define THREADS_MAX 64u

struct minter {
	struct cg_key *key;
	const atomic_bool *is_over;
	uint64_t minted;
	double cpu_s;
	pthread_t thread;
};

static void
usage(void)
{
	printf("Usage: peer-mint [--threads N] [--ms MILLISECONDS] [--suite 1...4]\n\n"
	       "Issues credentials with cg_mint, one call each, and says as JSON how many.\n"
	       "Key and serial file are made in a folder of $TMPDIR (or /tmp) and removed.\n");
}

static void *
mint(void *context)
{
	struct minter *minter = context;
	uint8_t credential[CG_CREDENTIAL_MAX];
	struct cg_claim claim;

	cg_claim_init(&claim);
	while (!atomic_load_explicit(minter->is_over, memory_order_relaxed)) {
		if (cg_mint(minter->key, &claim, credential, sizeof(credential)) < 0)
			program_fail("cg_mint: %s", cg_error());
		minter->minted++;
	}
	minter->cpu_s = program_seconds(CLOCK_THREAD_CPUTIME_ID);
	return NULL;
}

/* Minters are apart in memory, so that they share no line. */
static void
rate_measure(struct cg_key *key, unsigned threads, unsigned ms)
{
	static _Alignas(64) struct minter minters[THREADS_MAX * 2];
	static atomic_bool is_over;
	const double begin_s = program_seconds(CLOCK_MONOTONIC);
	uint64_t minted = 0;
	double cpu_s = 0, elapsed_s;
	unsigned i;

	for (i = 0; i < threads; i++) {
		struct minter *minter = &minters[i * 2];

		*minter = (struct minter){.key = key, .is_over = &is_over};
		if (pthread_create(&minter->thread, NULL, mint, minter) != 0)
			program_fail("cannot start thread %u of %u", i + 1, threads);
	}
	usleep(ms * 1000);
	atomic_store(&is_over, true);
	elapsed_s = program_seconds(CLOCK_MONOTONIC) - begin_s;
	for (i = 0; i < threads; i++) {
		pthread_join(minters[i * 2].thread, NULL);
		minted += minters[i * 2].minted;
		cpu_s += minters[i * 2].cpu_s;
	}
	printf("{\"minted\": %llu, \"threads\": %u, \"elapsed_s\": %.6f, \"cpu_s\": %.6f}\n",
		(unsigned long long)minted, threads, elapsed_s, cpu_s);
}

/* A node's key file as control would export it. */
static void
key_write(const char *path, uint8_t suite)
{
	struct node_key key = {
		.realm = REALM_ID_DEFAULT, .node = 1, .epoch = REALM_EPOCH, .suite = suite};
	char text[NODE_KEY_TEXT_SIZE + 1];
	FILE *file;

	umask(077); /* a key that others may read is refused */
	file = fopen(path, "wxe");
	randombytes_buf(key.key, sizeof(key.key));
	node_key_encode(text, &key);
	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
		program_fail("cannot write %s", path);
}

static void
folder_run(const char *folder, uint8_t suite, unsigned threads, unsigned ms)
{
	char path[256], serial[264];
	struct cg_key *key;
	int status;

	snprintf(path, sizeof(path), "%s/node.key", folder);
	snprintf(serial, sizeof(serial), "%s.serial", path);
	key_write(path, suite);
	status = cg_key_open(&key, path);
	if (status == 0) {
		rate_measure(key, threads, ms);
		cg_key_close(key);
	}
	unlink(path);
	unlink(serial);
	rmdir(folder);
	if (status != 0)
		program_fail("%s", cg_error());
}

int
main(int argc, char **argv)
{
	static const struct option known[] = {
		{"threads", required_argument, NULL, 't'},
		{"ms", required_argument, NULL, 'm'},
		{"suite", required_argument, NULL, 'u'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	const char *temporary = getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp";
	unsigned threads = 1, ms = 1000;
	uint8_t suite = CRED_SUITE_DEFAULT;
	char folder[200];
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 't')
			threads = (unsigned)program_number("threads", optarg, 1, THREADS_MAX);
		else if (option == 'm')
			ms = (unsigned)program_number("ms", optarg, 1, 3600000);
		else if (option == 'u')
			suite = (uint8_t)program_number("suite", optarg, 1, 4);
		else if (option == 'h')
			return usage(), 0;
		else
			return 2;
	}
	if (sodium_init() < 0)
		program_fail("libsodium does not start");
	snprintf(folder, sizeof(folder), "%s/credgate-mint-XXXXXX", temporary);
	if (mkdtemp(folder) == NULL)
		program_fail("cannot make a folder in %s", temporary);
	folder_run(folder, suite, threads, ms);
	return 0;
}
