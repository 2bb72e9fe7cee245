/* SPDX-License-Identifier: BSD-3-Clause */

/* Packets that were frozen with their verdicts (tests/frozen) keep them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "path_fixture.h"
#include "tests/vectors/vectors.h"

static struct fixture fixture;

static void
realm_read(const struct vectors *v)
{
	struct table_realm *realm = fixture_realm(&fixture, (uint32_t)vectors_number(v, "realm"));
	char text[64];
	char *at = text;

	assert_true(vectors_number(v, "nodes_max") <= fixture.params.nodes_max);
	realm->ttl_default_s = (uint32_t)vectors_number(v, "ttl_default_s");
	realm->ttl_max_s = (uint32_t)vectors_number(v, "ttl_max_s");
	realm->skew_us = vectors_number(v, "skew_us");
	realm->dup_us = vectors_number(v, "dup_us");
	realm->floor_us = vectors_number(v, "floor_us");
	realm->audience_any = vectors_number(v, "audience_any") != 0;
	realm->origin_mode = TABLE_ORIGIN_STRICT;
	if (vectors_value_is(v, "origin", "claimed"))
		realm->origin_mode = TABLE_ORIGIN_CLAIMED;
	else if (vectors_value_is(v, "origin", "off"))
		realm->origin_mode = TABLE_ORIGIN_OFF;
	vectors_string(v, "audiences", text, sizeof(text));
	for (realm->audience_count = 0; *at != '\0'; realm->audience_count++) {
		realm->audiences[realm->audience_count] = (struct table_audience){
			.audience = (uint32_t)strtoul(at, &at, 10), .groups = 1};
		at += *at == ',';
	}
}

/* The first epoch that a node has here is its main one; every live one is found either way. */
static void
node_read(const struct vectors *v)
{
	uint8_t node_key[KDF_KEY_SIZE], prefix[16];
	struct key_slot *slot;

	vectors_exactly(v, "node_key", node_key, sizeof(node_key));
	vectors_exactly(v, "prefix", prefix, sizeof(prefix));
	slot = fixture_node_add_key(&fixture, (uint32_t)vectors_number(v, "realm"),
		(uint32_t)vectors_number(v, "node"), (uint16_t)vectors_number(v, "epoch"),
		(uint8_t)vectors_number(v, "suite"), node_key);
	slot->not_before_s = (uint32_t)vectors_number(v, "not_before_s");
	slot->not_after_s = (uint32_t)vectors_number(v, "not_after_s");
	if (vectors_value_is(v, "state", "revoked"))
		slot->state = KEY_SLOT_REVOKED;
	fixture_prefix_add(&fixture, slot, prefix, (uint8_t)vectors_number(v, "prefix_bits"));
}

static void
packet_judge(const struct vectors *v)
{
	uint8_t datagram[1400];
	struct fixture_frame frame;
	enum verdict verdict;
	char name[128];

	fixture_frame_init(&frame);
	vectors_exactly(v, "source", frame.source, 16);
	frame.source_port = (uint16_t)vectors_number(v, "port");
	fixture_frame_wrap(
		&frame, datagram, vectors_bytes(v, "datagram", datagram, sizeof(datagram)));
	fixture.now_us = fixture.mono_us = vectors_number(v, "at_us");
	verdict = fixture_verdict(&fixture, &frame);
	if (!vectors_value_is(v, "verdict", verdict_text(verdict))) {
		vectors_string(v, "name", name, sizeof(name));
		fail_msg("packet %s is now %s", name, verdict_text(verdict));
	}
}

/* Windows differ between the realms of the file: each realm's slots get their own. */
static void
windows_read(uint32_t *window_bits)
{
	struct vectors v;

	vectors_open(&v, "frozen/native-v1.txt");
	while (vectors_next(&v, "realm"))
		window_bits[vectors_number(&v, "realm") - FIXTURE_REALM] =
			(uint32_t)vectors_number(&v, "window_bits");
	vectors_close(&v);
}

static void
frozen_packets_keep_their_verdicts(void **state)
{
	struct fixture_params params = fixture_params_default();
	unsigned packets = 0;
	struct vectors v;

	(void)state;
	params.realm_count = 3;
	windows_read(params.realm_window_bits);
	fixture_init(&fixture, &params);
	vectors_open(&v, "frozen/native-v1.txt");
	while (vectors_next_any(&v)) {
		if (vectors_is(&v, "realm"))
			realm_read(&v);
		else if (vectors_is(&v, "node"))
			node_read(&v);
		else if (vectors_is(&v, "group"))
			fixture.policy->groups[0] = (struct table_group){
				.reader_uid = (uint32_t)vectors_number(&v, "reader_uid"),
				.reader_gid = (uint32_t)vectors_number(&v, "reader_gid"),
				.is_used = 1,
			};
		else if (vectors_is(&v, "packet")) {
			packet_judge(&v);
			packets++;
		}
	}
	vectors_close(&v);
	assert_true(packets > 100);
	fixture_fini(&fixture);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frozen_packets_keep_their_verdicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
