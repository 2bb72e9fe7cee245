/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Issues one credential with a payload, sends it to a gateway and says what the gateway answered.
 * Build: cc issue.c $(pkg-config --cflags --libs credgate) -o issue
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <credgate/credgate.h>

/* Exit codes: 0 accepted, 1 failure or outcome unknown, 2 usage, 3 refused. */
static int
ask(struct cg_key *key, int fd, const struct cg_claim *claim)
{
	struct cg_answer answer = {.size = sizeof(answer)};
	unsigned char credential[CG_CREDENTIAL_MAX];
	int size = cg_mint(key, claim, credential, sizeof(credential));

	if (size < 0 || cg_exchange(key, fd, credential, size, 0, &answer) != 0) {
		fprintf(stderr, "issue: %s\n", cg_error());
		return 1;
	}
	printf("%s after %u datagrams, %u us\n", cg_verdict_text(answer.verdict), answer.sends,
		answer.round_trip_us);
	return answer.verdict == CG_ACCEPTED || answer.verdict == CG_DUPLICATE ? 0 : 3;
}

int
main(int argc, char **argv)
{
	struct cg_key *key;
	struct cg_claim claim;
	int fd = -1, code = 1;

	if (argc != 5) {
		fprintf(stderr, "usage: issue KEYFILE HOST PORT PAYLOAD\n");
		return 2;
	}
	cg_claim_init(&claim);
	claim.wants_reply = 1;
	claim.payload = argv[4];
	claim.payload_size = strlen(argv[4]);
	if (cg_key_open(&key, argv[1]) == 0) {
		/* The socket comes first: its own address is the origin that the claim states. */
		fd = cg_connect(argv[2], argv[3], claim.origin);
		if (fd >= 0) {
			code = ask(key, fd, &claim);
			close(fd);
		}
		cg_key_close(key);
	}
	if (fd < 0)
		fprintf(stderr, "issue: %s\n", cg_error());
	return code;
}
