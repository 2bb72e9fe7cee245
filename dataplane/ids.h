/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* Proved ids on their way from a tag kernel into a record, in one register. */

#include <smmintrin.h>

#include "crypto/crypto.h"

/* Ids as they were sealed, to host byte order: uid, gid; auth_uid, auth_gid. */
static inline __m128i
ids_load(const struct tag_identity *id)
{
	return _mm_shuffle_epi8(_mm_loadu_si128((const void *)id->bytes),
		_mm_setr_epi8(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
}
