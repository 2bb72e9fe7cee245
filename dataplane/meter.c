/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/meter.h"

#include "wire/beacon.h"

#define US_A_SECOND 1000000u

/* A word has one writer, so that a load and a store do. */
#define METER_SET(place, value) atomic_store_explicit(&(place), value, memory_order_relaxed)
#define METER_GET(place)        atomic_load_explicit(&(place), memory_order_relaxed)

static uint32_t
seconds(uint64_t time_us)
{
	const uint64_t time_s = time_us / US_A_SECOND;

	return time_s < UINT32_MAX ? (uint32_t)time_s : UINT32_MAX;
}

/* Counters of 32 bits stay at their maximum. */
static void
count_up(_Atomic uint32_t *counter)
{
	const uint32_t count = METER_GET(*counter);

	METER_SET(*counter, count + (count != UINT32_MAX));
}

/* The place of an epoch, emptied if it was another's: epochs are used once for ever. */
static struct meter_use *
use_of(struct meter_node *meter, uint16_t epoch)
{
	struct meter_use *use = &meter->uses[epoch % TABLE_EPOCHS_MAX];

	if (METER_USE_EPOCH(METER_GET(use->accepted)) == epoch)
		return use;
	METER_SET(use->last_s, 0);
	METER_SET(use->refused, 0);
	METER_SET(use->accepted, (uint64_t)epoch << 48);
	return use;
}

/* Booked before the line forgets: a kill in between counts some twice, and none not at all. */
void
meter_book(struct worker *worker, uint32_t window)
{
	struct replay_node *line = &worker->replay->nodes[window];
	struct meter_use *use;

	if (line->uses == 0)
		return;
	use = use_of(meter_of(worker, window), line->epoch);
	METER_SET(use->accepted, METER_GET(use->accepted) + line->uses);
	METER_SET(use->last_s, seconds(line->last_seen_us));
	atomic_signal_fence(memory_order_seq_cst);
	line->uses = 0;
}

/* ---- incarnations and clones ---- */

static void
incarnation_begin(struct meter_node *meter, uint32_t incarnation, uint64_t now_us)
{
	METER_SET(meter->incarnation_since_us, now_us);
	METER_SET(meter->incarnation, incarnation);
}

void
meter_incarnation(struct worker *worker, uint32_t window, uint64_t serial)
{
	const uint64_t top = replay_word_load(&worker->replay->nodes[window].top);

	if (serial >> 32 > top >> 32)
		incarnation_begin(
			meter_of(worker, window), (uint32_t)(serial >> 32), worker->burst.now_us);
}

/*
 * Was it issued when the newest incarnation lived already? Where the time of issue is not at hand,
 * its verdict says that it has not expired: it is younger than the longest time to live.
 */
static bool
is_issued_since(const struct worker *worker, const struct own_cred *cred, uint64_t since_us)
{
	const struct table_realm *realm = cred->key->realm;
	const uint64_t youth_us = (uint64_t)realm->ttl_max_s * US_A_SECOND + realm->skew_us;

	if (cred->issued_us != 0)
		return cred->issued_us > since_us + realm->skew_us;
	return worker->burst.now_us > since_us + youth_us + realm->skew_us;
}

/*
 * A proved, unexpired credential of an older incarnation: late, if it was issued before the newest
 * began; if after, then two issuers live. Without clocks nobody can tell, and whoever has captured
 * old credentials could make it look so: there it proves nothing.
 */
static void
clone_look(struct worker *worker, const struct own_cred *cred)
{
	struct meter_node *meter = meter_of(worker, cred->key->window);
	const uint64_t top = replay_word_load(&worker->replay->nodes[cred->key->window].top);
	const uint64_t serial = cred->record->serial;
	uint64_t source[2];

	if (cred->key->realm->freshness != TABLE_FRESHNESS_CLOCK || serial >> 32 >= top >> 32)
		return;
	if (METER_GET(meter->incarnation) != top >> 32) {
		/* Nobody has noted its beginning: now, then. */
		incarnation_begin(meter, (uint32_t)(top >> 32), worker->burst.now_us);
		return;
	}
	if (METER_GET(meter->clone_serial) == serial ||
		!is_issued_since(worker, cred, METER_GET(meter->incarnation_since_us)))
		return;
	memcpy(source, cred->record->source, sizeof(source));
	METER_SET(meter->clone_serial, serial);
	METER_SET(meter->clone_incarnation, (uint32_t)(serial >> 32));
	METER_SET(meter->clone_source[0], source[0]);
	METER_SET(meter->clone_source[1], source[1]);
	METER_SET(meter->clone_last_us, worker->burst.now_us);
	count_up(&meter->clone_count);
	stat_add(&worker->stats->clones, 1);
}

void
meter_collision(struct worker *worker, uint32_t window)
{
	struct meter_node *meter = meter_of(worker, window);

	count_up(&meter->collisions);
	METER_SET(meter->clone_last_us, worker->burst.now_us);
}

/* ---- refusals ---- */

static void
would_note(struct meter_node *meter, enum verdict verdict)
{
	count_up(&meter->would_refuse);
	METER_SET(meter->would_verdict, (uint8_t)verdict);
}

static __attribute__((noinline)) void
node_refused(struct worker *worker, const struct own_cred *cred, enum verdict verdict)
{
	struct meter_node *meter = meter_of(worker, cred->key->window);

	count_up(&use_of(meter, cred->record->epoch)->refused);
	METER_SET(meter->refused_s, seconds(worker->burst.now_us));
	METER_SET(meter->refused_verdict, (uint8_t)verdict);
	if (cred->key->realm->mode != TABLE_MODE_ENFORCE)
		would_note(meter, verdict);
	if (verdict == VERDICT_STALE)
		clone_look(worker, cred);
}

void
meter_refused(struct worker *worker, const struct own_cred *cred, enum verdict verdict)
{
	struct realm_stats *stats = realm_stats_of(worker, cred->key->realm);

	stat_add(&stats->proved[verdict], 1);
	if (cred->key->realm->mode != TABLE_MODE_ENFORCE)
		stat_add(&stats->would_refuse[verdict], 1);
	if (verdict != VERDICT_REPLAYED && verdict != VERDICT_DUPLICATE)
		node_refused(worker, cred, verdict);
}

void
meter_spared(struct worker *worker, const struct view_key *key)
{
	stat_add(&realm_stats_of(worker, key->realm)->would_refuse[VERDICT_FORBIDDEN], 1);
	would_note(meter_of(worker, key->window), VERDICT_FORBIDDEN);
}

/* ---- beacons ---- */

/* Its own part of the payload in clear. Returns how much of it there is. */
static size_t
beacon_unseal(struct worker *worker, const struct own_cred *cred, uint8_t clear[WIRE_BEACON_SIZE])
{
	const uint16_t payload_size = cred->record->payload_size;
	const uint16_t size = payload_size < WIRE_BEACON_SIZE ? payload_size : WIRE_BEACON_SIZE;
	const uint64_t serial = cred->record->serial;
	const uint32_t salt = cred->record->stamp;

	if (size != 0)
		tag_batch_unseal(worker->engine, &cred->key->slot, &serial, &salt, &cred->payload,
			&clear, &size, 1);
	return size;
}

/* Where the node says that it is: never the packet's source. */
static void
beacon_note_origin(struct meter_node *meter, const uint8_t *origin, uint32_t now_s)
{
	uint64_t words[2];
	uint32_t v4;

	memcpy(words, origin, sizeof(words));
	memcpy(&v4, origin + 12, sizeof(v4));
	if ((words[0] | words[1]) == 0)
		return;
	if (words[0] == 0 && load_be32(origin + 8) == 0xffff) {
		METER_SET(meter->beacon_v4, v4);
		METER_SET(meter->beacon_v4_s, now_s);
		METER_SET(meter->beacon_families, METER_GET(meter->beacon_families) | METER_HAS_V4);
	} else {
		METER_SET(meter->beacon_v6[0], words[0]);
		METER_SET(meter->beacon_v6[1], words[1]);
		METER_SET(meter->beacon_v6_s, now_s);
		METER_SET(meter->beacon_families, METER_GET(meter->beacon_families) | METER_HAS_V6);
	}
}

void
meter_beacon(struct worker *worker, const struct own_cred *cred)
{
	struct meter_node *meter = meter_of(worker, cred->key->window);
	uint8_t clear[WIRE_BEACON_SIZE];
	struct wire_beacon beacon;

	wire_beacon_parse(&beacon, clear, beacon_unseal(worker, cred, clear));
	if (cred->origin != NULL)
		beacon_note_origin(meter, cred->origin, seconds(worker->burst.now_us));
	METER_SET(meter->beacon_incarnation, (uint32_t)(cred->record->serial >> 32));
	METER_SET(meter->beacon_interval_s, beacon.interval_s);
	METER_SET(meter->beacon_state,
		beacon.state == WIRE_BEACON_LEAVING ? METER_LEAVING : METER_UP);
	atomic_store_explicit(&meter->beacon_us, worker->burst.now_us, memory_order_release);
	stat_add(&worker->stats->beacons, 1);
}
