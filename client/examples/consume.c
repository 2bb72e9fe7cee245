/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Prints the credentials that a gateway accepted for a group, until it has COUNT of them.
 * Build: cc consume.c $(pkg-config --cflags --libs credgate) -o consume
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <credgate/credgate.h>

static void
print(const struct cg_record *record)
{
	printf("%s realm %u node %u uid %u gid %u: %.*s\n", cg_verdict_text(record->verdict),
		record->realm, record->node, record->uid, record->gid, (int)record->payload_size,
		(const char *)record->payload);
	fflush(stdout);
}

/* Reads all there is, then sleeps. -EPIPE: the gateway is gone. */
static int
consume(struct cg_reader *reader, long count)
{
	struct cg_record record = {.size = sizeof(record)};
	int rc = 0;

	while (count > 0 && rc >= 0) {
		rc = cg_reader_next(reader, &record);
		if (rc == 1) {
			print(&record);
			count--;
		} else if (rc == 0) {
			rc = cg_reader_wait(reader, -1);
		}
	}
	return rc;
}

int
main(int argc, char **argv)
{
	struct cg_reader *reader;
	int rc;

	if (argc != 4)
		return fprintf(stderr, "usage: consume SOCKET GROUP COUNT\n"), 2;
	rc = cg_reader_open(&reader, argv[1], argv[2]);
	if (rc == 0) {
		rc = consume(reader, strtol(argv[3], NULL, 10));
		fprintf(stderr, "lost %llu slots\n", (unsigned long long)cg_reader_lost(reader));
		cg_reader_close(reader);
	}
	if (rc < 0)
		fprintf(stderr, "consume: %s\n", cg_error());
	return rc < 0 ? 1 : 0;
}
