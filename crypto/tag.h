/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Tag kernels: AES-CMAC (RFC 4493; AES-256: NIST SP 800-38B) and the sealed suites' AES-CTR (NIST
 * SP 800-38A) over batches of messages under different keys.
 *
 * A kernel is a file with the same functions (tag_ipsecmb.c, tag_aesni.c, tag_vaes512.c). An engine
 * is one thread's instance of a kernel with its scratch; it is made at start and used by that
 * thread only. Nothing here branches, indexes or exits early on keys, tags or plaintext; sizes,
 * suites and counts are public.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/slot.h"

#define TAG_BATCH_MAX 64u

/* The first sealed block: uid, gid, auth_uid, auth_gid, 4 bytes each, as on the wire. */
struct tag_identity {
	uint8_t bytes[16];
};

struct tag_engine;

enum tag_kernel_id {
	TAG_KERNEL_AUTO = 0, /* fastest supported one by a short self-measurement */
	TAG_KERNEL_IPSECMB = 1,
	TAG_KERNEL_AESNI = 2,
	TAG_KERNEL_VAES512 = 3,
	TAG_KERNEL_COUNT
};

/* "ipsecmb", "aesni", "vaes512", "auto"; NULL for another id. */
const char *tag_kernel_name(enum tag_kernel_id id);

/* The id of a name, or -1. */
int tag_kernel_find(const char *name);

/* Can this CPU (and this build) run it? IPsec-MB counts only where AES-NI is there. */
bool tag_kernel_is_supported(enum tag_kernel_id id);

/*
 * Picks a kernel: `wanted` itself, or for TAG_KERNEL_AUTO the fastest by a self-measurement of a
 * few milliseconds. Runs known-answer tests (RFC 4493, SP 800-38A/B vectors) on every supported
 * kernel and cross-checks them on random batches of all suites and mixed lengths. Returns the
 * kernel's id, -ENOTSUP if the CPU cannot run `wanted` (or has no AES-NI at all), or -EILSEQ if
 * any supported kernel gives a wrong answer: the caller must then refuse to run. `why` gets one
 * line of text for the operator in every case.
 */
int tag_kernel_choose(enum tag_kernel_id wanted, char *why, size_t why_size);

/* An engine of kernel `id` (not AUTO) for one thread; NULL with errno ENOTSUP or ENOMEM. */
struct tag_engine *tag_engine_create(enum tag_kernel_id id);
void tag_engine_destroy(struct tag_engine *engine);
const char *tag_engine_name(const struct tag_engine *engine);

/*
 * Verifies `count` (0 ... TAG_BATCH_MAX) native credentials: message i is sizes[i] bytes (80 ...
 * 1,216) at msgs[i], its tag the 16 bytes after them, its key slots[i] with slots[i]->suite. Suites
 * and sizes may be mixed. Returns the bitmap of the proved ones, bit i for input i.
 *
 * ids[i] gets the plaintext of bytes [64, 80) for a proved credential (of a sealed suite:
 * decrypted; else copied) and zeroes for the others; it is formed under the tag's mask. Reads up to
 * msgs[i] + sizes[i] + 16, never beyond. Engine's thread only.
 */
__attribute__((warn_unused_result)) uint64_t tag_batch_verify(struct tag_engine *engine,
	const struct key_slot *const *slots, const uint8_t *const *msgs, const uint16_t *sizes,
	struct tag_identity *ids, unsigned count);

/*
 * Seals (suites 3 and 4) and tags in place: msgs[i] holds sizes[i] bytes in clear, then room for
 * the tag. The inverse of verify and unseal. Engine's thread only.
 */
void tag_batch_seal(struct tag_engine *engine, const struct key_slot *const *slots,
	uint8_t *const *msgs, const uint16_t *sizes, unsigned count);

/*
 * Unseals payloads: for each i, the payload_sizes[i] bytes at srcs[i], sealed as the payload of the
 * credential with serials[i] and salts[i] (4 bytes as on the wire, as memory order), go to dsts[i]
 * in clear (counter blocks from number 1). Unsealed suites: copied. dsts[i] may equal srcs[i]. MUST
 * be called for proved credentials only. Engine's thread only.
 */
void tag_batch_unseal(struct tag_engine *engine, const struct key_slot *const *slots,
	const uint64_t *serials, const uint32_t *salts, const uint8_t *const *srcs,
	uint8_t *const *dsts, const uint16_t *payload_sizes, unsigned count);

/* AES-CMAC subkey K1 of a 16- or 32-byte key. Constant-time, any thread, not fast. */
void tag_subkey(uint8_t k1[16], const uint8_t *key, unsigned key_size);
