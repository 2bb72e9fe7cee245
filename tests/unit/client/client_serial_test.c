/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * The serial state alone: its layout, new incarnations, carry, floors, and that what is damaged or
 * cannot be written is refused, or harmless. fsync is wrapped (-Wl,--wrap=fsync) to see what the
 * disk would hold and to make it fail. client_storm_test.c has the crowd.
 */

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include <credgate/verdict.h>

#include "client/serial_priv.h"
#include "fixture.h"

static struct fixture fixture;

/* ---- fsync, seen and broken ---- */

static struct {
	const struct serial_state *watched; /* NULL: nothing */
	uint32_t durable;                   /* as it was when fsync was last called */
	uint32_t current;
	uint64_t next;
	int fail_error;  /* the next fsync fails with it */
	bool is_skipped; /* succeed and do nothing */
	unsigned calls;
} disk;

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int
__wrap_fsync(int fd)
{
	__atomic_add_fetch(&disk.calls, 1, __ATOMIC_RELAXED);
	if (disk.watched != NULL) {
		disk.durable = serial_incarnation(atomic_load(&disk.watched->durable));
		disk.current = serial_incarnation(atomic_load(&disk.watched->current));
		disk.next = atomic_load(&disk.watched->next);
	}
	if (disk.fail_error != 0) {
		errno = disk.fail_error;
		disk.fail_error = 0;
		return -1;
	}
	return disk.is_skipped ? 0 : __real_fsync(fd);
}

/* ---- helpers ---- */

static int
setup(void **state)
{
	(void)state;
	memset(&disk, 0, sizeof(disk));
	fixture_init(&fixture);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	fixture_fini(&fixture);
	return 0;
}

static int
open_state(struct serial_file *file)
{
	return serial_open(file, fixture.serial, geteuid(), getegid(), fixture.boot_id);
}

static void
must_open(struct serial_file *file)
{
	if (open_state(file) != 0)
		fail_msg("%s", cg_error());
}

static uint64_t
must_take(struct serial_file *file, uint32_t count)
{
	uint64_t first;

	if (serial_take(file, count, &first) != 0)
		fail_msg("%s", cg_error());
	return first;
}

/* A state as it might be found: words given, everything else well-formed. */
static void
write_state(uint32_t durable, uint32_t current, uint64_t next, const char *boot_id)
{
	struct serial_file file;

	unlink(fixture.serial);
	fixture_boot(&fixture, boot_id);
	must_open(&file);
	file.state->durable = serial_guard(durable);
	file.state->current = serial_guard(current);
	file.state->next = next;
	file.state->limit = next;
	serial_close(&file);
	fixture_boot(&fixture, FIXTURE_BOOT_1);
}

static void
poke(size_t offset, const void *bytes, size_t size)
{
	int fd = open(fixture.serial, O_WRONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, size, (off_t)offset), size);
	close(fd);
}

static void
peek(uint8_t bytes[SERIAL_FILE_SIZE])
{
	int fd = open(fixture.serial, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(read(fd, bytes, SERIAL_FILE_SIZE), SERIAL_FILE_SIZE);
	close(fd);
}

/* Opening must fail with `error`, say `says`, and leave the file as it is. */
static void
must_refuse(int error, const char *says)
{
	uint8_t before[SERIAL_FILE_SIZE] = {0}, after[SERIAL_FILE_SIZE] = {0};
	struct serial_file file;
	struct stat st;

	assert_int_equal(stat(fixture.serial, &st), 0);
	if (st.st_size == SERIAL_FILE_SIZE)
		peek(before);
	assert_int_equal(open_state(&file), -error);
	if (strstr(cg_error(), says) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", cg_error(), says);
	if (st.st_size == SERIAL_FILE_SIZE) {
		peek(after);
		assert_memory_equal(before, after, sizeof(before));
	}
}

/* ---- making and opening ---- */

static void
test_made_with_layout_and_mode(void **state)
{
	static const uint8_t boot_id[16] = {0x33, 0x33, 0x22, 0x22, 0x11, 0x11, 0x11, 0x11, 0x55,
		0x55, 0x55, 0x55, 0x55, 0x55, 0x44, 0x44};
	uint8_t bytes[SERIAL_FILE_SIZE];
	time_t before = time(NULL);
	struct serial_file file;
	struct stat st;
	uint32_t incarnation, complement, counter;

	(void)state;
	must_open(&file);
	serial_close(&file);
	assert_int_equal(stat(fixture.serial, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(st.st_uid, geteuid());
	assert_int_equal(st.st_size, 4096);
	peek(bytes);
	assert_memory_equal(bytes, "CGSERIAL\x01\x00\x00\x00\x00\x10\x00\x00", 16);
	assert_memory_equal(bytes + 16, boot_id, 16);
	memcpy(&complement, bytes + 32, 4);
	memcpy(&incarnation, bytes + 36, 4);
	assert_int_equal(complement, ~incarnation);
	assert_in_range(incarnation, before, time(NULL) + 1); /* time() lags by some ms */
	assert_memory_equal(bytes + 40, bytes + 32, 8);
	memcpy(&counter, bytes + 48, 4);
	assert_true(counter < 1u << 31);
	assert_memory_equal(bytes + 52, bytes + 36, 4);
	assert_memory_equal(bytes + 56, bytes + 48, 8);
}

/* As often as it may be: what a new file begins with is above all that the removed ones gave. */
static void
test_removed_within_a_second_repeats_nothing(void **state)
{
	struct serial_file file;
	uint64_t used = 0, first;
	unsigned round;

	(void)state;
	for (round = 0; round < 100; round++) {
		must_open(&file);
		first = must_take(&file, 100);
		assert_true(first > used);
		used = first + 99;
		serial_close(&file);
		assert_int_equal(unlink(fixture.serial), 0);
	}
}

static void
test_serials_go_on_within_a_boot(void **state)
{
	struct serial_file file;
	uint64_t first;

	(void)state;
	must_open(&file);
	first = must_take(&file, 1);
	assert_int_equal(must_take(&file, 10), first + 1);
	serial_close(&file);
	must_open(&file);
	assert_int_equal(must_take(&file, 1), first + 11);
	serial_close(&file);
}

/* As if killed: nothing is closed. What was not used below the limit is skipped, and no more. */
static void
test_unclosed_state_skips_to_the_limit(void **state)
{
	struct serial_file killed, file;
	uint64_t last, next;
	unsigned count;

	(void)state;
	must_open(&killed);
	last = must_take(&killed, 1);
	for (count = 1; count < 3 * SERIAL_STEP; count++) {
		must_open(&file);
		next = must_take(&file, count);
		assert_in_range(next, last + 1, last + SERIAL_STEP);
		assert_true(atomic_load(&file.state->limit) > next + count - 1);
		last = must_take(&killed, 1);
		assert_int_equal(last, next + count);
		munmap(file.state, SERIAL_FILE_SIZE);
		close(file.fd);
	}
	serial_close(&killed);
}

static void
test_two_mappings_draw_from_one_counter(void **state)
{
	struct serial_file one, two;
	uint64_t first;

	(void)state;
	must_open(&one);
	must_open(&two);
	first = must_take(&one, 3);
	assert_int_equal(must_take(&two, 1), first + 3);
	assert_int_equal(must_take(&one, 1), first + 4);
	serial_close(&one);
	serial_close(&two);
}

static void
test_new_boot_new_incarnation(void **state)
{
	struct serial_file file;
	uint64_t before, after;

	(void)state;
	must_open(&file);
	before = must_take(&file, 5);
	serial_close(&file);
	fixture_boot(&fixture, FIXTURE_BOOT_2);
	must_open(&file);
	after = must_take(&file, 1);
	assert_true(after >> 32 > before >> 32);
	serial_close(&file);
	/* Once per boot, not per opening. */
	must_open(&file);
	assert_int_equal(must_take(&file, 1), after + 1);
	serial_close(&file);
}

static void
test_new_boot_with_the_clock_set_back(void **state)
{
	uint32_t future = (uint32_t)time(NULL) + 100000;
	struct serial_file file;

	(void)state;
	write_state(future, future, (uint64_t)future << 32 | 77, FIXTURE_BOOT_2);
	must_open(&file);
	assert_int_equal(must_take(&file, 1), (uint64_t)(future + 1) << 32);
	serial_close(&file);
}

static void
test_new_boot_after_a_long_time_follows_the_clock(void **state)
{
	uint32_t now = (uint32_t)time(NULL);
	struct serial_file file;

	(void)state;
	write_state(now - 5000, now - 5000, (uint64_t)(now - 5000) << 32 | 77, FIXTURE_BOOT_2);
	must_open(&file);
	assert_in_range(must_take(&file, 1) >> 32, now, now + 60);
	serial_close(&file);
}

/* A power loss took the newest `next`; what counts is that `durable` was on disk. */
static void
test_lost_counter_repeats_nothing(void **state)
{
	struct serial_file file;
	uint8_t old[SERIAL_FILE_SIZE];
	uint64_t used;

	(void)state;
	must_open(&file);
	peek(old);
	used = must_take(&file, 1000) + 999;
	serial_close(&file);
	poke(0, old, sizeof(old));
	fixture_boot(&fixture, FIXTURE_BOOT_2);
	must_open(&file);
	assert_true(must_take(&file, 1) > used);
	serial_close(&file);
}

/* ---- refusing ---- */

static void
test_wrong_size_is_refused(void **state)
{
	static const off_t sizes[] = {0, 1, 63, 64, 4095, 4097, 8192};
	struct serial_file file;
	size_t i;

	(void)state;
	must_open(&file);
	serial_close(&file);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(truncate(fixture.serial, sizes[i]), 0);
		must_refuse(EBADMSG, "remove the file");
	}
}

static void
test_damage_is_refused(void **state)
{
	/* Offsets whose words may not hold just anything; the others have a test of their own. */
	static const size_t offsets[] = {0, 7, 8, 12, 32, 36, 40, 44, 52, 55};
	uint8_t good[SERIAL_FILE_SIZE], bad;
	struct serial_file file;
	size_t i;
	unsigned bit;

	(void)state;
	must_open(&file);
	serial_close(&file);
	peek(good);
	for (i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		for (bit = 0; bit < 8; bit++) {
			bad = (uint8_t)(good[offsets[i]] ^ 1u << bit);
			/* One incarnation ahead is a carry that somebody began: not damage. */
			if (offsets[i] == 52 && (bad == (uint8_t)(good[52] + 1)))
				continue;
			poke(offsets[i], &bad, 1);
			must_refuse(EBADMSG, "damaged");
			poke(offsets[i], good + offsets[i], 1);
		}
	}
	memset(good, 0, sizeof(good));
	poke(0, good, sizeof(good));
	must_refuse(EBADMSG, "damaged");
}

static void
test_impossible_words_are_refused(void **state)
{
	const uint64_t limit = (uint64_t)1002 << 32;

	(void)state;
	write_state(1000, 1000, (uint64_t)1002 << 32, FIXTURE_BOOT_1);
	must_refuse(EBADMSG, "damaged");
	write_state(1000, 1000, (uint64_t)999 << 32, FIXTURE_BOOT_1);
	must_refuse(EBADMSG, "damaged");
	write_state(1000, 1001, (uint64_t)1000 << 32, FIXTURE_BOOT_1);
	must_refuse(EBADMSG, "damaged");
	write_state(1000, 1000, (uint64_t)1000 << 32, FIXTURE_BOOT_1);
	poke(offsetof(struct serial_state, limit), &limit, sizeof(limit));
	must_refuse(EBADMSG, "damaged");
	write_state(0, 0, 0, FIXTURE_BOOT_1);
	must_refuse(EBADMSG, "damaged");
	write_state(UINT32_MAX, UINT32_MAX, (uint64_t)UINT32_MAX << 32, FIXTURE_BOOT_1);
	must_refuse(EBADMSG, "damaged");
}

/* ---- damage that is not refused ---- */

static struct {
	unsigned refused;
	unsigned served;
} outcomes;

/* With `byte` in place of one of a good state: no serial up to `used` may ever come again. */
static void
damage_and_draw(const uint8_t good[SERIAL_FILE_SIZE], size_t offset, uint8_t byte, uint64_t used)
{
	struct serial_file file;
	uint64_t first;

	poke(0, good, SERIAL_FILE_SIZE);
	poke(offset, &byte, 1);
	if (open_state(&file) != 0) {
		assert_non_null(strstr(cg_error(), "remove the file"));
		outcomes.refused++;
		return;
	}
	first = must_take(&file, 1);
	if (first <= used || must_take(&file, 100) <= first)
		fail_msg("byte %zu = 0x%02x: serial %llu again", offset, byte,
			(unsigned long long)first);
	outcomes.served++;
	serial_close(&file);
}

/* Every bit of every byte that means something, and every such byte lost. */
static void
damage_everywhere(const uint8_t good[SERIAL_FILE_SIZE], uint64_t used)
{
	size_t offset;
	unsigned bit;

	memset(&outcomes, 0, sizeof(outcomes));
	for (offset = 0; offset < sizeof(struct serial_state); offset++) {
		for (bit = 0; bit < 8; bit++)
			damage_and_draw(good, offset, (uint8_t)(good[offset] ^ 1u << bit), used);
		damage_and_draw(good, offset, 0x00, used);
		damage_and_draw(good, offset, 0xff, used);
	}
	assert_true(outcomes.refused > 200 && outcomes.served > 200);
}

static void
test_no_damage_repeats_a_serial(void **state)
{
	static const uint32_t batches[] = {
		1, 1, SERIAL_STEP - 1, SERIAL_STEP, SERIAL_STEP + 1, 1000, 70000};
	uint8_t good[SERIAL_FILE_SIZE];
	struct serial_file file;
	uint64_t used = 0;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
		must_open(&file);
		used = must_take(&file, batches[i]) + batches[i] - 1;
		peek(good); /* as a process leaves it that is killed now */
		disk.is_skipped = true;
		damage_everywhere(good, used);
		poke(0, good, sizeof(good));
		serial_close(&file);
		peek(good);
		damage_everywhere(good, used);
		disk.is_skipped = false;
		poke(0, good, sizeof(good));
	}
}

#define REST_ROUNDS 200000u

static _Atomic bool is_resting;

static void *
rest_always(void *context)
{
	struct serial_file *file = context;

	while (atomic_load(&is_resting))
		serial_rest(file->state);
	return NULL;
}

/* Closing lowers the limit; a serial that is drawn in that moment must be below it again soon. */
static void
test_closing_keeps_what_is_drawn_below_the_limit(void **state)
{
	struct serial_file file;
	pthread_t thread;
	unsigned round;

	(void)state;
	must_open(&file);
	atomic_store(&is_resting, true);
	assert_int_equal(pthread_create(&thread, NULL, rest_always, &file), 0);
	for (round = 0; round < REST_ROUNDS; round++) {
		uint64_t serial = must_take(&file, 1);
		time_t until = time(NULL) + 10;

		while (atomic_load(&file.state->limit) <= serial)
			assert_true(time(NULL) < until);
	}
	atomic_store(&is_resting, false);
	assert_int_equal(pthread_join(thread, NULL), 0);
	serial_close(&file);
}

static void
test_what_is_no_file_of_ours_is_refused(void **state)
{
	struct serial_file file;
	char elsewhere[128];

	(void)state;
	must_open(&file);
	serial_close(&file);
	assert_int_equal(chmod(fixture.serial, 0640), 0);
	must_refuse(EPERM, "chmod 600");
	assert_int_equal(chmod(fixture.serial, 0600), 0);
	snprintf(elsewhere, sizeof(elsewhere), "%s/elsewhere", fixture.directory);
	assert_int_equal(rename(fixture.serial, elsewhere), 0);
	assert_int_equal(symlink(elsewhere, fixture.serial), 0);
	assert_int_equal(open_state(&file), -ELOOP);
	assert_non_null(strstr(cg_error(), "symbolic link"));
	unlink(fixture.serial);
	unlink(elsewhere);
	assert_int_equal(mkfifo(fixture.serial, 0600), 0);
	assert_int_equal(open_state(&file), -EINVAL);
	assert_non_null(strstr(cg_error(), "regular file"));
}

static void
test_foreign_owner_is_refused(void **state)
{
	struct serial_file file;

	(void)state;
	if (geteuid() != 0)
		skip();
	must_open(&file);
	serial_close(&file);
	assert_int_equal(chown(fixture.serial, 4321, 0), 0);
	must_refuse(EPERM, "belongs to uid 4321");
}

static void
test_made_for_the_owner_of_the_key(void **state)
{
	struct serial_file file;
	struct stat st;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(serial_open(&file, fixture.serial, 4321, 1234, fixture.boot_id), 0);
	serial_close(&file);
	assert_int_equal(stat(fixture.serial, &st), 0);
	assert_int_equal(st.st_uid, 4321);
	assert_int_equal(st.st_gid, 1234);
	assert_int_equal(st.st_mode & 07777, 0600);
}

/* In a child without privileges: 0 if opening fails with EACCES and a reason. */
static int
open_is_denied(void *context)
{
	const char *says = context;
	struct serial_file file;

	if (serial_open(&file, fixture.serial, 65534, 65534, fixture.boot_id) != -EACCES)
		return 1;
	return strstr(cg_error(), says) == NULL ? 2 : 0;
}

static void
test_read_only_is_refused(void **state)
{
	struct serial_file file;
	uid_t uid = geteuid() == 0 ? 65534 : geteuid();

	(void)state;
	must_open(&file);
	serial_close(&file);
	assert_int_equal(chown(fixture.directory, uid, (gid_t)-1), 0);
	assert_int_equal(chown(fixture.serial, uid, (gid_t)-1), 0);
	assert_int_equal(chmod(fixture.serial, 0400), 0);
	assert_int_equal(
		fixture_unprivileged(open_is_denied, (void *)(uintptr_t) "for writing"), 0);
	assert_int_equal(unlink(fixture.serial), 0);
	assert_int_equal(chmod(fixture.directory, 0500), 0);
	assert_int_equal(
		fixture_unprivileged(open_is_denied, (void *)(uintptr_t) "cannot be made"), 0);
	assert_int_equal(chmod(fixture.directory, 0700), 0);
}

static void
test_boot_id_must_be_there(void **state)
{
	struct serial_file file;

	(void)state;
	unlink(fixture.boot_id);
	assert_int_equal(open_state(&file), -ENOENT);
	assert_non_null(strstr(cg_error(), "mount /proc"));
	fixture_boot(&fixture, "11111111-2222-3333-4444-55555555555\n");
	assert_int_equal(open_state(&file), -EBADMSG);
	fixture_boot(&fixture, "11111111-2222-3333-4444-5555555555555\n");
	assert_int_equal(open_state(&file), -EBADMSG);
	fixture_boot(&fixture, "");
	assert_int_equal(open_state(&file), -EBADMSG);
	assert_int_equal(access(fixture.serial, F_OK), -1);
}

/* ---- durability ---- */

static void
test_first_use_is_after_the_disk(void **state)
{
	struct serial_file file;

	(void)state;
	disk.fail_error = EIO;
	assert_int_equal(open_state(&file), -EIO);
	assert_int_equal(access(fixture.serial, F_OK), -1);
	must_open(&file);
	assert_true(disk.calls >= 3); /* the failed one, the file, its directory */
	serial_close(&file);
}

static void
test_carry_is_durable_before_use(void **state)
{
	const uint64_t edge = (uint64_t)1001 << 32;
	struct serial_file file;
	uint64_t first;

	(void)state;
	write_state(1000, 1000, edge - 2, FIXTURE_BOOT_1);
	must_open(&file);
	disk.watched = file.state;
	disk.calls = 0;
	assert_int_equal(must_take(&file, 1), edge - 2);
	assert_int_equal(must_take(&file, 1), edge - 1);
	assert_int_equal(disk.calls, 0);
	first = must_take(&file, 1);
	assert_int_equal(disk.calls, 1);
	assert_int_equal(disk.current, 1000);
	assert_int_equal(disk.durable, first >> 32);
	assert_in_range(first >> 32, time(NULL) - 60, time(NULL));
	assert_int_equal(must_take(&file, 1), first + 1);
	assert_int_equal(disk.calls, 1);
	serial_close(&file);
}

static void
test_carry_with_the_clock_set_back(void **state)
{
	uint32_t future = (uint32_t)time(NULL) + 100000;
	const uint64_t edge = (uint64_t)(future + 1) << 32;
	struct serial_file file;

	(void)state;
	write_state(future, future, edge - 1, FIXTURE_BOOT_1);
	must_open(&file);
	assert_int_equal(must_take(&file, 1), edge - 1);
	/* The number that met the edge, edge + 0, was thrown away. */
	assert_int_equal(must_take(&file, 1), edge + 1);
	assert_int_equal(must_take(&file, 1), edge + 2);
	serial_close(&file);
}

static void
test_batch_does_not_cross_the_edge(void **state)
{
	const uint64_t edge = (uint64_t)1001 << 32;
	struct serial_file file;
	uint64_t first;

	(void)state;
	write_state(1000, 1000, edge - 5, FIXTURE_BOOT_1);
	must_open(&file);
	first = must_take(&file, 16);
	assert_int_equal(first >> 32, (first + 15) >> 32);
	assert_true(first >= edge);
	serial_close(&file);
}

static void
test_failed_disk_stops_and_heals(void **state)
{
	const uint64_t edge = (uint64_t)1001 << 32;
	struct serial_file file;
	uint64_t first, syncs;

	(void)state;
	write_state(1000, 1000, edge, FIXTURE_BOOT_1);
	must_open(&file);
	disk.fail_error = ENOSPC;
	assert_int_equal(serial_take(&file, 1, &first), -ENOSPC);
	assert_non_null(strstr(cg_error(), "durable"));
	assert_int_equal(serial_incarnation(file.state->current), 1000);
	syncs = file.state->syncs;
	disk.watched = file.state;
	first = must_take(&file, 1);
	/* The page was made dirty again, or fsync would not have written what failed before. */
	assert_true(file.state->syncs > syncs);
	assert_int_equal(disk.durable, first >> 32);
	serial_close(&file);
}

/* Killed after the first and after the second step of an advance: the next one finishes it. */
static void
test_unfinished_advance_is_finished(void **state)
{
	uint32_t future = (uint32_t)time(NULL) + 100000;
	struct serial_file file;
	uint64_t first;

	(void)state;
	write_state(future + 1, future, (uint64_t)(future + 1) << 32, FIXTURE_BOOT_1);
	must_open(&file);
	disk.watched = file.state;
	disk.calls = 0;
	first = must_take(&file, 1);
	assert_int_equal(first >> 32, future + 1);
	assert_int_equal(disk.calls, 1);
	assert_int_equal(disk.durable, future + 1);
	disk.watched = NULL;
	serial_close(&file);

	write_state(future + 9, future, (uint64_t)future << 32 | 5, FIXTURE_BOOT_1);
	must_open(&file);
	assert_int_equal(must_take(&file, 1), (uint64_t)future << 32 | 5);
	serial_close(&file);
}

static void
test_used_up_is_said(void **state)
{
	const uint32_t last = SERIAL_INCARNATION_MAX;
	struct serial_file file;
	uint64_t first;

	(void)state;
	write_state(last, last, CRED_SERIAL_MAX, FIXTURE_BOOT_1);
	must_open(&file);
	assert_int_equal(must_take(&file, 1), CRED_SERIAL_MAX);
	assert_int_equal(serial_take(&file, 1, &first), -EOVERFLOW);
	assert_non_null(strstr(cg_error(), "used up"));
	serial_close(&file);
	fixture_boot(&fixture, FIXTURE_BOOT_2);
	assert_int_equal(open_state(&file), -EOVERFLOW);
}

/* ---- floors ---- */

static void
test_floor_raises_and_never_lowers(void **state)
{
	struct serial_file file;
	uint64_t first;

	(void)state;
	must_open(&file);
	disk.watched = file.state;
	disk.calls = 0;
	first = must_take(&file, 1);
	assert_int_equal(serial_raise(&file, first + 1000), 0);
	assert_int_equal(must_take(&file, 1), first + 1000);
	assert_int_equal(serial_raise(&file, first), 0);
	assert_int_equal(must_take(&file, 1), first + 1001);
	assert_int_equal(disk.calls, 0);
	first += ((uint64_t)3 << 32) + 17;
	assert_int_equal(serial_raise(&file, first), 0);
	assert_int_equal(disk.calls, 1);
	assert_int_equal(disk.durable, first >> 32);
	assert_int_equal(must_take(&file, 1), first);
	assert_int_equal(serial_raise(&file, CRED_SERIAL_MAX + 1), -EINVAL);
	serial_close(&file);
}

/* ---- many ---- */

#define CROWD     8
#define EACH      4000
#define EDGE_LEFT 1000

struct drawer {
	struct serial_file *file;
	uint64_t serials[EACH];
};

static void *
draw(void *context)
{
	struct drawer *drawer = context;
	unsigned i;

	for (i = 0; i < EACH; i++)
		drawer->serials[i] = serial_take(drawer->file, 1, &drawer->serials[i]) == 0
					     ? drawer->serials[i]
					     : 0;
	return NULL;
}

static void
test_threads_meet_the_edge(void **state)
{
	uint64_t *all = calloc(CROWD * EACH, sizeof(*all));
	struct drawer *drawers = calloc(CROWD, sizeof(*drawers));
	pthread_t threads[CROWD];
	struct serial_file file;
	unsigned i, k;

	(void)state;
	write_state(1000, 1000, ((uint64_t)1001 << 32) - EDGE_LEFT, FIXTURE_BOOT_1);
	must_open(&file);
	for (i = 0; i < CROWD; i++) {
		drawers[i].file = &file;
		assert_int_equal(pthread_create(&threads[i], NULL, draw, &drawers[i]), 0);
	}
	for (i = 0; i < CROWD; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		for (k = 1; k < EACH; k++)
			assert_true(drawers[i].serials[k] > drawers[i].serials[k - 1]);
		memcpy(all + i * EACH, drawers[i].serials, sizeof(drawers[i].serials));
	}
	assert_int_equal(count_repeats(all, CROWD * EACH), 0);
	assert_int_equal(all[0], ((uint64_t)1001 << 32) - EDGE_LEFT);
	assert_true(all[CROWD * EACH - 1] >> 32 > 1000);
	serial_close(&file);
	free(drawers);
	free(all);
}

#define STARTERS 32

/* Each starter draws one; what they have drawn and how many incarnations they took is returned. */
static unsigned
start_many(uint64_t *drawn)
{
	uint64_t *shared = mmap(NULL, STARTERS * sizeof(*shared), PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned i, incarnations = 1;
	int status, gate[2];
	char byte;

	assert_true(shared != MAP_FAILED);
	assert_int_equal(pipe(gate), 0);
	for (i = 0; i < STARTERS; i++) {
		if (fork() == 0) {
			struct serial_file file;

			close(gate[1]);
			if (read(gate[0], &byte, 1) != 0 || open_state(&file) != 0)
				_exit(1);
			_exit(serial_take(&file, 1, &shared[i]) == 0 ? 0 : 2);
		}
	}
	close(gate[0]);
	close(gate[1]); /* the gate opens for all at once */
	for (i = 0; i < STARTERS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	memcpy(drawn, shared, STARTERS * sizeof(*drawn));
	munmap(shared, STARTERS * sizeof(*shared));
	assert_int_equal(count_repeats(drawn, STARTERS), 0);
	for (i = 1; i < STARTERS; i++)
		incarnations += drawn[i] >> 32 != drawn[i - 1] >> 32;
	return incarnations;
}

static void
test_many_start_at_once(void **state)
{
	uint64_t drawn[STARTERS], last;

	(void)state;
	assert_int_equal(start_many(drawn), 1);
	last = drawn[STARTERS - 1];
	fixture_boot(&fixture, FIXTURE_BOOT_2);
	assert_int_equal(start_many(drawn), 1);
	assert_true(drawn[0] >> 32 > last >> 32);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_made_with_layout_and_mode, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_removed_within_a_second_repeats_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_serials_go_on_within_a_boot, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_unclosed_state_skips_to_the_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_two_mappings_draw_from_one_counter, setup, teardown),
		cmocka_unit_test_setup_teardown(test_new_boot_new_incarnation, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_new_boot_with_the_clock_set_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_new_boot_after_a_long_time_follows_the_clock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_counter_repeats_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wrong_size_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_impossible_words_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_damage_repeats_a_serial, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_closing_keeps_what_is_drawn_below_the_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_what_is_no_file_of_ours_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_foreign_owner_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_made_for_the_owner_of_the_key, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_only_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_boot_id_must_be_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_first_use_is_after_the_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_carry_is_durable_before_use, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_carry_with_the_clock_set_back, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_batch_does_not_cross_the_edge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failed_disk_stops_and_heals, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_unfinished_advance_is_finished, setup, teardown),
		cmocka_unit_test_setup_teardown(test_used_up_is_said, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_floor_raises_and_never_lowers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads_meet_the_edge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many_start_at_once, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
