/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The member table: what a reader copies is of one moment, whatever the writer does meanwhile, and
 * whoever reads events too slowly is told. members.c is compiled in here with a hook that writes
 * between any two loads of a copy; writer and readers of the storm are processes.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void load_step(void);
#define MEMBERS_LOAD_STEP() load_step()
#include "verdict/members.c"

#define ENTRIES 64u

static struct members_header *
table_make(void)
{
	struct members_header *header = mmap(NULL, members_size(ENTRIES), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(header != MAP_FAILED);
	members_format(header, ENTRIES, 1);
	return header;
}

static void
table_drop(struct members_header *header)
{
	munmap(header, members_size(ENTRIES));
}

static struct members_view
view_make(const struct members_header *header)
{
	struct members_view view;

	assert_int_equal(members_view_init(&view, header, members_size(ENTRIES)), 0);
	return view;
}

/* Every part of it follows from `n`. */
static void
entry_make(struct members_entry *entry, uint64_t n)
{
	*entry = (struct members_entry){
		.realm = (uint32_t)n,
		.node = (uint32_t)n,
		.incarnation = (uint32_t)n,
		.last_seen_us = n,
		.since_us = n,
		.interval_s = (uint16_t)n,
		.state = MEMBERS_UP,
	};
	memset(entry->v6, (int)n, sizeof(entry->v6));
	memset(entry->v4, (int)n, sizeof(entry->v4));
	memset(entry->name, 'a' + (int)(n % 26), sizeof(entry->name) - 1);
}

static bool
entry_is_whole(const struct members_entry *entry)
{
	struct members_entry wanted;

	entry_make(&wanted, entry->since_us);
	return memcmp((const char *)&wanted + 4, (const char *)entry + 4, sizeof(wanted) - 4) == 0;
}

/* ---- one process ---- */

static void
what_is_written_is_read(void **state)
{
	struct members_header *header = table_make();
	struct members_view view = view_make(header);
	struct members_entry entry, read;

	(void)state;
	for (uint32_t i = 0; i < ENTRIES; i++) {
		entry_make(&entry, 1000 + i);
		members_entry_write(header, i, &entry);
	}
	for (uint32_t i = 0; i < ENTRIES; i++) {
		assert_true(members_entry_read(&view, i, &read));
		assert_int_equal(read.since_us, 1000 + i);
		assert_true(entry_is_whole(&read));
	}
	table_drop(header);
}

static void
a_name_ends(void **state)
{
	struct members_header *header = table_make();
	struct members_view view = view_make(header);
	struct members_entry entry = {0};

	(void)state;
	memset(entry.name, 'x', sizeof(entry.name));
	members_entry_write(header, 1, &entry);
	assert_true(members_entry_read(&view, 1, &entry));
	assert_int_equal(strlen(entry.name), sizeof(entry.name) - 1);
	table_drop(header);
}

/* A writer that was killed in the middle leaves an odd sequence: not read, and not for ever. */
static void
half_an_entry_is_not_read(void **state)
{
	struct members_header *header = table_make();
	struct members_view view = view_make(header);
	struct members_entry entry;
	_Atomic uint32_t *sequence =
		&((struct members_entry *)((char *)header + MEMBERS_ENTRIES_OFFSET))[3].sequence;

	(void)state;
	entry_make(&entry, 7);
	members_entry_write(header, 3, &entry);
	(*sequence)++;
	assert_false(members_entry_read(&view, 3, &entry));
	assert_true(members_entry_read(&view, 4, &entry));
	table_drop(header);
}

#define REFUSED(name, change)                                                               \
	static void name(void **state)                                                      \
	{                                                                                   \
		struct members_header *header = table_make();                               \
		struct members_view view;                                                   \
                                                                                            \
		(void)state;                                                                \
		assert_int_equal(members_check(header, members_size(ENTRIES)), 0);          \
		change;                                                                     \
		assert_int_equal(                                                           \
			members_view_init(&view, header, members_size(ENTRIES)), -EBADMSG); \
		table_drop(header);                                                         \
	}

REFUSED(other_magic_refused, header->magic++)
REFUSED(other_version_refused, header->version++)
REFUSED(other_size_refused, header->size += 128)
REFUSED(more_entries_refused, header->entry_count++)
REFUSED(fewer_entries_refused, header->entry_count--)
REFUSED(other_ring_refused, header->event_count *= 2)
REFUSED(ring_elsewhere_refused, header->events_offset += 64)
REFUSED(too_many_realms_refused, header->realm_count = MEMBERS_REALMS_MAX + 1)

static void
short_mapping_refused(void **state)
{
	struct members_header *header = table_make();

	(void)state;
	assert_int_equal(members_check(header, members_size(ENTRIES) - 1), -EBADMSG);
	assert_int_equal(members_check(header, 64), -EBADMSG);
	table_drop(header);
}

/* ---- events ---- */

static void
event_put(struct members_header *header, uint64_t *position)
{
	const struct members_event event = {
		.time_us = *position,
		.realm = 7,
		.node = (uint32_t)*position,
		.old_state = MEMBERS_UP,
		.state = MEMBERS_LATE,
		.changed = MEMBERS_CHANGED_STATE,
	};

	members_event_write(header, position, &event);
}

static void
events_come_in_order(void **state)
{
	struct members_header *header = table_make();
	struct members_view view = view_make(header);
	uint64_t written = 0, read = 0;
	struct members_event event;

	(void)state;
	assert_int_equal(members_event_read(&view, &read, &event), 0);
	/* Three laps; never more behind than the ring holds. */
	while (written < 3 * MEMBERS_EVENTS) {
		for (unsigned i = 0; i < MEMBERS_EVENTS / 2; i++)
			event_put(header, &written);
		assert_int_equal(members_event_read(&view, &read, &event), 0);
		members_publish(header, written);
		while (members_event_read(&view, &read, &event) == 1) {
			assert_int_equal(event.time_us, read - 1);
			assert_int_equal(event.node, read - 1);
			assert_int_equal(event.state, MEMBERS_LATE);
		}
		assert_int_equal(read, written);
	}
	table_drop(header);
}

static void
a_full_ring_is_still_read(void **state)
{
	struct members_header *header = table_make();
	struct members_view view = view_make(header);
	uint64_t written = 0, read = 0;
	struct members_event event;

	(void)state;
	for (unsigned i = 0; i < MEMBERS_EVENTS; i++)
		event_put(header, &written);
	members_publish(header, written);
	for (unsigned i = 0; i < MEMBERS_EVENTS; i++)
		assert_int_equal(members_event_read(&view, &read, &event), 1);
	assert_int_equal(members_event_read(&view, &read, &event), 0);
	table_drop(header);
}

/* One more than the ring holds: told, and then on from the head. */
static void
an_overrun_is_told(void **state)
{
	struct members_header *header = table_make();
	struct members_view view = view_make(header);
	uint64_t written = 0, read = 0;
	struct members_event event;

	(void)state;
	for (unsigned i = 0; i <= MEMBERS_EVENTS; i++)
		event_put(header, &written);
	members_publish(header, written);
	assert_int_equal(members_event_read(&view, &read, &event), -EOVERFLOW);
	assert_int_equal(read, written);
	assert_int_equal(members_event_read(&view, &read, &event), 0);
	event_put(header, &written);
	members_publish(header, written);
	assert_int_equal(members_event_read(&view, &read, &event), 1);
	assert_int_equal(event.node, MEMBERS_EVENTS + 1);
	table_drop(header);
}

/* Written over, though head does not say so yet: the stamp tells. */
static void
an_overrun_before_its_head_is_told(void **state)
{
	struct members_header *header = table_make();
	struct members_view view = view_make(header);
	uint64_t written = 0, read = 0;
	struct members_event event;

	(void)state;
	for (unsigned i = 0; i < MEMBERS_EVENTS; i++)
		event_put(header, &written);
	members_publish(header, written);
	event_put(header, &written);
	assert_int_equal(members_event_read(&view, &read, &event), -EOVERFLOW);
	table_drop(header);
}

/* ---- a writer between any two loads of a copy ---- */

static struct {
	struct members_header *header;
	uint64_t *position; /* events are written instead of entry 0 */
	unsigned at;        /* loads until it writes; 0: it does not */
	unsigned writes;
	uint64_t n;
} between;

static void
load_step(void)
{
	struct members_entry entry;

	if (between.at == 0 || --between.at != 0)
		return;
	between.writes++;
	if (between.position != NULL) {
		event_put(between.header, between.position);
		return;
	}
	entry_make(&entry, ++between.n);
	members_entry_write(between.header, 0, &entry);
}

static void
between_begin(struct members_header *header, uint64_t *position, unsigned at)
{
	between.header = header;
	between.position = position;
	between.at = at;
	between.writes = 0;
}

/* Whatever word the writer comes before, the copy is of one moment: the second. */
static void
a_write_within_a_copy_is_seen(void **state)
{
	struct members_header *header = table_make();
	struct members_view view = view_make(header);
	struct members_entry entry;

	(void)state;
	entry_make(&entry, between.n = 1000);
	members_entry_write(header, 0, &entry);
	for (unsigned at = 1; at <= ENTRY_WORDS; at++) {
		between_begin(header, NULL, at);
		assert_true(members_entry_read(&view, 0, &entry));
		assert_int_equal(between.writes, 1);
		assert_true(entry_is_whole(&entry));
		assert_int_equal(entry.since_us, between.n);
	}
	table_drop(header);
}

/* The oldest event is written over while it is copied: lost, and told. */
static void
an_event_written_over_in_a_copy_is_told(void **state)
{
	struct members_header *header = table_make();
	struct members_view view = view_make(header);
	uint64_t written = 0, read;
	struct members_event event;

	(void)state;
	for (unsigned i = 0; i < MEMBERS_EVENTS; i++)
		event_put(header, &written);
	members_publish(header, written);
	for (unsigned at = 1; at <= EVENT_WORDS; at++) {
		read = written - MEMBERS_EVENTS;
		between_begin(header, &written, at);
		assert_int_equal(members_event_read(&view, &read, &event), -EOVERFLOW);
		assert_int_equal(between.writes, 1);
		members_publish(header, written);
	}
	table_drop(header);
}

/* ---- a storm: one writer, readers that are other processes ---- */

#define READERS      2u
#define COPIES       300000u /* of each reader */
#define STORM_MAX    400000000u
#define HOT          2u    /* entries that are written all the time */
#define PUBLISH_EACH 4096u /* a quarter of the ring: a reader that sleeps is lapped */

struct storm {
	_Atomic uint32_t copies[READERS]; /* so far; the writer goes on until all have enough */
	_Atomic uint32_t is_done;
};

static bool
entries_are_whole(const struct members_view *view, uint64_t seen[HOT], _Atomic uint32_t *copies)
{
	struct members_entry entry;

	for (uint32_t i = 0; i < HOT; i++) {
		if (!members_entry_read(view, i, &entry) || entry.since_us == 0)
			continue;
		if (!entry_is_whole(&entry) || entry.since_us < seen[i])
			return false;
		seen[i] = entry.since_us;
		atomic_fetch_add_explicit(copies, 1, memory_order_relaxed);
	}
	return true;
}

static bool
event_is_whole(const struct members_event *event, uint64_t position)
{
	return event->time_us == position && event->node == (uint32_t)position;
}

static bool
events_are_whole(const struct members_view *view, uint64_t *position)
{
	struct members_event event;
	int rc;

	while ((rc = members_event_read(view, position, &event)) == 1)
		if (!event_is_whole(&event, *position - 1))
			return false;
	return rc == 0 || rc == -EOVERFLOW;
}

/* Until the writer says that it is done. Exit code 0: everything was whole and in order. */
static int
reader_run(const struct members_header *header, struct storm *storm, unsigned which)
{
	uint64_t position = 0, seen[HOT] = {0};
	struct members_view view;

	if (members_view_init(&view, header, members_size(ENTRIES)) != 0)
		return 1;
	while (!storm->is_done) {
		if (!entries_are_whole(&view, seen, &storm->copies[which]))
			return 2;
		if (!events_are_whole(&view, &position))
			return 3;
	}
	return 0;
}

static bool
has_enough(const struct storm *storm)
{
	for (unsigned i = 0; i < READERS; i++)
		if (storm->copies[i] < COPIES)
			return false;
	return true;
}

static bool
child_has_ended(void)
{
	siginfo_t info = {.si_pid = 0};

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0;
}

/* Also ends if a reader has ended: its exit code tells. */
static void
storm_write(struct members_header *header, struct storm *storm)
{
	struct members_entry entry;
	uint64_t position = 0;

	for (uint64_t n = 1; n < STORM_MAX; n++) {
		entry_make(&entry, n);
		members_entry_write(header, n % HOT, &entry);
		event_put(header, &position);
		if (n % PUBLISH_EACH != 0)
			continue;
		members_publish(header, position);
		if (has_enough(storm) || child_has_ended())
			break;
	}
	storm->is_done = 1;
}

static void
a_storm_tears_nothing(void **state)
{
	struct members_header *header = table_make();
	struct storm *storm = mmap(
		NULL, sizeof(*storm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t readers[READERS];
	int status;

	(void)state;
	assert_true(storm != MAP_FAILED);
	for (unsigned i = 0; i < READERS; i++) {
		readers[i] = fork();
		assert_true(readers[i] >= 0);
		if (readers[i] == 0)
			_exit(reader_run(header, storm, i));
	}
	storm_write(header, storm);
	for (unsigned i = 0; i < READERS; i++) {
		assert_int_equal(waitpid(readers[i], &status, 0), readers[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	munmap(storm, sizeof(*storm));
	table_drop(header);
}

static void
states_have_texts(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MEMBERS_STATES; i++)
		assert_true(strlen(members_state_text(i)) >= 2);
	assert_string_equal(members_state_text(MEMBERS_UP), "up");
	assert_string_equal(members_state_text(MEMBERS_STATES), "unknown-state");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_name_ends),
		cmocka_unit_test(half_an_entry_is_not_read),
		cmocka_unit_test(other_magic_refused),
		cmocka_unit_test(other_version_refused),
		cmocka_unit_test(other_size_refused),
		cmocka_unit_test(more_entries_refused),
		cmocka_unit_test(fewer_entries_refused),
		cmocka_unit_test(other_ring_refused),
		cmocka_unit_test(ring_elsewhere_refused),
		cmocka_unit_test(too_many_realms_refused),
		cmocka_unit_test(short_mapping_refused),
		cmocka_unit_test(events_come_in_order),
		cmocka_unit_test(a_full_ring_is_still_read),
		cmocka_unit_test(an_overrun_is_told),
		cmocka_unit_test(an_overrun_before_its_head_is_told),
		cmocka_unit_test(a_write_within_a_copy_is_seen),
		cmocka_unit_test(an_event_written_over_in_a_copy_is_told),
		cmocka_unit_test(a_storm_tears_nothing),
		cmocka_unit_test(states_have_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
