/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/neighbour.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define PAGE 4096u

/* 10.77.0.1 and fd77::1 at 02:00:00:00:00:01; the neighbour is .2, ::2 and 02:...:02. */
static const struct worker_port port = {
	.mac = {2, 0, 0, 0, 0, 1},
	.address_count = 2,
	.addresses =
		{
			{.address = {[10] = 0xff, 0xff, 10, 77, 0, 1}, .bits = 120},
			{.address = {0xfd, 0x77, [15] = 1}, .bits = 64},
		},
};

static const uint8_t arp_request[42] = {
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 0x08, 0x06, /* Ethernet */
	0, 1, 8, 0, 6, 4, 0, 1,                                           /* request */
	2, 0, 0, 0, 0, 2, 10, 77, 0, 2,                                   /* sender */
	0, 0, 0, 0, 0, 0, 10, 77, 0, 1,                                   /* target */
};

static const uint8_t arp_reply[42] = {
	2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x06, /* Ethernet */
	0, 1, 8, 0, 6, 4, 0, 2,                         /* reply */
	2, 0, 0, 0, 0, 1, 10, 77, 0, 1,                 /* sender */
	2, 0, 0, 0, 0, 2, 10, 77, 0, 2,                 /* target */
};

/* Ping with id 0x1234, sequence 1, payload "abc": an odd size. */
static const uint8_t ping4[45] = {
	2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00,                            /* Ethernet */
	0x45, 0, 0, 31, 0, 7, 0, 0, 64, 1, 0x66, 0x3b, 10, 77, 0, 2, 10, 77, 0, 1, /* IPv4 */
	8, 0, 0x21, 0x68, 0x12, 0x34, 0, 1, 'a', 'b', 'c',                         /* ICMP */
};

/* ICMPv6 checksums are written by message6(). */
static const uint8_t ping6[65] = {
	2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd,       /* Ethernet */
	0x60, 0, 0, 0, 0, 11, 58, 64,                         /* IPv6 */
	0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, /* source */
	0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, /* destination */
	128, 0, 0, 0, 0x12, 0x34, 0, 1, 'a', 'b', 'c',        /* ICMPv6 */
};

static const uint8_t solicitation[86] = {
	0x33, 0x33, 0xff, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd, /* Ethernet */
	0x60, 0, 0, 0, 0, 32, 58, 255,                           /* IPv6 */
	0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,    /* source */
	0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 1, /* solicited node */
	135, 0, 0, 0, 0, 0, 0, 0,                                /* ICMPv6 */
	0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,    /* target */
	1, 1, 2, 0, 0, 0, 0, 2,                                  /* source's MAC */
};

#define LINK           14u
#define AT_HOP_LIMIT   (LINK + 7)
#define AT_SOURCE6     (LINK + 8)
#define AT_TARGET6     (LINK + 24)
#define AT_MESSAGE6    (LINK + 40)
#define AT_NDP_TARGET  (AT_MESSAGE6 + 8)
#define AT_NDP_OPTIONS (AT_MESSAGE6 + 24)

/* A second implementation of RFC 1071, byte by byte. */
static uint16_t
sum_of(const uint8_t *data, size_t size, uint32_t start)
{
	uint64_t sum = start;

	for (size_t i = 0; i < size; i++)
		sum += i & 1 ? data[i] : data[i] * 256u;
	while (sum > 0xffff)
		sum = sum % 0x10000 + sum / 0x10000;
	return (uint16_t)(0xffff - sum);
}

static uint16_t
sum6_of(const uint8_t *frame, size_t message_size)
{
	uint32_t pseudo = 0xffffu - sum_of(frame + AT_SOURCE6, 32, 58 + (uint32_t)message_size);

	return sum_of(frame + AT_MESSAGE6, message_size, pseudo);
}

/* Writes the length and checksum of an ICMPv6 message of the frame's whole rest. */
static void
message6(uint8_t *frame, size_t size)
{
	size_t message_size = size - AT_MESSAGE6;
	uint16_t sum;

	frame[LINK + 4] = (uint8_t)(message_size >> 8);
	frame[LINK + 5] = (uint8_t)message_size;
	frame[AT_MESSAGE6 + 2] = frame[AT_MESSAGE6 + 3] = 0;
	sum = sum6_of(frame, message_size);
	frame[AT_MESSAGE6 + 2] = (uint8_t)(sum >> 8);
	frame[AT_MESSAGE6 + 3] = (uint8_t)sum;
}

/*
 * Asks with the frame's last byte before a page that faults, and with an answer whose room ends
 * before another: what reads or writes too far ends the test.
 */
static size_t
ask_room(const uint8_t *frame, size_t size, uint8_t *answer, size_t room)
{
	static uint8_t *pages;
	uint8_t *in, *out;
	size_t answer_size;

	if (pages == NULL) {
		pages = mmap(
			NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		assert_true(pages != MAP_FAILED);
		assert_int_equal(mprotect(pages + PAGE, PAGE, PROT_NONE), 0);
		assert_int_equal(mprotect(pages + 3 * PAGE, PAGE, PROT_NONE), 0);
	}
	in = pages + PAGE - size;
	out = pages + 3 * PAGE - room;
	memcpy(in, frame, size);
	memset(out, 0xee, room);
	answer_size = neighbour_answer(&port, in, size, out, room);
	assert_true(answer_size <= room);
	assert_true(answer_size <= size + NEIGHBOUR_GROWTH_MAX);
	memcpy(answer, out, answer_size);
	return answer_size;
}

static size_t
ask(const uint8_t *frame, size_t size, uint8_t *answer)
{
	return ask_room(frame, size, answer, 2048);
}

static bool
is_answered(const uint8_t *frame, size_t size)
{
	uint8_t answer[2048];

	return ask(frame, size, answer) != 0;
}

/* The frame with one byte changed is not answered. */
static void
assert_refused_with(const uint8_t *frame, size_t size, size_t at, uint8_t value)
{
	uint8_t changed[2048];

	memcpy(changed, frame, size);
	assert_int_not_equal(changed[at], value);
	changed[at] = value;
	assert_false(is_answered(changed, size));
}

/* The same for ICMPv6, with a right checksum after the change: something else must refuse it. */
static void
assert_refused6_with(const uint8_t *frame, size_t size, size_t at, uint8_t value)
{
	uint8_t changed[2048];

	memcpy(changed, frame, size);
	assert_int_not_equal(changed[at], value);
	changed[at] = value;
	message6(changed, size);
	assert_false(is_answered(changed, size));
}

/* Inserts an 802.1Q tag. Returns the new size. */
static size_t
tagged(uint8_t *to, const uint8_t *frame, size_t size)
{
	static const uint8_t tag[4] = {0x81, 0x00, 0x60, 0x2a};

	memcpy(to, frame, 12);
	memcpy(to + 12, tag, 4);
	memcpy(to + 16, frame + 12, size - 12);
	return size + 4;
}

/* Every shorter frame and every smaller room is refused, and nothing beyond them is touched. */
static void
assert_borders(const uint8_t *frame, size_t size)
{
	uint8_t answer[2048];
	size_t answer_size = ask(frame, size, answer);

	assert_true(answer_size > 0);
	for (size_t shorter = 0; shorter < size; shorter++)
		assert_int_equal(ask(frame, shorter, answer), 0);
	for (size_t room = 0; room < answer_size; room++)
		assert_int_equal(ask_room(frame, size, answer, room), 0);
	assert_int_equal(ask_room(frame, size, answer, answer_size), answer_size);
}

static void
test_arp_request_is_answered(void **state)
{
	uint8_t answer[2048], padded[60] = {0};

	(void)state;
	assert_int_equal(ask(arp_request, sizeof(arp_request), answer), sizeof(arp_reply));
	assert_memory_equal(answer, arp_reply, sizeof(arp_reply));
	memcpy(padded, arp_request, sizeof(arp_request));
	assert_int_equal(ask(padded, sizeof(padded), answer), sizeof(arp_reply));
	assert_borders(arp_request, sizeof(arp_request));
}

static void
test_arp_probe_is_answered(void **state)
{
	uint8_t answer[2048], probe[42];

	(void)state;
	memcpy(probe, arp_request, sizeof(probe));
	memset(probe + 28, 0, 4);
	assert_int_equal(ask(probe, sizeof(probe), answer), sizeof(arp_reply));
	assert_memory_equal(answer + 38, probe + 28, 4);
}

static void
test_arp_of_others_is_not_answered(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} changes[] = {
		{41, 3},           /* another target */
		{31, 1},           /* sender is our address: an announcement */
		{21, 2},           /* a reply */
		{15, 6},           /* another hardware */
		{16, 0x86},        /* another protocol */
		{18, 8},           /* address sizes */
		{19, 16}, {22, 3}, /* sender's MAC is a group */
		{6, 3},            /* so is the frame's */
		{0, 0x10},         /* to another host, seen by a promiscuous port */
		{13, 0x07},        /* another type */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		assert_refused_with(
			arp_request, sizeof(arp_request), changes[i].at, changes[i].value);
}

static void
test_ping_is_answered(void **state)
{
	uint8_t answer[2048];

	(void)state;
	assert_int_equal(sum_of(ping4 + 14, 20, 0), 0);
	assert_int_equal(sum_of(ping4 + 34, 11, 0), 0);
	assert_int_equal(ask(ping4, sizeof(ping4), answer), sizeof(ping4));
	assert_memory_equal(answer, ping4 + 6, 6);
	assert_memory_equal(answer + 6, port.mac, 6);
	assert_int_equal(answer[22], 64);
	assert_memory_equal(answer + 26, ping4 + 30, 4);
	assert_memory_equal(answer + 30, ping4 + 26, 4);
	assert_int_equal(sum_of(answer + 14, 20, 0), 0);
	assert_int_equal(answer[34], 0);
	assert_int_equal(sum_of(answer + 34, 11, 0), 0);
	assert_memory_equal(answer + 38, ping4 + 38, 7);
	assert_borders(ping4, sizeof(ping4));
}

static void
test_ping_padding_is_left_out(void **state)
{
	uint8_t answer[2048], padded[60];

	(void)state;
	memset(padded, 0x5a, sizeof(padded));
	memcpy(padded, ping4, sizeof(ping4));
	assert_int_equal(ask(padded, sizeof(padded), answer), sizeof(ping4));
}

/* Rewrites the IPv4 header's checksum after a change in it. */
static void
assert_ping_refused_with(size_t at, uint8_t value)
{
	uint8_t changed[sizeof(ping4)];
	uint16_t sum;

	memcpy(changed, ping4, sizeof(ping4));
	assert_int_not_equal(changed[at], value);
	changed[at] = value;
	changed[24] = changed[25] = 0;
	sum = sum_of(changed + 14, 20, 0);
	changed[24] = (uint8_t)(sum >> 8);
	changed[25] = (uint8_t)sum;
	assert_false(is_answered(changed, sizeof(changed)));
}

static void
test_damaged_ping_is_not_answered(void **state)
{
	(void)state;
	for (size_t at = 14; at < sizeof(ping4); at++)
		assert_refused_with(ping4, sizeof(ping4), at, ping4[at] ^ 0x10);
	assert_ping_refused_with(14, 0x44); /* header of 16 bytes */
	assert_ping_refused_with(14, 0x4f); /* header longer than the packet */
	assert_ping_refused_with(14, 0x65); /* not version 4 */
	assert_ping_refused_with(17, 19);   /* shorter than its header */
	assert_ping_refused_with(17, 27);   /* no room for an echo header */
	assert_ping_refused_with(17, 32);   /* longer than the frame */
	assert_ping_refused_with(20, 0x20); /* first fragment */
	assert_ping_refused_with(21, 1);    /* later fragment */
	assert_ping_refused_with(23, 17);   /* UDP */
	assert_ping_refused_with(33, 2);    /* to another address */
}

static void
test_ping_from_nobody_is_not_answered(void **state)
{
	(void)state;
	assert_ping_refused_with(26, 0);
	assert_ping_refused_with(26, 127);
	assert_ping_refused_with(26, 224);
	assert_ping_refused_with(26, 255);
	assert_refused_with(ping4, sizeof(ping4), 0, 3);
}

static void
test_ping_options_are_not_repeated(void **state)
{
	uint8_t frame[sizeof(ping4) + 4], answer[2048];
	uint16_t sum;

	(void)state;
	memcpy(frame, ping4, 34);
	memset(frame + 34, 1, 4);
	memcpy(frame + 38, ping4 + 34, 11);
	frame[14] = 0x46;
	frame[17] = 35;
	frame[24] = frame[25] = 0;
	sum = sum_of(frame + 14, 24, 0);
	frame[24] = (uint8_t)(sum >> 8);
	frame[25] = (uint8_t)sum;
	assert_int_equal(ask(frame, sizeof(frame), answer), sizeof(ping4));
	assert_int_equal(answer[14], 0x45);
	assert_int_equal(sum_of(answer + 14, 20, 0), 0);
	assert_int_equal(sum_of(answer + 34, 11, 0), 0);
}

static void
test_ping6_is_answered(void **state)
{
	uint8_t answer[2048], frame[sizeof(ping6)];

	(void)state;
	memcpy(frame, ping6, sizeof(frame));
	message6(frame, sizeof(frame));
	assert_int_equal(ask(frame, sizeof(frame), answer), sizeof(frame));
	assert_memory_equal(answer, frame + 6, 6);
	assert_memory_equal(answer + 6, port.mac, 6);
	assert_memory_equal(answer + AT_SOURCE6, frame + AT_TARGET6, 16);
	assert_memory_equal(answer + AT_TARGET6, frame + AT_SOURCE6, 16);
	assert_int_equal(answer[AT_HOP_LIMIT], 64);
	assert_int_equal(answer[AT_MESSAGE6], 129);
	assert_int_equal(sum6_of(answer, 11), 0);
	assert_memory_equal(answer + AT_MESSAGE6 + 4, frame + AT_MESSAGE6 + 4, 7);
	assert_borders(frame, sizeof(frame));
}

static void
test_damaged_ping6_is_not_answered(void **state)
{
	uint8_t frame[sizeof(ping6)];

	(void)state;
	memcpy(frame, ping6, sizeof(frame));
	assert_false(is_answered(frame, sizeof(frame))); /* checksum 0 */
	message6(frame, sizeof(frame));
	for (size_t at = AT_SOURCE6; at < sizeof(frame); at++)
		assert_refused_with(frame, sizeof(frame), at, frame[at] ^ 0x10);
	assert_refused_with(frame, sizeof(frame), LINK, 0x40);
	assert_refused_with(frame, sizeof(frame), LINK + 5, 12);
	assert_refused_with(frame, sizeof(frame), LINK + 6, 0);
	assert_refused6_with(frame, sizeof(frame), AT_TARGET6 + 15, 3);
	assert_refused6_with(frame, sizeof(frame), AT_SOURCE6, 0xff);
	assert_refused6_with(frame, sizeof(frame), AT_MESSAGE6, 127);
	assert_refused6_with(frame, sizeof(frame), AT_MESSAGE6 + 1, 1);
	assert_refused_with(frame, sizeof(frame), 0, 0x33);
}

static void
test_ping6_from_unspecified_is_not_answered(void **state)
{
	uint8_t frame[sizeof(ping6)];

	(void)state;
	memcpy(frame, ping6, sizeof(frame));
	memset(frame + AT_SOURCE6, 0, 16);
	message6(frame, sizeof(frame));
	assert_false(is_answered(frame, sizeof(frame)));
}

/* What any answer to a solicitation must hold; `flags` is the byte of router, solicited, override. */
static void
assert_advertisement(const uint8_t *answer, size_t size, uint8_t flags)
{
	assert_int_equal(size, 86);
	assert_memory_equal(answer + 6, port.mac, 6);
	assert_int_equal(answer[AT_HOP_LIMIT], 255);
	assert_memory_equal(answer + AT_SOURCE6, port.addresses[1].address, 16);
	assert_int_equal(answer[AT_MESSAGE6], 136);
	assert_int_equal(answer[AT_MESSAGE6 + 4], flags);
	assert_memory_equal(answer + AT_NDP_TARGET, port.addresses[1].address, 16);
	assert_int_equal(answer[AT_NDP_OPTIONS], 2);
	assert_int_equal(answer[AT_NDP_OPTIONS + 1], 1);
	assert_memory_equal(answer + AT_NDP_OPTIONS + 2, port.mac, 6);
	assert_int_equal(sum6_of(answer, 32), 0);
}

static void
test_solicitation_is_answered(void **state)
{
	uint8_t answer[2048], frame[sizeof(solicitation)];

	(void)state;
	memcpy(frame, solicitation, sizeof(frame));
	message6(frame, sizeof(frame));
	assert_advertisement(answer, ask(frame, sizeof(frame), answer), 0x60);
	assert_memory_equal(answer, frame + 6, 6);
	assert_memory_equal(answer + AT_TARGET6, frame + AT_SOURCE6, 16);
	assert_borders(frame, sizeof(frame));
}

/* Reachability probe: to the address itself, without an option; the one answer that is longer. */
static void
test_unicast_solicitation_is_answered(void **state)
{
	uint8_t answer[2048], frame[78];

	(void)state;
	memcpy(frame, solicitation, sizeof(frame));
	memcpy(frame, port.mac, 6);
	memcpy(frame + AT_TARGET6, port.addresses[1].address, 16);
	message6(frame, sizeof(frame));
	assert_advertisement(answer, ask(frame, sizeof(frame), answer), 0x60);
}

static void
test_duplicate_address_detection_is_answered_to_all_nodes(void **state)
{
	static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};
	static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};
	uint8_t answer[2048], frame[sizeof(solicitation)];

	(void)state;
	memcpy(frame, solicitation, sizeof(frame));
	memset(frame + AT_SOURCE6, 0, 16);
	message6(frame, 78);
	assert_advertisement(answer, ask(frame, 78, answer), 0x20);
	assert_memory_equal(answer, all_nodes_mac, 6);
	assert_memory_equal(answer + AT_TARGET6, all_nodes, 16);
	/* With a source link-layer option, or to a unicast address, it is not allowed. */
	message6(frame, sizeof(frame));
	assert_false(is_answered(frame, sizeof(frame)));
	memcpy(frame + AT_TARGET6, port.addresses[1].address, 16);
	message6(frame, 78);
	assert_false(is_answered(frame, 78));
}

static void
test_bad_solicitation_is_not_answered(void **state)
{
	uint8_t frame[sizeof(solicitation)];

	(void)state;
	memcpy(frame, solicitation, sizeof(frame));
	message6(frame, sizeof(frame));
	assert_refused_with(frame, sizeof(frame), AT_HOP_LIMIT, 254);
	assert_refused6_with(frame, sizeof(frame), AT_MESSAGE6 + 1, 1);
	assert_refused6_with(frame, sizeof(frame), AT_NDP_TARGET + 15, 9);
	assert_refused6_with(frame, sizeof(frame), AT_TARGET6 + 15, 9);
	assert_refused6_with(frame, sizeof(frame), AT_SOURCE6 + 15, 1);
	assert_refused6_with(frame, sizeof(frame), AT_NDP_OPTIONS + 1, 0);
	assert_refused6_with(frame, sizeof(frame), AT_NDP_OPTIONS + 1, 2);
	message6(frame, 79);
	assert_false(is_answered(frame, 79));
	message6(frame, 77);
	assert_false(is_answered(frame, 77));
}

static void
test_tag_is_kept(void **state)
{
	const uint8_t *const questions[] = {arp_request, ping4};
	const size_t sizes[] = {sizeof(arp_request), sizeof(ping4)};
	uint8_t frame[128], answer[2048], plain[2048], expected[2048];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		size_t size = tagged(frame, questions[i], sizes[i]);
		size_t plain_size = ask(questions[i], sizes[i], plain);

		assert_int_equal(ask(frame, size, answer), tagged(expected, plain, plain_size));
		assert_memory_equal(answer, expected, plain_size + 4);
		assert_borders(frame, size);
	}
	tagged(frame, arp_request, sizeof(arp_request));
	assert_refused_with(frame, sizeof(arp_request) + 4, 12, 0x88);
}

/* xorshift: the same damage in every run. */
static uint32_t
random_next(void)
{
	static uint32_t state = 1;

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* Random damage to good questions: whatever comes back keeps the rules that ask() checks. */
static void
test_random_damage_stays_within_bounds(void **state)
{
	uint8_t frames[4][128] = {{0}}, answer[2048];
	size_t sizes[4] = {sizeof(arp_request), sizeof(ping4), sizeof(ping6), sizeof(solicitation)};

	(void)state;
	memcpy(frames[0], arp_request, sizes[0]);
	memcpy(frames[1], ping4, sizes[1]);
	memcpy(frames[2], ping6, sizes[2]);
	memcpy(frames[3], solicitation, sizes[3]);
	message6(frames[2], sizes[2]);
	message6(frames[3], sizes[3]);
	for (unsigned round = 0; round < 200000; round++) {
		unsigned which = random_next() & 3;
		size_t size = sizes[which] - (random_next() & 1 ? 0 : random_next() % sizes[which]);
		uint8_t frame[128];

		memcpy(frame, frames[which], sizeof(frame));
		for (unsigned n = random_next() % 4; n > 0; n--)
			frame[random_next() % sizes[which]] = (uint8_t)random_next();
		ask_room(frame, size, answer, random_next() % 128);
	}
}

static void
test_budget_bounds_the_answers(void **state)
{
	struct neighbour_budget budget;
	unsigned taken = 0;

	(void)state;
	neighbour_budget_init(&budget, 100, 5000000);
	while (neighbour_budget_take(&budget, 5000000))
		taken++;
	assert_int_equal(taken, 100);
	assert_false(neighbour_budget_take(&budget, 5009999));
	assert_true(neighbour_budget_take(&budget, 5010000));
	assert_false(neighbour_budget_take(&budget, 5010000));
	assert_false(neighbour_budget_take(&budget, 1)); /* time does not run backwards */
	for (taken = 0; neighbour_budget_take(&budget, UINT64_MAX); taken++)
		;
	assert_int_equal(taken, 100);
}

static void
test_budget_of_nothing_and_of_one(void **state)
{
	struct neighbour_budget budget;

	(void)state;
	neighbour_budget_init(&budget, 0, 0);
	assert_false(neighbour_budget_take(&budget, 1000000000));
	neighbour_budget_init(&budget, 1, 0);
	assert_true(neighbour_budget_take(&budget, 0));
	assert_false(neighbour_budget_take(&budget, 999999));
	assert_true(neighbour_budget_take(&budget, 1000000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arp_request_is_answered),
		cmocka_unit_test(test_arp_probe_is_answered),
		cmocka_unit_test(test_arp_of_others_is_not_answered),
		cmocka_unit_test(test_ping_is_answered),
		cmocka_unit_test(test_ping_padding_is_left_out),
		cmocka_unit_test(test_damaged_ping_is_not_answered),
		cmocka_unit_test(test_ping_from_nobody_is_not_answered),
		cmocka_unit_test(test_ping_options_are_not_repeated),
		cmocka_unit_test(test_ping6_is_answered),
		cmocka_unit_test(test_damaged_ping6_is_not_answered),
		cmocka_unit_test(test_ping6_from_unspecified_is_not_answered),
		cmocka_unit_test(test_solicitation_is_answered),
		cmocka_unit_test(test_unicast_solicitation_is_answered),
		cmocka_unit_test(test_duplicate_address_detection_is_answered_to_all_nodes),
		cmocka_unit_test(test_bad_solicitation_is_not_answered),
		cmocka_unit_test(test_tag_is_kept),
		cmocka_unit_test(test_random_damage_stays_within_bounds),
		cmocka_unit_test(test_budget_bounds_the_answers),
		cmocka_unit_test(test_budget_of_nothing_and_of_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
