/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nodes under test: issues credentials from many key files at a known rate, repeats each one that is
 * not answered, and tells of every single one what became of it. Commands come as lines on standard
 * input:
 *
 *	add SLOT KEYFILE RATE     begins to send with a key, RATE credentials a second
 *	drop SLOT                 ends it; what is under way is still waited for
 *
 * and end of file ends the program. For each credential one line of tab-separated fields goes to
 * standard output: slot, node, epoch, serial, uid, audience, sent, last sent, answered (times in
 * microseconds of the monotonic clock; 0: never), verdict (0: no answer), datagrams. For each key:
 * "open SLOT NODE EPOCH", or "failed SLOT TEXT".
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/include/credgate/credgate.h"

#define SLOTS_MAX   256u
#define FLIGHT_MAX  512u
#define SENDS_MAX   5u
#define RESEND_US   250000u
#define GIVEN_UP_US 1400000u
#define CLAIMS_SIZE 16u
#define SERIAL_AT   24
#define TAG_SIZE    16
#define ECHO_AT     40 /* where a reply repeats its request's tag */
#define REPLY_MIN   96

static const uint32_t uids[] = {0, 1000, 5000, 70000};
static const uint32_t audiences[] = {0, 1, 2};

struct flight {
	uint8_t bytes[CG_CREDENTIAL_MAX];
	int size; /* 0: free */
	uint32_t uid;
	uint32_t audience;
	uint64_t sent_us;
	uint64_t last_us;
	unsigned sends;
	unsigned verdict; /* of an answer that asks to try again */
};

struct slot {
	struct cg_key *key; /* NULL: free */
	int fd;
	bool is_dropped;
	uint64_t interval_us;
	uint64_t next_us;
	uint64_t count;
	uint8_t origin[16];
	unsigned in_flight;
	struct flight flights[FLIGHT_MAX];
};

static struct slot *slots[SLOTS_MAX];
static const char *gateway, *port;

static uint64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t
load64(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* ---- one credential ---- */

static void
flight_end(struct slot *slot, unsigned number, struct flight *flight, uint64_t answered_us,
	unsigned verdict)
{
	printf("%u\t%u\t%u\t%" PRIu64 "\t%u\t%u\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%u\t%u\n",
		number, cg_key_node(slot->key), cg_key_epoch(slot->key),
		load64(flight->bytes + SERIAL_AT), flight->uid, flight->audience, flight->sent_us,
		flight->last_us, answered_us, verdict, flight->sends);
	flight->size = 0;
	slot->in_flight--;
}

static void
flight_send(struct slot *slot, struct flight *flight, uint64_t time_us)
{
	/* What the socket has no room for, or ICMP refused, is lost like any datagram. */
	if (write(slot->fd, flight->bytes, (size_t)flight->size) < 0)
		errno = 0;
	flight->last_us = time_us;
	flight->sends++;
}

static void
flight_begin(struct slot *slot, uint64_t time_us)
{
	struct flight *flight = slot->flights;
	struct cg_claim claim;

	while (flight < slot->flights + FLIGHT_MAX && flight->size != 0)
		flight++;
	if (flight == slot->flights + FLIGHT_MAX)
		return;
	cg_claim_init(&claim);
	claim.wants_reply = 1;
	claim.uid = uids[slot->count % (sizeof(uids) / sizeof(uids[0]))];
	claim.gid = claim.uid;
	claim.audience = audiences[slot->count % (sizeof(audiences) / sizeof(audiences[0]))];
	memcpy(claim.origin, slot->origin, sizeof(claim.origin));
	slot->count++;
	flight->size = cg_mint(slot->key, &claim, flight->bytes, sizeof(flight->bytes));
	if (flight->size < 0) {
		fprintf(stderr, "sender: %s\n", cg_error());
		exit(1);
	}
	flight->uid = claim.uid;
	flight->audience = claim.audience;
	flight->sent_us = time_us;
	flight->sends = 0;
	flight->verdict = CG_NONE;
	slot->in_flight++;
	flight_send(slot, flight, time_us);
}

/* ---- one key ---- */

static void
slot_read(struct slot *slot, unsigned number)
{
	uint8_t reply[CG_CREDENTIAL_MAX];
	struct cg_answer answer;
	ssize_t size;

	while ((size = recv(slot->fd, reply, sizeof(reply), MSG_DONTWAIT)) >= REPLY_MIN) {
		for (unsigned i = 0; i < FLIGHT_MAX; i++) {
			struct flight *flight = &slot->flights[i];

			if (flight->size == 0 || memcmp(flight->bytes + flight->size - TAG_SIZE,
							 reply + ECHO_AT, TAG_SIZE) != 0)
				continue;
			answer.size = sizeof(answer);
			if (cg_answer_verify(slot->key, flight->bytes, (size_t)flight->size, reply,
				    (size_t)size, &answer) != 0)
				break;
			if (answer.verdict == CG_BUSY || answer.verdict == CG_OVER_RATE)
				flight->verdict = answer.verdict;
			else
				flight_end(slot, number, flight, now_us(), answer.verdict);
			break;
		}
	}
}

static void
slot_tick(struct slot *slot, unsigned number, uint64_t time_us)
{
	for (unsigned i = 0; i < FLIGHT_MAX; i++) {
		struct flight *flight = &slot->flights[i];

		if (flight->size == 0)
			continue;
		if (time_us - flight->sent_us >= GIVEN_UP_US)
			flight_end(slot, number, flight, 0, flight->verdict);
		else if (flight->sends < SENDS_MAX && time_us - flight->last_us >= RESEND_US)
			flight_send(slot, flight, time_us);
	}
	if (slot->is_dropped)
		return;
	/* After a pause of the machine nothing is made up for: a burst would be lost anyway. */
	if (time_us > slot->next_us + 1000000)
		slot->next_us = time_us;
	for (; slot->next_us <= time_us; slot->next_us += slot->interval_us)
		flight_begin(slot, time_us);
}

static void
slot_add(unsigned number, const char *path, unsigned rate)
{
	struct slot *slot = calloc(1, sizeof(*slot));

	if (slot == NULL || rate == 0 || slots[number] != NULL)
		exit(2);
	if (cg_key_open(&slot->key, path) != 0) {
		printf("failed\t%u\t%s\n", number, cg_error());
		free(slot);
		return;
	}
	slot->fd = cg_connect(gateway, port, slot->origin);
	if (slot->fd < 0) {
		fprintf(stderr, "sender: %s\n", cg_error());
		exit(1);
	}
	slot->interval_us = 1000000 / rate;
	slot->next_us = now_us();
	slots[number] = slot;
	printf("open\t%u\t%u\t%u\n", number, cg_key_node(slot->key), cg_key_epoch(slot->key));
}

static void
slot_free(unsigned number)
{
	struct slot *slot = slots[number];

	cg_key_close(slot->key);
	close(slot->fd);
	free(slot);
	slots[number] = NULL;
	printf("closed\t%u\n", number);
}

/* ---- commands ---- */

static void
command_run(const char *line)
{
	unsigned number, rate;
	char path[4096];

	if (sscanf(line, "add %u %4095s %u", &number, path, &rate) == 3 && number < SLOTS_MAX) {
		slot_add(number, path, rate);
	} else if (sscanf(line, "drop %u", &number) == 1 && number < SLOTS_MAX) {
		if (slots[number] != NULL)
			slots[number]->is_dropped = true;
	} else {
		fprintf(stderr, "sender: no such command: %s\n", line);
		exit(2);
	}
}

/* Whole lines only; false: end of file. */
static bool
commands_read(void)
{
	static char buffer[65536];
	static size_t length;
	ssize_t got = read(STDIN_FILENO, buffer + length, sizeof(buffer) - 1 - length);
	char *line = buffer, *end;

	if (got <= 0)
		return false;
	length += (size_t)got;
	buffer[length] = '\0';
	while ((end = strchr(line, '\n')) != NULL) {
		*end = '\0';
		command_run(line);
		line = end + 1;
	}
	length -= (size_t)(line - buffer);
	memmove(buffer, line, length);
	return true;
}

/* One round: what was answered, what is due. Returns how many keys are still at it. */
static unsigned
round_run(bool is_ending)
{
	uint64_t time_us = now_us();
	unsigned busy = 0;

	for (unsigned i = 0; i < SLOTS_MAX; i++) {
		if (slots[i] == NULL)
			continue;
		slots[i]->is_dropped |= is_ending;
		slot_read(slots[i], i);
		slot_tick(slots[i], i, time_us);
		if (slots[i]->is_dropped && slots[i]->in_flight == 0)
			slot_free(i);
		else
			busy++;
	}
	fflush(stdout);
	return busy;
}

int
main(int argc, char **argv)
{
	struct pollfd commands = {.fd = STDIN_FILENO, .events = POLLIN};
	bool is_ending = false;

	if (argc != 3) {
		fprintf(stderr, "Usage: %s GATEWAY PORT < commands\n", argv[0]);
		return 2;
	}
	gateway = argv[1];
	port = argv[2];
	while (round_run(is_ending) > 0 || !is_ending)
		if (poll(&commands, is_ending ? 0 : 1, 2) == 1)
			is_ending = !commands_read();
	return 0;
}
