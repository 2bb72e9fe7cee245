/* SPDX-License-Identifier: BSD-3-Clause */

#include "dataplane/loop.h"

#include <time.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_pause.h>

/*
 * An idle worker first polls on (a burst often has a successor), then polls with pauses (a sibling
 * hyper-thread gets the core), then sleeps, twice as long each time. An empty poll of one af_packet
 * port takes about 0.1 us.
 */
#define IDLE_SPIN_POLLS  256u
#define IDLE_PAUSE_POLLS 256u
#define IDLE_PAUSES      16u
#define IDLE_SLEEP_US    2u

/* Only this thread writes its counters. */
static inline void
count_add(_Atomic uint64_t *counter, uint64_t count)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + count,
		memory_order_relaxed);
}

/*
 * Does the device vouch for both checksums? NONE means that the sum in the packet is not right but
 * its data are (a virtual device that never wrote it). IPv6 has no header checksum.
 */
static enum burst_checksum
checksum_of(const struct rte_mbuf *mbuf)
{
	uint64_t ip = mbuf->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
	uint64_t udp = mbuf->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;

	if (ip == RTE_MBUF_F_RX_IP_CKSUM_BAD || udp == RTE_MBUF_F_RX_L4_CKSUM_BAD)
		return BURST_CHECKSUM_BAD;
	if (udp == RTE_MBUF_F_RX_L4_CKSUM_UNKNOWN ||
		(ip == RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN && !RTE_ETH_IS_IPV6_HDR(mbuf->packet_type)))
		return BURST_CHECKSUM_UNKNOWN;
	return BURST_CHECKSUM_GOOD;
}

/* A buffer that goes back to the pool as it is. */
static bool
mbuf_is_plain(const struct rte_mbuf *mbuf, const struct rte_mempool *pool)
{
	return mbuf->pool == pool && RTE_MBUF_DIRECT(mbuf) && rte_mbuf_refcnt_read(mbuf) == 1;
}

/*
 * Turns `got` mbufs behind the first `count` into frames. A frame in several pieces (larger than
 * any credential) is counted and dropped. Returns the new count.
 */
static unsigned
frames_take(struct loop *loop, unsigned port, unsigned count, unsigned got)
{
	struct rte_mbuf **from = &loop->mbufs[count];
	bool is_plain = true;

	for (unsigned i = 0; i < got; i++) {
		struct rte_mbuf *mbuf = from[i];

		if (mbuf->nb_segs != 1) {
			count_add(&loop->stats->rx_frames, 1);
			count_add(&loop->stats->rx_bad_packet, 1);
			rte_pktmbuf_free(mbuf);
			continue;
		}
		is_plain &= mbuf_is_plain(mbuf, loop->ports->pool);
		loop->mbufs[count] = mbuf;
		loop->frames[count++] = (struct burst_frame){
			.data = rte_pktmbuf_mtod(mbuf, const uint8_t *),
			.size = rte_pktmbuf_data_len(mbuf),
			.port = (uint8_t)port,
			.checksum = (uint8_t)checksum_of(mbuf),
		};
	}
	loop->is_plain &= is_plain;
	return count;
}

/*
 * One burst mixes the ports: with little traffic on each of several ports the stages still get as
 * many frames at once as there are. The port asked first changes, so that none starves.
 */
static unsigned
frames_receive(struct loop *loop)
{
	const struct ports *ports = loop->ports;
	unsigned port = loop->first_port, count = 0;

	loop->is_plain = true;
	for (unsigned i = 0; i < ports->count && count < BURST_FRAMES_MAX; i++) {
		uint16_t got = rte_eth_rx_burst(ports->ids[port], loop->queue, &loop->mbufs[count],
			(uint16_t)(BURST_FRAMES_MAX - count));

		count = frames_take(loop, port, count, got);
		if (++port == ports->count)
			port = 0;
	}
	if (++loop->first_port >= ports->count)
		loop->first_port = 0;
	return count;
}

/* An empty mbuf that can take `size` bytes; NULL if there is none. */
static struct rte_mbuf *
mbuf_get(const struct loop *loop, unsigned size)
{
	struct rte_mbuf *mbuf = rte_pktmbuf_alloc(loop->ports->pool);

	if (mbuf && rte_pktmbuf_tailroom(mbuf) >= size)
		return mbuf;
	rte_pktmbuf_free(mbuf);
	return NULL;
}

/* The mbuf's first `size` bytes are written: it leaves by `port`. */
static void
outbox_put(struct loop *loop, unsigned port, struct rte_mbuf *mbuf, size_t size)
{
	struct loop_outbox *outbox = &loop->outboxes[port];

	mbuf->data_len = (uint16_t)size;
	mbuf->pkt_len = (uint32_t)size;
	outbox->mbufs[outbox->count++] = mbuf;
}

/* The worker counted these as sent: one that finds no room counts as dropped, too. */
static void
replies_queue(struct loop *loop)
{
	for (unsigned i = 0; i < loop->result.reply_count; i++) {
		const struct burst_reply *reply = &loop->result.replies[i];
		struct rte_mbuf *mbuf = mbuf_get(loop, reply->size);

		if (mbuf == NULL) {
			count_add(&loop->stats->replies_dropped, 1);
			continue;
		}
		memcpy(rte_pktmbuf_mtod(mbuf, void *), reply->data, reply->size);
		outbox_put(loop, reply->port, mbuf, reply->size);
	}
}

/* Returns whether the question was one and got its answer. */
static bool
neighbour_queue(struct loop *loop, const struct burst_frame *frame)
{
	struct rte_mbuf *mbuf = mbuf_get(loop, frame->size + NEIGHBOUR_GROWTH_MAX);
	size_t size = 0;

	if (mbuf)
		size = neighbour_answer(&loop->ports->views[frame->port], frame->data, frame->size,
			rte_pktmbuf_mtod(mbuf, uint8_t *), rte_pktmbuf_tailroom(mbuf));
	if (size == 0) {
		rte_pktmbuf_free(mbuf);
		return false;
	}
	outbox_put(loop, frame->port, mbuf, size);
	return true;
}

static void
neighbours_queue(struct loop *loop)
{
	uint64_t left = loop->result.neighbours;
	struct timespec now;
	uint64_t mono_us;

	if (left == 0)
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	mono_us = (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
	for (; left != 0; left &= left - 1) {
		if (!neighbour_budget_take(&loop->budget, mono_us))
			count_add(&loop->stats->neighbour_dropped, 1);
		else if (neighbour_queue(loop, &loop->frames[__builtin_ctzll(left)]))
			count_add(&loop->stats->neighbour_answered, 1);
	}
}

/* What does not fit now is dropped: who asked asks again, and a full queue must not stop us. */
static void
outboxes_send(struct loop *loop)
{
	for (unsigned port = 0; port < loop->ports->count; port++) {
		struct loop_outbox *outbox = &loop->outboxes[port];
		unsigned sent;

		if (outbox->count == 0)
			continue;
		sent = rte_eth_tx_burst(loop->ports->ids[port], loop->queue, outbox->mbufs,
			(uint16_t)outbox->count);
		if (sent < outbox->count) {
			count_add(&loop->stats->replies_dropped, outbox->count - sent);
			rte_pktmbuf_free_bulk(&outbox->mbufs[sent], outbox->count - sent);
		}
		outbox->count = 0;
	}
}

/* Drivers' buffers are plain, but for those that lend the NIC's own memory. */
static void
frames_free(struct loop *loop, unsigned count)
{
	if (loop->is_plain)
		rte_mempool_put_bulk(loop->ports->pool, (void **)loop->mbufs, count);
	else
		rte_pktmbuf_free_bulk(loop->mbufs, count);
}

/*
 * After a sleep there may be readers that sleep, too: the main thread is told at once, instead of
 * at its next look. Only after a sleep, so that a busy worker makes no system call.
 */
static void
idle_end(struct loop *loop)
{
	const uint64_t one = 1;

	if (loop->idle.has_slept && write(loop->wake_fd, &one, sizeof(one)) < 0)
		(void)0; /* EAGAIN: it is told already */
	loop->idle = (struct loop_idle){.sleep_us = IDLE_SLEEP_US};
}

static void
idle_sleep(struct loop *loop)
{
	struct loop_idle *idle = &loop->idle;
	const struct timespec pause = {
		.tv_sec = idle->sleep_us / 1000000,
		.tv_nsec = (long)(idle->sleep_us % 1000000) * 1000,
	};

	worker_offline(loop->worker);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	worker_online(loop->worker);
	count_add(&loop->stats->sleeps, 1);
	idle->has_slept = true;
	idle->sleep_us = RTE_MIN(idle->sleep_us * 2, loop->sleep_us_max);
}

static void
idle_wait(struct loop *loop)
{
	struct loop_idle *idle = &loop->idle;

	count_add(&loop->stats->idle_polls, 1);
	if (++idle->polls <= IDLE_SPIN_POLLS)
		return;
	if (idle->polls <= IDLE_SPIN_POLLS + IDLE_PAUSE_POLLS || loop->sleep_us_max == 0) {
		for (unsigned i = 0; i < IDLE_PAUSES; i++)
			rte_pause();
		return;
	}
	idle->polls = IDLE_SPIN_POLLS + IDLE_PAUSE_POLLS; /* does not run over */
	idle_sleep(loop);
}

/* The poll that began at `began` found work. Returns when the next one begins. */
static uint64_t
busy_count(struct loop *loop, uint64_t began)
{
	const uint64_t now = rte_rdtsc();

	count_add(&loop->stats->busy_cycles, now - began);
	return now;
}

int
loop_run(void *argument)
{
	struct loop *loop = argument;
	uint64_t began;

	loop->idle.sleep_us = IDLE_SLEEP_US;
	worker_online(loop->worker);
	began = rte_rdtsc();
	while (!atomic_load_explicit(loop->is_stopping, memory_order_relaxed)) {
		unsigned count = frames_receive(loop);

		worker_burst(loop->worker, loop->frames, count, &loop->result);
		if (loop->result.work == 0) {
			idle_wait(loop);
			began = rte_rdtsc();
			continue;
		}
		replies_queue(loop);
		neighbours_queue(loop);
		outboxes_send(loop);
		frames_free(loop, count);
		idle_end(loop);
		began = busy_count(loop, began);
	}
	worker_offline(loop->worker);
	return 0;
}
