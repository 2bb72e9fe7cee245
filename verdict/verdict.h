/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The door of verdict/ and the one table of verdicts: it makes the enum, the counters, the texts,
 * docs/verdicts.md and the exit codes. Numbers are fixed for ever; new ones go at the end.
 */

#include <stdbool.h>
#include <stdint.h>

/* X(number, NAME, "text", "meaning", "what to do") */
#define VERDICT_TABLE(X)                                                                          \
	X(0, NONE, "none", "no verdict: zeroed memory is no acceptance", "never produced")        \
	X(1, ACCEPTED, "accepted", "genuine, fresh and seen for the first time", "nothing to do") \
	X(2, DUPLICATE, "duplicate",                                                              \
		"an honest retransmission of an accepted credential; delivered once",             \
		"nothing to do: the first answer stands")                                         \
	X(3, REPLAYED, "replayed", "the serial was accepted before",                              \
		"issue a new credential; look for a sender that repeats captured bytes")          \
	X(4, STALE, "stale", "the serial is behind the replay window",                            \
		"issue anew; if it happens often the window is too small or a sender far behind") \
	X(5, EXPIRED, "expired", "its time to live is over",                                      \
		"issue anew; check the sender's clock")                                           \
	X(6, NOT_YET_VALID, "not-yet-valid", "issued in the gateway's future",                    \
		"check the clocks of sender and gateway")                                         \
	X(7, BAD_TAG, "bad-tag", "the tag does not match: forged, damaged or another key",        \
		"compare the sender's key file with the registry")                                \
	X(8, UNKNOWN_REALM, "unknown-realm", "no such realm here",                                \
		"check the realm in the sender's key file and the gateway's configuration")       \
	X(9, UNKNOWN_NODE, "unknown-node", "no such node in the realm",                           \
		"register it: credgate node add")                                                 \
	X(10, REVOKED, "revoked", "the node was thrown out",                                      \
		"give the node a new key if it is trusted again: credgate node add")              \
	X(11, UNKNOWN_EPOCH, "unknown-epoch", "no such key, or outside its validity",             \
		"export the node's current key: credgate node key")                               \
	X(12, WRONG_ORIGIN, "wrong-origin",                                                       \
		"came from, or claims, an address that is not the node's",                        \
		"check NAT and relays, the node's prefixes, the realm's origin mode")             \
	X(13, WRONG_AUDIENCE, "wrong-audience", "meant for a service that is not here",           \
		"check the audience the sender uses against the realm's list")                    \
	X(14, FORBIDDEN, "forbidden",                                                             \
		"a rule denies it, or its node is suspended or not on the whitelist",             \
		"ask which rule decides: credgate policy explain")                                \
	X(15, OVER_RATE, "over-rate",                                                             \
		"its node, or all nodes that share a limit, are over their rate",                 \
		"send the same bytes again after retry_ms; see credgate limits")                  \
	X(16, MALFORMED, "malformed", "not a credential", "see docs/wire-format.md")              \
	X(17, UNSUPPORTED, "unsupported",                                                         \
		"a suite, kind, flag or form this gateway does not take",                         \
		"compare versions of sender and gateway")                                         \
	X(18, BUSY, "busy", "no room just now; nothing was recorded",                             \
		"send the same bytes again after retry_ms")                                       \
	X(19, FLOOR, "floor", "issued before a restart whose memory is not proven",               \
		"issue anew, at or above the floor told")                                         \
	X(20, UNAUTHORIZED, "unauthorized",                                                       \
		"restricted to another uid or gid, or no consumer group may read it",             \
		"check the restriction and the gateway's groups")                                 \
	X(21, STORE_FULL, "store-full",                                                           \
		"the store of seen credentials is full; reserved, not produced by this release",  \
		"send again later; enlarge the store")

enum verdict {
#define VERDICT_ENUM(number, NAME, text, meaning, cure) VERDICT_##NAME = (number),
	VERDICT_TABLE(VERDICT_ENUM)
#undef VERDICT_ENUM
	VERDICT_COUNT
};

/* Room for verdicts to come, in counters that live in shared memory. */
#define VERDICT_COUNTERS 32

/* One verdict, the first that applies, in this order. */
/* clang-format off */
#define VERDICT_PRECEDENCE(X)                                                                      \
	X(MALFORMED) X(UNSUPPORTED) X(UNKNOWN_REALM) X(UNKNOWN_NODE) X(REVOKED) X(UNKNOWN_EPOCH)   \
	X(BAD_TAG) X(WRONG_ORIGIN) X(WRONG_AUDIENCE) X(NOT_YET_VALID) X(EXPIRED) X(FLOOR) X(STALE) \
	X(DUPLICATE) X(REPLAYED) X(FORBIDDEN) X(UNAUTHORIZED) X(STORE_FULL) X(BUSY) X(OVER_RATE)   \
	X(ACCEPTED)
/* clang-format on */

/* "accepted", ...; "unknown" for a number that is none. Any thread; never NULL. */
const char *verdict_text(unsigned verdict);
const char *verdict_meaning(unsigned verdict);
const char *verdict_cure(unsigned verdict);

/* The number of a text, or -1. */
int verdict_find(const char *text);

/* The first of a set (bit n: verdict n applies) by precedence; VERDICT_NONE for an empty set. */
enum verdict verdict_first(uint32_t set);

/* CLI exit code: 0 for ACCEPTED and DUPLICATE, 32 + number otherwise. */
static inline int
verdict_exit_code(unsigned verdict)
{
	return verdict == VERDICT_ACCEPTED || verdict == VERDICT_DUPLICATE ? 0 : 32 + (int)verdict;
}
