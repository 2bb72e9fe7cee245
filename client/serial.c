/* SPDX-License-Identifier: BSD-3-Clause */

#include "client/serial_priv.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "client/error_priv.h"
#include "wire/cred.h"

static_assert(CRED_SERIAL_MAX >> 32 == SERIAL_INCARNATION_MAX, "docs/wire-format.md, serial");

/* Every round but the first follows another's new incarnation; so many at once are damage. */
#define TAKE_ROUNDS_MAX 1000u

static uint32_t
incarnation_at(time_t second)
{
	if (second < 1)
		return 1;
	return second > (time_t)SERIAL_INCARNATION_MAX ? SERIAL_INCARNATION_MAX : (uint32_t)second;
}

uint32_t
serial_clock_incarnation(void)
{
	return incarnation_at(time(NULL));
}

uint64_t
serial_clock_first(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)incarnation_at(now.tv_sec) << 32 |
	       ((uint64_t)now.tv_nsec << 31) / 1000000000;
}

static void
raise_to(_Atomic uint64_t *word, uint64_t least)
{
	uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);

	while (seen < least && !atomic_compare_exchange_weak(word, &seen, least))
		;
}

/*
 * The page as it is now goes to disk. After a failed write the kernel holds a page for clean that
 * is not on disk; the counter makes it dirty again, so that a later success means what it says.
 */
static int
persist(struct serial_file *file)
{
	atomic_fetch_add(&file->state->syncs, 1);
	if (msync(file->state, SERIAL_FILE_SIZE, MS_SYNC) != 0 || fsync(file->fd) != 0)
		return client_fail(errno, "serial state cannot be made durable: %m");
	return 0;
}

void
serial_resume(struct serial_state *state)
{
	raise_to(&state->next, atomic_load(&state->limit));
}

/*
 * Implementation notes. Who draws adds to `next` and then looks at `limit`; here it is the other way
 * round. In the one order of all these (sequentially consistent) steps either they see the lowered
 * limit and raise it, or we see that `next` has moved.
 */
void
serial_rest(struct serial_state *state)
{
	uint64_t limit = atomic_load(&state->limit);
	uint64_t next = atomic_load(&state->next);

	if (limit <= next || !atomic_compare_exchange_strong(&state->limit, &limit, next))
		return;
	if (atomic_load(&state->next) != next)
		raise_to(&state->limit, limit);
}

int
serial_advance(struct serial_file *file, uint64_t least)
{
	struct serial_state *state = file->state;
	uint32_t incarnation;
	int rc;

	if (least > SERIAL_INCARNATION_MAX)
		return client_fail(
			EOVERFLOW, "the serials of this key are used up: give the node a new id");
	raise_to(&state->durable, serial_guard((uint32_t)least));
	incarnation = serial_incarnation(atomic_load(&state->durable));
	rc = persist(file);
	if (rc != 0)
		return rc;
	raise_to(&state->next, (uint64_t)incarnation << 32);
	raise_to(&state->current, serial_guard(incarnation));
	return 0;
}

uint64_t
serial_incarnation_after(uint32_t last)
{
	uint32_t now = serial_clock_incarnation();

	return now > last ? now : (uint64_t)last + 1;
}

/* Serials up to `last` were drawn and the last is past the incarnation in force. */
static int
carry(struct serial_file *file, uint64_t last)
{
	uint32_t current = serial_incarnation(atomic_load(&file->state->current));

	if (current >= last >> 32)
		return 0;
	return serial_advance(file, serial_incarnation_after(current));
}

/* Makes `last` and what is below it fit for use. */
static void
limit_keep(struct serial_state *state, uint64_t last)
{
	if (last >= atomic_load(&state->limit))
		raise_to(&state->limit, (last | (SERIAL_STEP - 1)) + 1);
}

int
serial_take(struct serial_file *file, uint32_t count, uint64_t *first)
{
	struct serial_state *state = file->state;
	unsigned round;
	int rc;

	for (round = 0; round < TAKE_ROUNDS_MAX; round++) {
		uint64_t drawn = atomic_fetch_add(&state->next, count);
		uint64_t last = drawn + count - 1;
		uint32_t current = serial_incarnation(atomic_load(&state->current));

		if (last >> 32 == current) {
			limit_keep(state, last);
			*first = drawn;
			return 0;
		}
		rc = carry(file, last);
		if (rc != 0)
			return rc;
	}
	return client_fail(
		EBADMSG, "serial state is damaged: its words contradict each other; " SERIAL_CURE);
}

int
serial_raise(struct serial_file *file, uint64_t floor)
{
	struct serial_state *state = file->state;
	int rc;

	if (floor > CRED_SERIAL_MAX)
		return client_fail(
			EINVAL, "no serial is as large as floor %llu", (unsigned long long)floor);
	if (serial_incarnation(atomic_load(&state->current)) < floor >> 32) {
		rc = serial_advance(file, floor >> 32);
		if (rc != 0)
			return rc;
	}
	raise_to(&state->next, floor);
	return 0;
}
