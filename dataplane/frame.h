/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Frames to datagrams: Ethernet, at most one 802.1Q tag, IPv4 (options are skipped, fragments
 * refused) or IPv6 (extension headers are not ours), UDP. No length from inside a frame is believed
 * beyond the frame's size.
 */

#include <assert.h>
#include <smmintrin.h>
#include <string.h>

#include "dataplane/worker.h"
#include "wire/bytes.h"
#include "wire/cred.h"

#define FRAME_ETHER_SIZE 14u
#define FRAME_VLAN_SIZE  4u
#define FRAME_IPV4_SIZE  20u
#define FRAME_UDP_SIZE   8u

enum frame_class {
	FRAME_CREDENTIAL, /* a datagram to our port */
	FRAME_MAPPED,     /* the same, from an IPv4-mapped IPv6 address */
	FRAME_NEIGHBOUR,  /* ARP, NDP or echo for one of our addresses */
	FRAME_NOT_OURS,
	FRAME_BAD,
};

/*
 * An address in two words, in memory's order; IPv4 as ::ffff:a.b.c.d. Words, because an address
 * that is stored byte by byte and then loaded whole stalls the CPU.
 */
struct frame_address {
	uint64_t high;
	uint64_t low;
};

static inline struct frame_address
frame_address_map(const uint8_t ipv4[4])
{
	uint32_t word;

	memcpy(&word, ipv4, sizeof(word));
	return (struct frame_address){0, (uint64_t)word << 32 | 0xffff0000};
}

struct frame_datagram {
	struct frame_address source;
	const uint8_t *payload;
	uint32_t payload_size;
	uint16_t source_port;
	uint8_t l3; /* offset of the IP header in the frame */
};

/* Fills `datagram` if it is FRAME_CREDENTIAL or FRAME_MAPPED. Any thread. */
enum frame_class frame_parse(const struct worker_port *port, const struct burst_frame *frame,
	struct frame_datagram *datagram);

/* Is the UDP checksum right, as far as the port wants to know? `addresses`: as in the header. */
bool frame_udp_is_right(const struct worker_port *port, const uint8_t *udp, uint32_t size,
	const uint8_t *addresses, uint32_t addresses_size);

/*
 * The usual frame: untagged IPv4 without options or padding to the port's first IPv4 address, of a
 * size that a credential may have. Everything that such a frame has in the same place is compared
 * at once, as bytes under a mask, in three pieces, of which the last overlaps the one before.
 */
#define FRAME_SHAPE_SIZE   (FRAME_ETHER_SIZE + FRAME_IPV4_SIZE + FRAME_UDP_SIZE)
#define FRAME_SHAPE_PIECES 3u
#define FRAME_SHAPE_LAST   (FRAME_SHAPE_SIZE - sizeof(__m128i)) /* where the last one begins */
static_assert(FRAME_SHAPE_LAST > sizeof(__m128i) && FRAME_SHAPE_LAST < 2 * sizeof(__m128i), "3");

struct frame_shape {
	_Alignas(64) __m128i bytes[FRAME_SHAPE_PIECES];
	__m128i mask[FRAME_SHAPE_PIECES];
	uint32_t size_min;   /* of a frame that is compared at all */
	bool is_udp_trusted; /* the port says so */
};

void frame_shape_init(struct frame_shape *shape, const struct worker_port *port);

/* 0.0.0.0/8, multicast and all above (broadcast): nobody sends from there. */
static inline bool
frame_ipv4_is_sender(const uint8_t ipv4[4])
{
	return ipv4[0] - 1u < 223u;
}

/* What of a piece differs from the shape. */
static inline __m128i
frame_shape_differs(const struct frame_shape *shape, const uint8_t *data, unsigned piece)
{
	return _mm_and_si128(
		_mm_xor_si128(_mm_loadu_si128((const void *)data), shape->bytes[piece]),
		shape->mask[piece]);
}

static inline bool
frame_has_shape(const struct frame_shape *shape, const uint8_t *data)
{
	const __m128i differs =
		_mm_or_si128(_mm_or_si128(frame_shape_differs(shape, data, 0),
				     frame_shape_differs(shape, data + sizeof(__m128i), 1)),
			frame_shape_differs(shape, data + FRAME_SHAPE_LAST, 2));

	return _mm_testz_si128(differs, differs);
}

/*
 * Are the checksums of a frame that has the shape right, as far as the port wants to know? Not if
 * the UDP one is left unfinished. `size`: of the datagram, from its IP header on.
 */
bool frame_sums_are_right(const struct frame_shape *shape, const uint8_t *ip, uint32_t size);

/*
 * frame_parse for the usual frame, whose checksums a NIC or we find good: true if it is one, and
 * FRAME_CREDENTIAL then. False says nothing: frame_parse decides.
 */
static inline bool
frame_parse_usual(const struct frame_shape *shape, const struct burst_frame *frame,
	struct frame_datagram *datagram)
{
	const uint8_t *ip = frame->data + FRAME_ETHER_SIZE;
	const uint8_t *udp = ip + FRAME_IPV4_SIZE;
	const uint32_t size = frame->size - FRAME_ETHER_SIZE;

	if (frame->size < shape->size_min || frame->checksum == BURST_CHECKSUM_BAD ||
		!frame_has_shape(shape, frame->data) ||
		((load_be16(ip + 2) ^ size) | (load_be16(udp + 4) ^ (size - FRAME_IPV4_SIZE))) !=
			0 ||
		!frame_ipv4_is_sender(ip + 12))
		return false;
	if (frame->checksum != BURST_CHECKSUM_GOOD && !frame_sums_are_right(shape, ip, size))
		return false;
	datagram->source = frame_address_map(ip + 12);
	datagram->payload = udp + FRAME_UDP_SIZE;
	datagram->payload_size = size - FRAME_IPV4_SIZE - FRAME_UDP_SIZE;
	datagram->source_port = load_be16(udp);
	datagram->l3 = FRAME_ETHER_SIZE;
	return true;
}
