/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The member table: what a reader copies is of one moment, whatever the writer does meanwhile, and
 * whoever reads events too slowly is told. Writer and readers of the storm are processes.
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

#include "verdict/members.h"

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

/* ---- a storm: one writer, readers that are other processes ---- */

#define READERS 2u
#define STORM   400000u

/* Until the writer says that it is done. Exit code 0: everything was whole and in order. */
static int
reader_run(const struct members_header *header, const _Atomic int *is_done)
{
	struct members_view view;
	uint64_t position = 0, seen[ENTRIES] = {0}, copies = 0;
	struct members_entry entry;
	struct members_event event;
	int rc;

	if (members_view_init(&view, header, members_size(ENTRIES)) != 0)
		return 1;
	while (!atomic_load(is_done) || copies == 0) {
		for (uint32_t i = 0; i < 4; i++) {
			if (!members_entry_read(&view, i, &entry) || entry.since_us == 0)
				continue;
			if (!entry_is_whole(&entry))
				return 2;
			if (entry.since_us < seen[i])
				return 3;
			seen[i] = entry.since_us;
			copies++;
		}
		while ((rc = members_event_read(&view, &position, &event)) == 1)
			if (event.time_us != position - 1 || event.node != (uint32_t)event.time_us)
				return 4;
		if (rc != 0 && rc != -EOVERFLOW)
			return 5;
	}
	return 0;
}

static void
storm_write(struct members_header *header)
{
	struct members_entry entry;
	uint64_t position = 0;

	for (uint64_t n = 1; n <= STORM; n++) {
		entry_make(&entry, n);
		members_entry_write(header, n & 3, &entry);
		event_put(header, &position);
		if ((n & 15) == 0)
			members_publish(header, position);
	}
	members_publish(header, position);
}

static void
a_storm_tears_nothing(void **state)
{
	struct members_header *header = table_make();
	_Atomic int *is_done =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t readers[READERS];
	int status;

	(void)state;
	assert_true(is_done != MAP_FAILED);
	for (unsigned i = 0; i < READERS; i++) {
		readers[i] = fork();
		assert_true(readers[i] >= 0);
		if (readers[i] == 0)
			_exit(reader_run(header, is_done));
	}
	storm_write(header);
	atomic_store(is_done, 1);
	for (unsigned i = 0; i < READERS; i++) {
		assert_int_equal(waitpid(readers[i], &status, 0), readers[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	munmap((void *)(uintptr_t)is_done, 4096);
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
		cmocka_unit_test(a_storm_tears_nothing),
		cmocka_unit_test(states_have_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
