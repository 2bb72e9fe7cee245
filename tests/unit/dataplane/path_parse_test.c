/* SPDX-License-Identifier: BSD-3-Clause */

/* Frames: which are ours, which are damaged, which are somebody's question about an address. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "path_fixture.h"

static struct fixture fixture;
static uint64_t next_serial;

static int
setup(void **state)
{
	const struct fixture_params params = fixture_params_default();

	(void)state;
	fixture_init(&fixture, &params);
	fixture_node_add(&fixture, FIXTURE_REALM, 1, 1, CRED_SUITE_DEFAULT);
	next_serial = 1;
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_fini(&fixture);
	return 0;
}

enum counted {
	COUNTED_VERDICT,
	COUNTED_NOT_OURS,
	COUNTED_BAD,
	COUNTED_NEIGHBOUR,
};

static uint64_t
counter(enum counted what)
{
	const struct worker_stats *stats = stats_worker(fixture.stats, 0);

	switch (what) {
	case COUNTED_NOT_OURS:
		return atomic_load(&stats->rx_not_ours);
	case COUNTED_BAD:
		return atomic_load(&stats->rx_bad_packet);
	case COUNTED_NEIGHBOUR:
		return atomic_load(&stats->rx_neighbour);
	default:
		return 0;
	}
}

/* The frame has no verdict, moves only the counter `what`, and is a neighbour's iff that says so. */
static void
assert_counted(struct fixture_frame *frame, enum counted what)
{
	uint64_t before[COUNTED_NEIGHBOUR + 1];
	enum counted other;

	for (other = COUNTED_NOT_OURS; other <= COUNTED_NEIGHBOUR; other++)
		before[other] = counter(other);
	assert_int_equal(fixture_verdict(&fixture, frame), VERDICT_NONE);
	for (other = COUNTED_NOT_OURS; other <= COUNTED_NEIGHBOUR; other++)
		assert_int_equal(counter(other) - before[other], other == what);
	assert_int_equal(fixture.result.neighbours, what == COUNTED_NEIGHBOUR);
	assert_int_equal(fixture.result.reply_count, 0);
	assert_int_equal(fixture.result.work, 1);
}

/* A fresh good credential in an IPv4 frame. */
static void
frame_good(struct fixture_frame *frame)
{
	const struct cred_fields fields = fixture_fields(&fixture, next_serial++);

	fixture_frame_init(frame);
	fixture_frame_mint(&fixture, frame, &fields);
}

/* The same over IPv6. */
static void
frame_good_ipv6(struct fixture_frame *frame)
{
	struct cred_fields fields = fixture_fields(&fixture, next_serial++);

	fixture_frame_init(frame);
	memcpy(frame->source, fixture_ipv6, 16);
	memcpy(fields.origin, fixture_ipv6, 16);
	fixture_frame_mint(&fixture, frame, &fields);
}

static void
assert_accepted(struct fixture_frame *frame)
{
	assert_int_equal(fixture_verdict(&fixture, frame), VERDICT_ACCEPTED);
	assert_true(fixture.is_proved);
}

static void
ipv4_is_accepted(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_good(&frame);
	assert_accepted(&frame);
}

static void
ipv6_is_accepted(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_good_ipv6(&frame);
	assert_accepted(&frame);
}

static void
one_vlan_tag_is_taken(void **state)
{
	struct cred_fields fields = fixture_fields(&fixture, next_serial++);
	struct fixture_frame frame;

	(void)state;
	fixture_frame_init(&frame);
	frame.vlan = 0x6123;
	fixture_frame_mint(&fixture, &frame, &fields);
	assert_accepted(&frame);
	fields.serial = next_serial++;
	fixture_frame_mint(&fixture, &frame, &fields);
	store_be16(frame.data + 16, 0x8100); /* a second one */
	assert_counted(&frame, COUNTED_NOT_OURS);
}

static void
ipv4_options_are_skipped(void **state)
{
	struct fixture_frame frame;
	uint8_t *ip;

	(void)state;
	frame_good(&frame);
	ip = fixture_frame_ip(&frame);
	memmove(ip + 24, ip + 20, (size_t)(frame.data + frame.size - ip - 20));
	memset(ip + 20, 1, 4); /* no operation */
	ip[0] = 0x46;
	store_be16(ip + 2, load_be16(ip + 2) + 4);
	frame.size += 4;
	fixture_frame_checksum(&frame);
	assert_accepted(&frame);
}

static void
padding_is_not_the_credential(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_good(&frame);
	memset(frame.data + frame.size, 0xee, 30);
	frame.size += 30;
	assert_accepted(&frame);
}

static void
udp_may_be_shorter_than_ip(void **state)
{
	struct fixture_frame frame;
	uint8_t *ip;

	(void)state;
	frame_good(&frame);
	ip = fixture_frame_ip(&frame);
	memset(frame.data + frame.size, 0xee, 6);
	frame.size += 6;
	store_be16(ip + 2, load_be16(ip + 2) + 6);
	fixture_frame_checksum(&frame);
	assert_accepted(&frame);
}

/* Every prefix of a good frame, tight in memory: none is accepted, none reads too far. */
static void
truncated_frames_are_bad(void **state)
{
	struct fixture_frame frame, cut;
	uint16_t size;
	int family;

	(void)state;
	for (family = 0; family < 2; family++) {
		if (family == 0)
			frame_good(&frame);
		else
			frame_good_ipv6(&frame);
		for (size = 0; size < frame.size; size++) {
			cut = frame;
			cut.size = size;
			assert_counted(&cut, COUNTED_BAD);
		}
		assert_accepted(&frame);
	}
}

static void
ipv4_header_damage_is_bad(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_good(&frame);
	fixture_frame_ip(&frame)[0] = 0x55; /* version 5 */
	assert_counted(&frame, COUNTED_BAD);
	frame_good(&frame);
	fixture_frame_ip(&frame)[0] = 0x44; /* header of 16 bytes */
	assert_counted(&frame, COUNTED_BAD);
	frame_good(&frame);
	store_be16(fixture_frame_ip(&frame) + 2, 19); /* total shorter than the header */
	assert_counted(&frame, COUNTED_BAD);
	frame_good(&frame);
	store_be16(fixture_frame_ip(&frame) + 2, load_be16(fixture_frame_ip(&frame) + 2) + 1);
	assert_counted(&frame, COUNTED_BAD);
	frame_good(&frame);
	fixture_frame_ip(&frame)[8]++; /* the checksum is now wrong */
	assert_counted(&frame, COUNTED_BAD);
}

static void
fragments_are_bad(void **state)
{
	static const uint16_t fragments[] = {0x2000, 0x0001, 0x1fff, 0x3000};
	struct fixture_frame frame;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		frame_good(&frame);
		store_be16(fixture_frame_ip(&frame) + 6, fragments[i]);
		fixture_frame_checksum(&frame);
		assert_counted(&frame, COUNTED_BAD);
	}
	frame_good(&frame);
	store_be16(fixture_frame_ip(&frame) + 6, 0x4000); /* may not be split: fine */
	fixture_frame_checksum(&frame);
	assert_accepted(&frame);
}

static void
udp_length_is_checked(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_good(&frame);
	store_be16(fixture_frame_udp(&frame) + 4, 7);
	assert_counted(&frame, COUNTED_BAD);
	frame_good(&frame);
	store_be16(fixture_frame_udp(&frame) + 4, load_be16(fixture_frame_udp(&frame) + 4) + 1);
	assert_counted(&frame, COUNTED_BAD);
}

static void
ipv6_header_damage_is_bad(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_good_ipv6(&frame);
	fixture_frame_ip(&frame)[0] = 0x50;
	assert_counted(&frame, COUNTED_BAD);
	frame_good_ipv6(&frame);
	store_be16(fixture_frame_ip(&frame) + 4, load_be16(fixture_frame_ip(&frame) + 4) + 1);
	assert_counted(&frame, COUNTED_BAD);
	frame_good_ipv6(&frame);
	store_be16(fixture_frame_ip(&frame) + 4, 0);
	assert_counted(&frame, COUNTED_BAD);
}

/* From where nobody sends: a reply would go there. */
static void
impossible_sources_are_bad(void **state)
{
	static const uint8_t ipv4[][4] = {
		{0, 0, 0, 0}, {0, 1, 2, 3}, {224, 0, 0, 1}, {255, 255, 255, 255}};
	struct fixture_frame frame;
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		frame_good(&frame);
		memcpy(fixture_frame_ip(&frame) + 12, ipv4[i], 4);
		fixture_frame_checksum(&frame);
		assert_counted(&frame, COUNTED_BAD);
	}
	frame_good_ipv6(&frame);
	memset(fixture_frame_ip(&frame) + 8, 0, 16);
	fixture_frame_checksum(&frame);
	assert_counted(&frame, COUNTED_BAD);
	frame_good_ipv6(&frame);
	fixture_frame_ip(&frame)[8] = 0xff;
	fixture_frame_checksum(&frame);
	assert_counted(&frame, COUNTED_BAD);
	frame_good(&frame);
	frame.data[6] |= 1; /* sent from a multicast MAC */
	assert_counted(&frame, COUNTED_BAD);
}

static void
others_traffic_is_not_ours(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_good(&frame);
	frame.data[5]++; /* another MAC */
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_good(&frame);
	memset(frame.data, 0xff, 6); /* broadcast */
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_good(&frame);
	fixture_frame_ip(&frame)[19]++; /* another address */
	fixture_frame_checksum(&frame);
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_good_ipv6(&frame);
	fixture_frame_ip(&frame)[39]++;
	fixture_frame_checksum(&frame);
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_good(&frame);
	store_be16(fixture_frame_udp(&frame) + 2, FIXTURE_UDP_PORT + 1);
	fixture_frame_checksum(&frame);
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_good(&frame);
	fixture_frame_ip(&frame)[9] = 6; /* TCP */
	fixture_frame_checksum(&frame);
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_good_ipv6(&frame);
	fixture_frame_ip(&frame)[6] = 0; /* hop-by-hop options */
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_good(&frame);
	store_be16(frame.data + 12, 0x88cc); /* LLDP */
	assert_counted(&frame, COUNTED_NOT_OURS);
}

/* Our IPv4 address in an IPv6 header is not our address. */
static void
mapped_destination_is_not_ours(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_good_ipv6(&frame);
	memcpy(fixture_frame_ip(&frame) + 24, fixture_local_ipv4, 16);
	fixture_frame_checksum(&frame);
	assert_counted(&frame, COUNTED_NOT_OURS);
}

static void
mapped_source_is_malformed(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_good_ipv6(&frame);
	memcpy(fixture_frame_ip(&frame) + 8, fixture_ipv4, 16);
	fixture_frame_checksum(&frame);
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_MALFORMED);
	assert_false(fixture.is_proved);
}

/* ---- checksums ---- */

static void
damage_udp(struct fixture_frame *frame)
{
	frame->data[frame->size - 20] ^= 0x10;
}

static void
udp_checksum_is_verified(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_good(&frame);
	damage_udp(&frame);
	assert_counted(&frame, COUNTED_BAD);
	frame_good_ipv6(&frame);
	damage_udp(&frame);
	assert_counted(&frame, COUNTED_BAD);
}

/* However often its like was good before: whatever the shortcuts know by then, they sum. */
static void
checksums_of_the_usual_are_verified(void **state)
{
	struct fixture_frame frame;
	unsigned i;

	(void)state;
	for (i = 0; i < 8; i++) {
		frame_good(&frame);
		assert_accepted(&frame);
		frame_good(&frame);
		damage_udp(&frame);
		assert_counted(&frame, COUNTED_BAD);
		frame_good(&frame);
		fixture_frame_ip(&frame)[8]++;
		assert_counted(&frame, COUNTED_BAD);
	}
}

/* Odd sizes: the last byte counts in the upper half of its word. */
static void
udp_checksum_of_every_size(void **state)
{
	static const uint8_t payload[32] = {1, 2, 3, 250, 251, 252, 253, 254, 255};
	struct fixture_frame frame;
	size_t size;

	(void)state;
	for (size = 0; size < 32; size++) {
		struct cred_fields fields = fixture_fields(&fixture, next_serial++);

		fields.payload = payload;
		fields.payload_size = size;
		fixture_frame_init(&frame);
		fixture_frame_mint(&fixture, &frame, &fields);
		assert_accepted(&frame);
	}
}

static void
trusted_checksums_leave_it_to_the_tag(void **state)
{
	struct fixture_frame frame;

	(void)state;
	fixture.port.checksum = SETUP_CHECKSUM_TRUST;
	frame_good(&frame);
	damage_udp(&frame);
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_BAD_TAG);
	assert_false(fixture.is_proved);
	frame_good(&frame);
	fixture_frame_ip(&frame)[8]++; /* the IP header's sum is looked at all the same */
	assert_counted(&frame, COUNTED_BAD);
}

static void
nic_vouches_for_checksums(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_good(&frame);
	fixture_frame_ip(&frame)[8]++;
	damage_udp(&frame);
	frame.checksum = BURST_CHECKSUM_GOOD;
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_BAD_TAG);
	frame_good(&frame);
	frame.checksum = BURST_CHECKSUM_BAD;
	assert_counted(&frame, COUNTED_BAD);
}

/* What Linux leaves with CHECKSUM_PARTIAL: the pseudo-header's sum, folded, not complemented. */
static void
store_partial(struct fixture_frame *frame)
{
	uint8_t *udp = fixture_frame_udp(frame);
	uint8_t *ip = fixture_frame_ip(frame);
	const bool is_ipv4 = ip[0] >> 4 == 4;
	const uint8_t *at = ip + (is_ipv4 ? 12 : 8);
	uint32_t sum = 17 + load_be16(udp + 4);
	int i;

	for (i = 0; i < (is_ipv4 ? 4 : 16); i++)
		sum += load_be16(at + 2 * i);
	while (sum >> 16 != 0)
		sum = (sum >> 16) + (sum & 0xffff);
	store_be16(udp + 6, (uint16_t)sum);
}

static void
partial_checksum_only_where_allowed(void **state)
{
	struct fixture_frame frame;
	int family;

	(void)state;
	for (family = 0; family < 2; family++) {
		fixture.port.checksum = SETUP_CHECKSUM_VERIFY;
		if (family == 0)
			frame_good(&frame);
		else
			frame_good_ipv6(&frame);
		store_partial(&frame);
		assert_counted(&frame, COUNTED_BAD);
		fixture.port.checksum = SETUP_CHECKSUM_PARTIAL;
		frame.checksum = BURST_CHECKSUM_BAD; /* a NIC that adds it up finds it wrong */
		assert_accepted(&frame);
		frame_good(&frame);
		assert_accepted(&frame); /* finished ones too */
		frame_good(&frame);
		damage_udp(&frame);
		assert_counted(&frame, COUNTED_BAD);
	}
}

static void
no_checksum_is_for_ipv4_only(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_good(&frame);
	store_be16(fixture_frame_udp(&frame) + 6, 0);
	assert_accepted(&frame);
	frame_good_ipv6(&frame);
	store_be16(fixture_frame_udp(&frame) + 6, 0);
	assert_counted(&frame, COUNTED_BAD);
	fixture.port.checksum = SETUP_CHECKSUM_TRUST;
	assert_counted(&frame, COUNTED_BAD);
}

/* ---- neighbours ---- */

static void
frame_arp(struct fixture_frame *frame)
{
	static const uint8_t request[8] = {0, 1, 8, 0, 6, 4, 0, 1};
	uint8_t *arp = frame->data + 14;

	fixture_frame_init(frame);
	memset(frame->data, 0xff, 6);
	memcpy(frame->data + 6, fixture_peer_mac, 6);
	store_be16(frame->data + 12, 0x0806);
	memcpy(arp, request, 8);
	memcpy(arp + 8, fixture_peer_mac, 6);
	memcpy(arp + 14, fixture_ipv4 + 12, 4);
	memcpy(arp + 24, fixture_local_ipv4 + 12, 4);
	frame->size = 60;
}

static void
arp_for_us_is_a_neighbour(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_arp(&frame);
	assert_counted(&frame, COUNTED_NEIGHBOUR);
	memcpy(frame.data, fixture_mac, 6); /* unicast poll */
	assert_counted(&frame, COUNTED_NEIGHBOUR);
	frame.data[0] ^= 4; /* to somebody else */
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_arp(&frame);
	frame.data[14 + 27]++; /* for another address */
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_arp(&frame);
	frame.data[14 + 7] = 2; /* an answer */
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_arp(&frame);
	frame.size = 14 + 27;
	assert_counted(&frame, COUNTED_BAD);
}

/* An ICMP or ICMPv6 message in place of UDP; its own checksum is looked at by who answers. */
static void
frame_icmp(struct fixture_frame *frame, const uint8_t source[16], uint8_t type)
{
	static const uint8_t nothing[24];
	uint8_t *ip;

	fixture_frame_init(frame);
	memcpy(frame->source, source, 16);
	fixture_frame_wrap(frame, nothing, sizeof(nothing));
	ip = fixture_frame_ip(frame);
	if (ip[0] >> 4 == 4)
		ip[9] = 1;
	else
		ip[6] = 58;
	memset(fixture_frame_udp(frame), 0, 8);
	fixture_frame_udp(frame)[0] = type;
}

static void
icmp_sum(struct fixture_frame *frame)
{
	uint8_t *ip = fixture_frame_ip(frame);
	uint32_t sum = 0;
	int i;

	store_be16(ip + 10, 0);
	for (i = 0; i < 10; i++)
		sum += load_be16(ip + 2 * i);
	store_be16(ip + 10, (uint16_t) ~((sum >> 16) + sum));
}

static void
echo_for_us_is_a_neighbour(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_icmp(&frame, fixture_ipv4, 8);
	icmp_sum(&frame);
	assert_counted(&frame, COUNTED_NEIGHBOUR);
	frame_icmp(&frame, fixture_ipv4, 0); /* an answer */
	icmp_sum(&frame);
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_icmp(&frame, fixture_ipv6, 128);
	assert_counted(&frame, COUNTED_NEIGHBOUR);
	fixture_frame_ip(&frame)[39]++;
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_icmp(&frame, fixture_ipv6, 129);
	assert_counted(&frame, COUNTED_NOT_OURS);
}

/* A neighbour solicitation for our address, to its solicited-node group. */
static void
frame_solicit(struct fixture_frame *frame)
{
	static const uint8_t group[16] = {0xff, 2, [11] = 1, 0xff, 0xbb, 0xcc, 0xdd};
	uint8_t *ip;

	frame_icmp(frame, fixture_ipv6, 135);
	ip = fixture_frame_ip(frame);
	ip[7] = 255;
	memcpy(ip + 24, group, 16);
	memcpy(ip + 40 + 8, fixture_local_ipv6, 16);
	memcpy(frame->data, (const uint8_t[]){0x33, 0x33, 0xff, 0xbb, 0xcc, 0xdd}, 6);
}

static void
solicitation_for_us_is_a_neighbour(void **state)
{
	struct fixture_frame frame;

	(void)state;
	frame_solicit(&frame);
	assert_counted(&frame, COUNTED_NEIGHBOUR);
	memcpy(frame.data, fixture_mac, 6); /* to our MAC and address */
	memcpy(fixture_frame_ip(&frame) + 24, fixture_local_ipv6, 16);
	assert_counted(&frame, COUNTED_NEIGHBOUR);
	fixture_frame_ip(&frame)[7] = 254; /* came through a router */
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_solicit(&frame);
	fixture_frame_ip(&frame)[40 + 23]++; /* another target */
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_solicit(&frame);
	frame.data[5]++; /* another group's MAC */
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_solicit(&frame);
	fixture_frame_ip(&frame)[24 + 15]++; /* another group */
	assert_counted(&frame, COUNTED_NOT_OURS);
	frame_solicit(&frame);
	memcpy(fixture_frame_ip(&frame) + 40 + 8, fixture_local_ipv4, 16);
	assert_counted(&frame, COUNTED_NOT_OURS);
}

/* ---- what reaches our port and is no credential ---- */

static void
other_datagrams_are_malformed(void **state)
{
	static const uint8_t junk[CRED_SIZE_MAX + 1] = {'G', 'E', 'T', ' '};
	struct fixture_frame frame;
	size_t size;

	(void)state;
	for (size = 0; size <= sizeof(junk); size += size < 130 ? 1 : 61) {
		fixture_frame_init(&frame);
		fixture_frame_wrap(&frame, junk, size);
		assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_MALFORMED);
		assert_false(fixture.is_proved);
	}
}

static void
text_form_is_unsupported(void **state)
{
	struct cred_fields fields = fixture_fields(&fixture, next_serial++);
	char text[TEXT_SIZE_MAX + 1];
	struct fixture_frame frame;
	uint8_t msg[CRED_SIZE_MAX];
	size_t length;

	(void)state;
	length = text_encode(text, sizeof(text), msg, fixture_mint(&fixture, &fields, msg));
	assert_int_not_equal(length, 0);
	fixture_frame_init(&frame);
	fixture_frame_wrap(&frame, (const uint8_t *)text, length);
	assert_int_equal(fixture_verdict(&fixture, &frame), VERDICT_UNSUPPORTED);
	assert_false(fixture.is_proved);
}

struct damage {
	const char *what;
	unsigned at;
	unsigned size;
	uint64_t value;
	enum verdict verdict;
};

static const struct damage damages[] = {
	{"magic", CRED_AT_MAGIC, 4, 0x43474332, VERDICT_MALFORMED},
	{"length", CRED_AT_LENGTH, 2, 97, VERDICT_MALFORMED},
	{"realm 0", CRED_AT_REALM, 4, 0, VERDICT_MALFORMED},
	{"node 0", CRED_AT_NODE, 4, 0, VERDICT_MALFORMED},
	{"epoch 0", CRED_AT_EPOCH, 2, 0, VERDICT_MALFORMED},
	{"serial 0", CRED_AT_SERIAL, 8, 0, VERDICT_MALFORMED},
	{"serial above all", CRED_AT_SERIAL, 8, CRED_SERIAL_MAX + 1, VERDICT_MALFORMED},
	{"issued above all", CRED_AT_ISSUED, 8, CRED_ISSUED_US_LIMIT, VERDICT_MALFORMED},
	{"suite 0", CRED_AT_SUITE, 1, 0, VERDICT_UNSUPPORTED},
	{"suite 5", CRED_AT_SUITE, 1, 5, VERDICT_UNSUPPORTED},
	{"kind 0", CRED_AT_KIND, 1, 0, VERDICT_UNSUPPORTED},
	{"kind ask", CRED_AT_KIND, 1, CRED_KIND_ASK, VERDICT_UNSUPPORTED},
	{"kind reply", CRED_AT_KIND, 1, CRED_KIND_REPLY + 1, VERDICT_UNSUPPORTED},
	{"flag 1", CRED_AT_FLAGS, 2, 2, VERDICT_UNSUPPORTED},
	{"realm 8", CRED_AT_REALM, 4, FIXTURE_REALM + 1, VERDICT_UNKNOWN_REALM},
};

static void
damage_apply(uint8_t *msg, const struct damage *damage)
{
	uint8_t value[8];

	store_be64(value, damage->value);
	memcpy(msg + damage->at, value + 8 - damage->size, damage->size);
}

static void
each_damage_has_its_verdict(void **state)
{
	struct fixture_frame frame;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		frame_good(&frame);
		damage_apply(fixture_frame_cred(&frame), &damages[i]);
		fixture_frame_checksum(&frame);
		if (fixture_verdict(&fixture, &frame) != damages[i].verdict)
			fail_msg("%s has another verdict", damages[i].what);
		assert_false(fixture.is_proved);
	}
}

/* A refusal record shows what was claimed, and nothing of what was not proved. */
static void
unproved_record_names_the_claim(void **state)
{
	struct verdict_reader reader;
	struct verdict_record record;
	struct fixture_frame frame;
	uint8_t payload[VERDICT_PAYLOAD_SIZE_MAX];

	(void)state;
	assert_int_equal(
		verdict_reader_init(&reader, fixture.refusal[0], fixture.ring_size, false), 0);
	frame_good(&frame);
	fixture_frame_cred(&frame)[CRED_AT_SUITE] = 5;
	fixture_frame_checksum(&frame);
	fixture_verdict(&fixture, &frame);
	assert_int_equal(verdict_reader_next(&reader, &record, payload), 1);
	assert_int_equal(record.verdict, VERDICT_UNSUPPORTED | VERDICT_RECORD_UNPROVED);
	assert_int_equal(record.realm, FIXTURE_REALM);
	assert_int_equal(record.node, 1);
	assert_int_equal(record.epoch, 1);
	assert_int_equal(record.serial, next_serial - 1);
	assert_int_equal(record.port, 40000);
	assert_int_equal(record.time_us, fixture.now_us);
	assert_int_equal(record.uid | record.gid | record.payload_size, 0);
	assert_memory_equal(record.source, fixture_ipv4, 16);
	assert_int_equal(verdict_reader_next(&reader, &record, payload), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ipv4_is_accepted, setup, teardown),
		cmocka_unit_test_setup_teardown(ipv6_is_accepted, setup, teardown),
		cmocka_unit_test_setup_teardown(one_vlan_tag_is_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(ipv4_options_are_skipped, setup, teardown),
		cmocka_unit_test_setup_teardown(padding_is_not_the_credential, setup, teardown),
		cmocka_unit_test_setup_teardown(udp_may_be_shorter_than_ip, setup, teardown),
		cmocka_unit_test_setup_teardown(truncated_frames_are_bad, setup, teardown),
		cmocka_unit_test_setup_teardown(ipv4_header_damage_is_bad, setup, teardown),
		cmocka_unit_test_setup_teardown(fragments_are_bad, setup, teardown),
		cmocka_unit_test_setup_teardown(udp_length_is_checked, setup, teardown),
		cmocka_unit_test_setup_teardown(ipv6_header_damage_is_bad, setup, teardown),
		cmocka_unit_test_setup_teardown(impossible_sources_are_bad, setup, teardown),
		cmocka_unit_test_setup_teardown(others_traffic_is_not_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(mapped_destination_is_not_ours, setup, teardown),
		cmocka_unit_test_setup_teardown(mapped_source_is_malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(udp_checksum_is_verified, setup, teardown),
		cmocka_unit_test_setup_teardown(
			checksums_of_the_usual_are_verified, setup, teardown),
		cmocka_unit_test_setup_teardown(udp_checksum_of_every_size, setup, teardown),
		cmocka_unit_test_setup_teardown(
			trusted_checksums_leave_it_to_the_tag, setup, teardown),
		cmocka_unit_test_setup_teardown(nic_vouches_for_checksums, setup, teardown),
		cmocka_unit_test_setup_teardown(
			partial_checksum_only_where_allowed, setup, teardown),
		cmocka_unit_test_setup_teardown(no_checksum_is_for_ipv4_only, setup, teardown),
		cmocka_unit_test_setup_teardown(arp_for_us_is_a_neighbour, setup, teardown),
		cmocka_unit_test_setup_teardown(echo_for_us_is_a_neighbour, setup, teardown),
		cmocka_unit_test_setup_teardown(
			solicitation_for_us_is_a_neighbour, setup, teardown),
		cmocka_unit_test_setup_teardown(other_datagrams_are_malformed, setup, teardown),
		cmocka_unit_test_setup_teardown(text_form_is_unsupported, setup, teardown),
		cmocka_unit_test_setup_teardown(each_damage_has_its_verdict, setup, teardown),
		cmocka_unit_test_setup_teardown(unproved_record_names_the_claim, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
