/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CREDGATE_VERDICT_H
#define CREDGATE_VERDICT_H

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers are fixed for ever (docs/verdicts.md); new ones may join at the end. */
enum cg_verdict {
	CG_NONE = 0,
	CG_ACCEPTED = 1,
	CG_DUPLICATE = 2,
	CG_REPLAYED = 3,
	CG_STALE = 4,
	CG_EXPIRED = 5,
	CG_NOT_YET_VALID = 6,
	CG_BAD_TAG = 7,
	CG_UNKNOWN_REALM = 8,
	CG_UNKNOWN_NODE = 9,
	CG_REVOKED = 10,
	CG_UNKNOWN_EPOCH = 11,
	CG_WRONG_ORIGIN = 12,
	CG_WRONG_AUDIENCE = 13,
	CG_FORBIDDEN = 14,
	CG_OVER_RATE = 15,
	CG_MALFORMED = 16,
	CG_UNSUPPORTED = 17,
	CG_BUSY = 18,
	CG_FLOOR = 19,
	CG_UNAUTHORIZED = 20,
	CG_STORE_FULL = 21
};

/* "accepted", "bad-tag", ...; "unknown" for a number this library does not know. */
const char *cg_verdict_text(unsigned verdict);

/* One line about the last failure of a libcredgate call in this thread. */
const char *cg_error(void);

#ifdef __cplusplus
}
#endif

#endif
