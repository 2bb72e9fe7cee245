/* SPDX-License-Identifier: BSD-3-Clause */

/* The short way for usual frames says nothing that the long way would not say. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/frame.h"
#include "path_fixture.h"

#define MUTANTS 400000u

static struct worker_port port;
static struct frame_shape shape;

static int
setup(void **state)
{
	(void)state;
	memset(&port, 0, sizeof(port));
	memcpy(port.mac, fixture_mac, sizeof(port.mac));
	port.udp_port = FIXTURE_UDP_PORT;
	port.address_count = 2;
	memcpy(port.addresses[0].address, fixture_local_ipv6, 16);
	memcpy(port.addresses[1].address, fixture_local_ipv4, 16);
	frame_shape_init(&shape, &port);
	return 0;
}

static struct burst_frame
frame_of(const struct fixture_frame *frame)
{
	return (struct burst_frame){
		.data = frame->data,
		.size = frame->size,
		.checksum = frame->checksum,
	};
}

static void
frame_usual(struct fixture_frame *frame)
{
	const uint8_t payload[96] = "CGC1";

	fixture_frame_init(frame);
	fixture_frame_wrap(frame, payload, sizeof(payload));
	frame->checksum = BURST_CHECKSUM_GOOD;
}

/* The sums are right, and nobody vouches for them. */
static void
frame_unvouched(struct fixture_frame *frame)
{
	frame_usual(frame);
	frame->checksum = BURST_CHECKSUM_UNKNOWN;
}

/* Both ways agree about a frame that the short one takes; returns whether it did. */
static bool
assert_agreement(const struct fixture_frame *frame)
{
	struct burst_frame burst = frame_of(frame);
	struct frame_datagram usual, any;

	memset(&usual, 0, sizeof(usual));
	memset(&any, 0, sizeof(any));
	if (!frame_parse_usual(&shape, &burst, &usual))
		return false;
	assert_int_equal(frame_parse(&port, &burst, &any), FRAME_CREDENTIAL);
	assert_true(usual.source.high == any.source.high && usual.source.low == any.source.low);
	assert_ptr_equal(usual.payload, any.payload);
	assert_int_equal(usual.payload_size, any.payload_size);
	assert_int_equal(usual.source_port, any.source_port);
	assert_int_equal(usual.l3, any.l3);
	return true;
}

static void
usual_frames_take_the_short_way(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_usual(&frame);
	assert_true(assert_agreement(&frame));
	store_be16(frame.data + 20, 0x4000); /* may not be split */
	frame.data[15] = 0xb8;               /* type of service */
	frame.data[22] = 1;                  /* time to live */
	assert_true(assert_agreement(&frame));
}

/* Any single wrong bit under either sum is seen, at any length of the datagram. */
static void
sums_are_looked_at(void **state)
{
	uint8_t payload[140] = "CGC1";
	struct fixture_frame frame;
	unsigned size, at;

	(void)state;
	for (size = 4; size < sizeof(payload); size++)
		payload[size] = (uint8_t)(size * 151);
	for (size = 96; size <= sizeof(payload); size++) {
		frame_unvouched(&frame);
		fixture_frame_wrap(&frame, payload, size);
		assert_true(assert_agreement(&frame));
		for (at = 14; at < frame.size; at++) {
			frame.data[at] ^= (uint8_t)(1u << at % 8);
			assert_false(assert_agreement(&frame));
			frame.data[at] ^= (uint8_t)(1u << at % 8);
		}
	}
}

/* What a port takes without looking: any UDP sum if it trusts its link, none at all from IPv4. */
static void
sums_that_nobody_wants(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_unvouched(&frame);
	store_be16(frame.data + 40, 0);
	assert_true(assert_agreement(&frame));
	store_be16(frame.data + 40, 0x1234);
	assert_false(assert_agreement(&frame));
	port.checksum = SETUP_CHECKSUM_TRUST;
	frame_shape_init(&shape, &port);
	assert_true(assert_agreement(&frame));
	frame.data[22] ^= 1; /* the header's own is looked at */
	assert_false(assert_agreement(&frame));
}

static void
others_take_the_long_way(void **state)
{
	const uint8_t payload[96] = "CGC1";
	struct fixture_frame frame;

	(void)state;
	frame_usual(&frame);
	frame.checksum = BURST_CHECKSUM_BAD;
	assert_false(assert_agreement(&frame));
	frame_usual(&frame);
	frame.size += 20; /* padding */
	assert_false(assert_agreement(&frame));
	frame_usual(&frame);
	frame.vlan = 5;
	fixture_frame_wrap(&frame, payload, sizeof(payload));
	assert_false(assert_agreement(&frame));
	frame_usual(&frame);
	memcpy(frame.source, fixture_ipv6, 16);
	fixture_frame_wrap(&frame, payload, sizeof(payload));
	assert_false(assert_agreement(&frame));
}

/* Without an IPv4 address there is no usual frame, whatever comes. */
static void
no_shape_without_ipv4(void **state)
{
	struct frame_shape none;
	struct burst_frame burst;
	struct frame_datagram datagram;
	struct fixture_frame frame;

	(void)state;
	port.address_count = 1;
	frame_shape_init(&none, &port);
	frame_usual(&frame);
	burst = frame_of(&frame);
	assert_false(frame_parse_usual(&none, &burst, &datagram));
	memset(frame.data, 0, sizeof(frame.data));
	assert_false(frame_parse_usual(&none, &burst, &datagram));
}

/* One to three changed bytes or bits of the headers, or another size. */
static void
frame_mutate(struct fixture_frame *frame)
{
	unsigned changes = 1 + (unsigned)rand() % 3;

	for (; changes != 0; changes--) {
		const unsigned at = (unsigned)rand() % 42;

		if (rand() % 8 == 0)
			frame->size = (uint16_t)(rand() % 160);
		else if (rand() % 2)
			frame->data[at] ^= (uint8_t)(1u << rand() % 8);
		else
			frame->data[at] = (uint8_t)rand();
	}
}

static void
mutants_get_the_same_answer(void **state)
{
	struct fixture_frame frame;
	unsigned i, taken = 0;

	(void)state;
	srand(5);
	for (i = 0; i < MUTANTS; i++) {
		if (i % 2)
			frame_unvouched(&frame);
		else
			frame_usual(&frame);
		frame_mutate(&frame);
		taken += assert_agreement(&frame);
	}
	assert_true(taken > MUTANTS / 20 && taken < MUTANTS / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(usual_frames_take_the_short_way, setup),
		cmocka_unit_test_setup(sums_are_looked_at, setup),
		cmocka_unit_test_setup(sums_that_nobody_wants, setup),
		cmocka_unit_test_setup(others_take_the_long_way, setup),
		cmocka_unit_test_setup(no_shape_without_ipv4, setup),
		cmocka_unit_test_setup(mutants_get_the_same_answer, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
