/* SPDX-License-Identifier: BSD-3-Clause */

#include "perf/loadgen/loop.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_pause.h>

#include "perf/loadgen/clock.h"
#include "perf/loadgen/fail.h"
#include "perf/loadgen/pacer.h"

#define RX_BURST 64u
/* Read between bursts: more than are sent meanwhile, so that reading catches up. */
#define VERDICTS_MAX 256u
/* Frames of --raw: enough to be different, few enough to stay in the L2 cache. */
#define RAW_FRAMES 512u
/* A port that takes nothing for so long is gone. */
#define STUCK_S 10u

/* What the port has not taken yet. */
struct pending {
	struct rte_mbuf *mbufs[MINT_BURST_MAX];
	unsigned count;
	unsigned sent;
	uint64_t since; /* offered first */
};

/* What one run of a loop needs besides its struct loop. */
struct run {
	struct loop *loop;
	struct pacer pacer;
	struct pending pending;
	uint64_t end;      /* TSC */
	uint64_t wait;     /* cycles to offer again */
	uint64_t progress; /* when the port took something last */
	uint16_t queue;
	bool is_stuck;
};

static void
frames_fit(struct rte_mbuf **mbufs, const struct mint_burst *burst)
{
	for (unsigned i = 0; i < burst->count; i++) {
		mbufs[i]->data_len = burst->frame_sizes[i];
		mbufs[i]->pkt_len = burst->frame_sizes[i];
	}
}

static void
mint_count(struct results *results, uint64_t cycles, unsigned count)
{
	results->mint_tsc += cycles;
	results->minted += count;
	if (count == MINT_BURST_MAX)
		histogram_record(&results->mint_bursts, cycles);
}

/* Makes what is due; it becomes pending. */
static void
run_mint(struct run *run, uint64_t now)
{
	struct loop *loop = run->loop;
	struct results *results = loop->results;
	uint8_t *frames[MINT_BURST_MAX];
	uint64_t dues[MINT_BURST_MAX], begin;
	const uint64_t made = run->pacer.made;
	const unsigned count = pacer_take(&run->pacer, now, dues);

	if (count == 0)
		return;
	if (!port_take(loop->port, run->pending.mbufs, frames, count)) {
		run->pacer.made = made; /* the port holds all buffers: due as before */
		return;
	}
	if (now - dues[0] > results->late_tsc_max)
		results->late_tsc_max = now - dues[0];
	begin = clock_tsc();
	mint_burst(loop->mint, frames, dues, count);
	mint_count(results, clock_tsc() - begin, count);
	frames_fit(run->pending.mbufs, &loop->mint->burst);
	if (settings_wants_replies(loop->settings))
		replies_expect(loop->replies, loop->mint, dues);
	if (loop->verdicts->reader != NULL)
		verdicts_expect(loop->verdicts, dues);
	run->pending.count = count;
	run->pending.sent = 0;
	run->pending.since = begin;
}

/* Counts what of the burst went out. */
static void
burst_count(struct run *run)
{
	const struct mint_burst *burst = &run->loop->mint->burst;
	struct results *results = run->loop->results;
	const unsigned sent = run->pending.sent;

	for (unsigned i = 0; i < sent; i++) {
		results->sent_class[burst->items[i].class]++;
		results->sent_wanting += burst->items[i].wants_reply;
		results->sent_bytes += burst->frame_sizes[i];
	}
	results_store(&results->sent, results->sent + sent);
	if (run->pending.count != sent) {
		rte_pktmbuf_free_bulk(run->pending.mbufs + sent, run->pending.count - sent);
		results_store(
			&results->tx_dropped, results->tx_dropped + run->pending.count - sent);
	}
	mint_sent(run->loop->mint, sent);
	run->pending.count = 0;
	run->queue = (uint16_t)((run->queue + 1) % run->loop->port->queues);
}

/* Offers what is pending; gives it up when it has waited long enough. */
static void
run_send(struct run *run)
{
	struct pending *pending = &run->pending;
	const uint16_t taken = rte_eth_tx_burst(run->loop->port->id, run->queue,
		pending->mbufs + pending->sent, (uint16_t)(pending->count - pending->sent));

	pending->sent += taken;
	if (pending->sent == pending->count) {
		run->progress = pending->since;
		burst_count(run);
		return;
	}
	run->loop->results->tx_retries++;
	rte_pause(); /* asking at once again only takes the ring's lines from its reader */
	if (clock_tsc() - pending->since > run->wait)
		burst_count(run);
	else if (clock_tsc() - run->progress > STUCK_S * run->loop->results->tsc_hz)
		run->is_stuck = true;
}

static void
run_receive(struct run *run)
{
	const struct loop *loop = run->loop;

	for (uint16_t queue = 0; queue < loop->port->queues; queue++) {
		struct rte_mbuf *mbufs[RX_BURST];
		const uint8_t *frames[RX_BURST];
		uint16_t sizes[RX_BURST];
		const uint16_t count = rte_eth_rx_burst(loop->port->id, queue, mbufs, RX_BURST);

		if (count == 0)
			continue;
		for (uint16_t i = 0; i < count; i++) {
			frames[i] = rte_pktmbuf_mtod(mbufs[i], const uint8_t *);
			sizes[i] = rte_pktmbuf_data_len(mbufs[i]);
		}
		replies_take(loop->replies, frames, sizes, count, clock_tsc(), loop->results);
		rte_pktmbuf_free_bulk(mbufs, count);
	}
}

static void
run_listen(struct run *run)
{
	run_receive(run);
	if (run->loop->verdicts->reader != NULL && !run->loop->results->is_gateway_gone)
		verdicts_read(run->loop->verdicts, VERDICTS_MAX, run->loop->results);
}

/*
 * Replies and verdicts that are still on their way; and what lies in the link goes with the port.
 */
static void
run_linger(struct run *run)
{
	const struct loop *loop = run->loop;
	const uint64_t end =
		clock_tsc() + loop->settings->linger_ms * (loop->results->tsc_hz / 1000);

	while (clock_tsc() < end)
		run_listen(run);
}

static bool
run_is_over(const struct run *run, uint64_t now)
{
	if (run->is_stuck || *run->loop->is_stopped)
		return true;
	return run->pending.count == 0 && (now >= run->end || pacer_is_done(&run->pacer));
}

static void
run_begin(struct run *run, struct loop *loop)
{
	const struct settings *s = loop->settings;
	const uint64_t now = clock_tsc(), hz = loop->results->tsc_hz;

	*run = (struct run){
		.loop = loop,
		.end = now + (uint64_t)(s->seconds * (double)hz),
		.wait = s->tx_wait_us == UINT64_MAX ? UINT64_MAX : s->tx_wait_us * (hz / 1000000),
		.progress = now,
	};
	pacer_init(&run->pacer, now, hz, s->rate, s->count);
}

static int
run_mint_loop(struct run *run)
{
	uint64_t now = clock_tsc();
	const uint64_t begin = now;

	for (; !run_is_over(run, now); now = clock_tsc()) {
		if (run->pending.count == 0)
			run_mint(run, now);
		if (run->pending.count != 0)
			run_send(run);
		run_listen(run);
	}
	if (run->pending.count != 0)
		burst_count(run);
	run->loop->results->tsc_spent = now - begin;
	run_linger(run);
	run->loop->results->forgotten =
		run->loop->replies->flight.put_out + run->loop->verdicts->flight.put_out;
	return run->is_stuck ? fail("the port has taken nothing for %u s: is its peer still there?",
				       STUCK_S)
			     : 0;
}

/* ---- frames that were minted before ---- */

static int
raw_prepare(struct loop *loop, struct rte_mbuf **mbufs)
{
	const uint64_t dues[MINT_BURST_MAX] = {0};
	uint8_t *frames[MINT_BURST_MAX];

	for (unsigned at = 0; at < RAW_FRAMES; at += MINT_BURST_MAX) {
		if (!port_take(loop->port, mbufs + at, frames, MINT_BURST_MAX))
			return fail("no packet buffers: raise --memory");
		mint_burst(loop->mint, frames, dues, MINT_BURST_MAX);
		frames_fit(mbufs + at, &loop->mint->burst);
	}
	return 0;
}

/* Every buffer has a reference of ours, so that sending never frees it. */
static void
raw_send(struct run *run, struct rte_mbuf **mbufs, unsigned count)
{
	struct results *results = run->loop->results;
	uint16_t taken;

	for (unsigned i = 0; i < count; i++)
		rte_mbuf_refcnt_update(mbufs[i], 1);
	taken = rte_eth_tx_burst(run->loop->port->id, run->queue, mbufs, (uint16_t)count);
	run->queue = (uint16_t)((run->queue + 1) % run->loop->port->queues);
	for (unsigned i = 0; i < taken; i++)
		results->sent_bytes += mbufs[i]->pkt_len;
	for (unsigned i = taken; i < count; i++)
		rte_mbuf_refcnt_update(mbufs[i], -1);
	if (taken != 0)
		run->progress = clock_tsc();
	results->tx_retries += taken < count;
	results->sent_class[MINT_GENUINE] += taken;
	results_store(&results->sent, results->sent + taken);
	if (run->loop->settings->rate > 0)
		results_store(&results->tx_dropped, results->tx_dropped + count - taken);
}

static int
run_raw_loop(struct run *run, struct rte_mbuf **mbufs)
{
	uint64_t dues[MINT_BURST_MAX], now = clock_tsc();
	const uint64_t begin = now;

	for (; !run_is_over(run, now); now = clock_tsc()) {
		const unsigned at = (unsigned)(run->pacer.made % RAW_FRAMES);
		unsigned count = pacer_take(&run->pacer, now, dues);

		if (count > RAW_FRAMES - at) {
			run->pacer.made -= count - (RAW_FRAMES - at);
			count = RAW_FRAMES - at;
		}
		if (count != 0)
			raw_send(run, mbufs + at, count);
		run->is_stuck = now > run->progress &&
				now - run->progress > STUCK_S * run->loop->results->tsc_hz &&
				run->pacer.interval == 0;
	}
	run->loop->results->tsc_spent = now - begin;
	run_linger(run);
	return run->is_stuck ? fail("the port has taken nothing for %u s: is its peer still there?",
				       STUCK_S)
			     : 0;
}

int
loop_run(void *context)
{
	static struct rte_mbuf *mbufs[RAW_FRAMES];
	struct loop *loop = context;
	struct run run;

	if (loop->settings->mode == SETTINGS_RAW && raw_prepare(loop, mbufs) != 0)
		return -1;
	run_begin(&run, loop);
	return loop->settings->mode == SETTINGS_RAW ? run_raw_loop(&run, mbufs)
						    : run_mint_loop(&run);
}

void
loop_mint_only(struct loop *loop)
{
	/* Aligned as the data of packet buffers is. */
	static _Alignas(64) uint8_t memory[MINT_BURST_MAX][MINT_FRAME_MAX];
	struct results *results = loop->results;
	uint8_t *frames[MINT_BURST_MAX];
	uint64_t dues[MINT_BURST_MAX], now;
	struct run run;

	for (unsigned i = 0; i < MINT_BURST_MAX; i++)
		frames[i] = memory[i];
	run_begin(&run, loop);
	for (now = run.pacer.start; !run_is_over(&run, now); now = clock_tsc()) {
		const unsigned count = pacer_take(&run.pacer, now, dues);

		if (count == 0)
			continue;
		mint_burst(loop->mint, frames, dues, count);
		mint_sent(loop->mint, count);
		mint_count(results, clock_tsc() - now, count);
		for (unsigned i = 0; i < count; i++) {
			results->sent_class[loop->mint->burst.items[i].class]++;
			results->sent_bytes += loop->mint->burst.frame_sizes[i];
		}
	}
	results->sent = results->minted;
	results->tsc_spent = now - run.pacer.start;
}
