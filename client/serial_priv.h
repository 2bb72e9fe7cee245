/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * The serial state of a node key: KEYFILE.serial, one page, mapped MAP_SHARED by everyone who
 * issues with the key. A serial is incarnation << 32 | counter. A new file begins at the clock: the
 * second is the incarnation, the part of it that is over, in 2^-31 s, is the counter. Nobody draws
 * 2^31 serials per second, so a file that is removed and made again, even twice in one second, goes
 * on above what was used: nothing repeats and nothing falls behind the gateway's window.
 *
 * Protocol. Everybody reads and writes; every word is stored whole and only ever grows (boot_id and
 * limit apart), so a process may be killed between any two stores.
 *
 * - Serials are drawn by fetch-and-add on `next`. They may be used only if the high half of the
 *   last one is the incarnation in `current`; else they are thrown away and drawn again. And only
 *   below `limit`: whoever drew past it first raises it, by SERIAL_STEP at most.
 * - Opening raises `next` to `limit`, and so is above every serial that was used even if `next` was
 *   damaged; if it was `limit`, `next` is. A high half that cannot be is refused. So damage to one
 *   word never repeats a serial. What that skips are less than SERIAL_STEP serials, and none after
 *   a close, which lowers `limit` to `next` and, where a serial was drawn meanwhile, raises it
 *   again. (Killed between these two it leaves `limit` too low: harmless while `next` is whole.)
 * - A new incarnation v is taken in four steps: durable = v; the page on disk (msync, fsync); next
 *   raised to v << 32; current = v. Whoever finds durable > current finishes the steps for the one
 *   who began them, with an fsync of its own: no lock, nobody waits for a process that was killed,
 *   and nobody can use a serial whose incarnation the disk may forget.
 * - That is done when the counter carries into the high half, when a gateway tells a floor, and on
 *   opening, under flock, when the kernel's boot_id is not the one in the file: after a power loss
 *   the disk may hold an older `next`, but never a `durable` below an incarnation that was used.
 * - The file comes into being complete: written and synced under another name, then linked.
 *
 * The live words share one cache line: whoever draws needs current at once.
 */

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SERIAL_MAGIC           0x4c41495245534743ull /* "CGSERIAL" as bytes */
#define SERIAL_VERSION         1u
#define SERIAL_FILE_SIZE       4096u
#define SERIAL_INCARNATION_MAX 0xfffffffeu /* CRED_SERIAL_MAX >> 32 */
#define SERIAL_TAKE_MAX        (1u << 20)  /* serials in one step: the largest replay window */
#define SERIAL_STEP            32u         /* half the smallest replay window */
#define SERIAL_SUFFIX          ".serial"
#define SERIAL_BOOT_ID_PATH    "/proc/sys/kernel/random/boot_id"

#define SERIAL_CURE                                                                              \
	"if this machine's clock is right, stop what uses the key and remove the file: serials " \
	"then go on from the clock"

/* Host byte order. "guarded": an incarnation << 32 | its complement, so that damage shows. */
struct serial_state {
	uint64_t magic;
	uint32_t version;
	uint32_t size; /* of the file */
	_Atomic uint64_t boot_id[2];
	_Atomic uint64_t durable; /* guarded; on disk before current may follow */
	_Atomic uint64_t current; /* guarded; the incarnation whose serials may be used */
	_Atomic uint64_t next;    /* the next serial */
	_Atomic uint64_t limit;   /* above every serial that was used */
	_Atomic uint64_t syncs;   /* +1 before each fsync: also makes the page dirty again */
};
static_assert(sizeof(struct serial_state) == 72, "docs/client.md");
static_assert(offsetof(struct serial_state, version) == 8, "docs/client.md");
static_assert(offsetof(struct serial_state, size) == 12, "docs/client.md");
static_assert(offsetof(struct serial_state, boot_id) == 16, "docs/client.md");
static_assert(offsetof(struct serial_state, durable) == 32, "docs/client.md");
static_assert(offsetof(struct serial_state, current) == 40, "docs/client.md");
static_assert(offsetof(struct serial_state, next) == 48, "docs/client.md");
static_assert(offsetof(struct serial_state, limit) == 56, "docs/client.md");
static_assert(offsetof(struct serial_state, syncs) == 64, "docs/client.md");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "a lock would live in one process only");

struct serial_file {
	int fd;
	struct serial_state *state;
};

static inline uint64_t
serial_guard(uint32_t incarnation)
{
	return (uint64_t)incarnation << 32 | (uint32_t)~incarnation;
}

static inline uint32_t
serial_incarnation(uint64_t guarded)
{
	return (uint32_t)(guarded >> 32);
}

/* Seconds of the real-time clock as an incarnation; a clock before 1970 counts as 1. */
uint32_t serial_clock_incarnation(void);

/* Where the serials of a new file begin: the clock, finer. */
uint64_t serial_clock_first(void);

/* What follows incarnation `last`: the clock, unless it stands still or was set back. */
uint64_t serial_incarnation_after(uint32_t last);

/* On opening: later serials are above all that were used, whatever became of `next`. */
void serial_resume(struct serial_state *state);

/* On closing: `limit` follows `next`, so that the next opening skips nothing. */
void serial_rest(struct serial_state *state);

/* Takes an incarnation of at least `least`, durably. 0, or a negative errno. */
int serial_advance(struct serial_file *file, uint64_t least);

/*
 * Opens `path`, or makes it, owned by `uid` and `gid`, mode 0600. Takes a new incarnation if the
 * boot id in the file at `boot_id_path` is another one. 0, or a negative errno with cg_error set:
 * -EACCES and -EROFS (not writable), -EBADMSG (damaged), -EPERM (others may touch it), ...
 */
int serial_open(
	struct serial_file *file, const char *path, uid_t uid, gid_t gid, const char *boot_id_path);
void serial_close(struct serial_file *file);

/*
 * Draws `count` (1 ... SERIAL_TAKE_MAX) serials in a row that nobody else has or will have. Any
 * thread, any process. 0, or a negative errno with cg_error set.
 */
int serial_take(struct serial_file *file, uint32_t count, uint64_t *first);

/* Later serials are at least `floor`, in every process. 0, or a negative errno. */
int serial_raise(struct serial_file *file, uint64_t floor);
