/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/audit_scan.h"
#include "ctrl/clock.h"
#include "ctrl/durable.h"
#include "ctrl/log.h"

/* What stands before an event's members in every line. */
#define HEAD_SIZE_MAX 80

/* A line that could not be written yet. */
struct waiting {
	STAILQ_ENTRY(waiting) next;
	uint64_t time_us;
	char *text;
};

struct audit {
	char state_dir[PATH_MAX];
	char path[PATH_MAX]; /* of the file that is written */
	struct audit_limits limits;
	struct audit_key *key; /* guarded memory: of the oldest file, or of this one */
	struct audit_key *file_key;
	int fd;
	int anchor_fd;
	off_t size; /* as it must be: nobody else writes */
	struct audit_place last;
	bool is_dirty;       /* lines or anchor are not yet durable */
	bool is_torn;        /* a line written in part is still to be cut off */
	bool follows_damage; /* the file that is begun says so, for ever */
	STAILQ_HEAD(, waiting) waiting;
	unsigned waiting_count;
	uint64_t lost;    /* lines that found no place to wait */
	uint64_t refused; /* changes */
	uint64_t sync_us_max;
	struct reason failure; /* the last one */
	char alarm[REASON_SIZE];
	struct log_limit limit;
};

static void
alarm_raise(struct audit *audit, const char *text)
{
	if (strcmp(audit->alarm, text) != 0)
		log_error("audit", "%s", text);
	snprintf(audit->alarm, sizeof(audit->alarm), "%s", text);
}

static int
fail(struct audit *audit, int error, const char *what)
{
	return reason_set(&audit->failure, error, "%s %s: %s", what, audit->path, strerror(error));
}

/* ---- lines into the file ---- */

/* Nobody else may write: a size that is not ours was made by a stranger. */
static int
file_check(struct audit *audit)
{
	struct stat st;

	if (fstat(audit->fd, &st) != 0)
		return fail(audit, errno, "cannot look at");
	if (audit->is_torn && st.st_size >= audit->size) {
		if (ftruncate(audit->fd, audit->size) != 0)
			return fail(audit, errno, "cannot cut a line written in part off");
		audit->is_torn = false;
		return 0;
	}
	if (st.st_size == audit->size && st.st_nlink == 1)
		return 0;
	alarm_raise(audit, st.st_nlink == 1
				   ? "the audit log was changed by somebody else while it was "
				     "written; find out who, with credgate audit verify"
				   : "the audit log was removed or linked by somebody else while "
				     "it was written; find out who, with credgate audit verify");
	audit->size = st.st_size;
	return st.st_nlink > 0 ? 0 : -ESTALE;
}

/* All of it or nothing. */
static int
bytes_append(struct audit *audit, const char *line, size_t size)
{
	ssize_t written;

	errno = ENOSPC;
	written = write(audit->fd, line, size);
	if (written == (ssize_t)size) {
		audit->size += written;
		return 0;
	}
	fail(audit, errno, "cannot write");
	audit->is_torn = written > 0 && ftruncate(audit->fd, audit->size) != 0;
	return -audit->failure.error;
}

static int
line_append(struct audit *audit, uint64_t time_us, const char *members)
{
	struct audit_place place = {.file = audit->last.file, .seq = audit->last.seq + 1};
	size_t room = strlen(members) + HEAD_SIZE_MAX + AUDIT_TAIL_SIZE;
	char *line = malloc(room);
	size_t size;
	int error;

	if (line == NULL)
		return fail(audit, ENOMEM, "no memory for a line of");
	size = (size_t)snprintf(line, room, "{\"seq\":%" PRIu64 ",\"time_us\":%" PRIu64 ",%s",
		place.seq, time_us, members);
	audit_hash(place.hash, audit->file_key, audit->last.hash, line, size);
	audit_line_close(line, size, place.hash);
	error = bytes_append(audit, line, size + AUDIT_TAIL_SIZE);
	free(line);
	if (error != 0)
		return error;
	audit->last = place;
	audit->is_dirty = true;
	/* It may lag behind the log, never be ahead of it. */
	audit_anchor_write(audit->anchor_fd, &place, audit->file_key);
	return 0;
}

static int
log_sync(struct audit *audit)
{
	uint64_t begun_us = clock_mono_us(), took_us;

	if (!audit->is_dirty)
		return 0;
	if (fdatasync(audit->fd) != 0)
		return fail(audit, errno, "cannot make durable");
	took_us = clock_mono_us() - begun_us;
	if (took_us > audit->sync_us_max)
		audit->sync_us_max = took_us;
	return 0;
}

/* ---- files ---- */

/* The first line of a file says which one it is and what the one before ended with. */
static int
opening_append(struct audit *audit, const uint8_t previous[AUDIT_HASH_SIZE])
{
	char hex[AUDIT_HEX_SIZE], members[256];

	sodium_bin2hex(hex, sizeof(hex), previous, AUDIT_HASH_SIZE);
	snprintf(members, sizeof(members),
		"\"event\":\"file\",\"file\":%" PRIu32 ",\"previous\":\"%s\"%s", audit->last.file,
		hex, audit->follows_damage ? ",\"damaged\":true" : "");
	return line_append(audit, clock_real_us(), members);
}

/* Goes on in file number `file`, which must not exist. After an error the old one is in use still. */
static int
file_begin(struct audit *audit, uint32_t file)
{
	struct audit old = *audit;
	struct audit_key old_key = *audit->file_key;
	int error;

	audit_file_path(audit->path, audit->state_dir, file);
	audit->fd = open(audit->path,
		O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
	if (audit->fd < 0) {
		error = fail(audit, errno, "cannot make");
		goto err_open;
	}
	audit->size = 0;
	audit->last.file = file;
	error = audit_key_of(audit->file_key, audit->key, file);
	if (error == 0)
		error = opening_append(audit, old.last.hash);
	if (error == 0)
		error = log_sync(audit);
	if (error == 0)
		error = durable_name(audit->path);
	if (error != 0)
		goto err_fill;
	if (old.fd >= 0)
		close(old.fd);
	sodium_memzero(&old_key, sizeof(old_key));
	return 0;

err_fill:
	unlink(audit->path);
	close(audit->fd);
	audit_anchor_write(audit->anchor_fd, &old.last, &old_key);
err_open:
	memcpy(audit->path, old.path, sizeof(old.path));
	audit->fd = old.fd;
	audit->size = old.size;
	audit->last = old.last;
	*audit->file_key = old_key;
	sodium_memzero(&old_key, sizeof(old_key));
	return error;
}

/* The hash the last line of a whole file ends with. */
static int
file_last_hash(const struct audit *audit, uint32_t file, uint8_t hash[AUDIT_HASH_SIZE])
{
	char path[PATH_MAX], line[1 + AUDIT_TAIL_SIZE];
	int fd, error = -EBADMSG;
	size_t body_size;
	struct stat st;

	audit_file_path(path, audit->state_dir, file);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) == 0 && st.st_size >= (off_t)sizeof(line) &&
		pread(fd, line, sizeof(line), st.st_size - (off_t)sizeof(line)) ==
			(ssize_t)sizeof(line))
		error = audit_line_open(line, sizeof(line), &body_size, hash);
	close(fd);
	return error;
}

/* Recorded first, so that whoever verifies knows where the chain begins by plan. */
static void
file_remove(struct audit *audit, uint32_t file)
{
	char path[PATH_MAX], hex[AUDIT_HEX_SIZE], members[256];
	uint8_t hash[AUDIT_HASH_SIZE];
	int error = file_last_hash(audit, file, hash);

	if (error == 0) {
		sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
		snprintf(members, sizeof(members),
			"\"event\":\"removed\",\"file\":%" PRIu32 ",\"last_hash\":\"%s\"", file,
			hex);
		error = line_append(audit, clock_real_us(), members);
	}
	if (error == 0)
		error = log_sync(audit);
	audit_file_path(path, audit->state_dir, file);
	if (error == 0 && unlink(path) != 0)
		error = -errno;
	if (error != 0)
		log_limited(&audit->limit, "audit", "the old file %s stays: %s", path,
			strerror(-error));
}

static void
old_files_remove(struct audit *audit)
{
	uint32_t oldest, newest;

	if (audit_files(audit->state_dir, &oldest, &newest, NULL) != 0 || oldest == 0)
		return;
	while (audit->last.file - oldest >= audit->limits.keep)
		file_remove(audit, oldest++);
}

/* The key of files before is forgotten, if that is wanted. */
static void
key_move_on(struct audit *audit)
{
	char path[PATH_MAX];
	struct reason reason;

	if (!audit->limits.forgets_keys || audit->key->file == audit->last.file)
		return;
	audit_path(path, audit->state_dir, AUDIT_KEY_NAME);
	if (audit_key_write(audit->file_key, path, &reason) != 0) {
		log_limited(&audit->limit, "audit", "%s", reason.text);
		return;
	}
	sodium_mprotect_readwrite(audit->key);
	*audit->key = *audit->file_key;
	sodium_mprotect_readonly(audit->key);
}

static int
file_advance(struct audit *audit)
{
	int error;

	if (audit->last.file >= AUDIT_FILE_MAX)
		return 0;
	/* Every line of the old file is durable before the new one goes on from it. */
	error = log_sync(audit);
	if (error == 0)
		error = file_begin(audit, audit->last.file + 1);
	if (error != 0)
		return error;
	fdatasync(audit->anchor_fd);
	key_move_on(audit);
	old_files_remove(audit);
	return 0;
}

/* One event: the next file if this one is full, then the line. */
static int
event_append(struct audit *audit, uint64_t time_us, const char *members)
{
	uint64_t size = strlen(members) + HEAD_SIZE_MAX + AUDIT_TAIL_SIZE;
	int error = file_check(audit);

	if (error == -ESTALE ||
		(error == 0 && (uint64_t)audit->size + size > audit->limits.file_bytes))
		error = file_advance(audit);
	return error != 0 ? error : line_append(audit, time_us, members);
}

/* ---- lines that wait ---- */

/* Takes the text. */
static void
wait_add(struct audit *audit, uint64_t time_us, char *text)
{
	struct waiting *line = malloc(sizeof(*line));

	if (line == NULL || text == NULL || audit->waiting_count >= AUDIT_WAITING_MAX) {
		audit->lost++;
		free(line);
		free(text);
		return;
	}
	if (audit->waiting_count == 0)
		log_error("audit", "%s; what is done meanwhile is written when there is room",
			audit->failure.text);
	*line = (struct waiting){.time_us = time_us, .text = text};
	STAILQ_INSERT_TAIL(&audit->waiting, line, next);
	audit->waiting_count++;
}

static void
wait_remove_first(struct audit *audit)
{
	struct waiting *line = STAILQ_FIRST(&audit->waiting);

	STAILQ_REMOVE_HEAD(&audit->waiting, next);
	audit->waiting_count--;
	free(line->text);
	free(line);
}

static int
lost_append(struct audit *audit)
{
	char members[160];
	int error;

	if (audit->lost == 0)
		return 0;
	snprintf(members, sizeof(members),
		"\"event\":\"note\",\"verb\":\"audit.lost\",\"who\":\"credgated\","
		"\"args\":{\"lines\":%" PRIu64 "}",
		audit->lost);
	error = event_append(audit, clock_real_us(), members);
	if (error == 0)
		audit->lost = 0;
	return error;
}

/* Before anything newer; 0 when nothing waits any more. */
static int
wait_write(struct audit *audit)
{
	struct waiting *line;
	bool has_waited = audit->waiting_count > 0;
	int error = 0;

	while (error == 0 && (line = STAILQ_FIRST(&audit->waiting)) != NULL) {
		error = event_append(audit, line->time_us, line->text);
		if (error == 0)
			wait_remove_first(audit);
	}
	if (error == 0)
		error = lost_append(audit);
	if (error == 0 && has_waited) {
		error = log_sync(audit);
		log_info("audit", "all lines that waited are written to %s", audit->path);
	}
	return error;
}

/* ---- the door ---- */

static int
text_write(struct audit *audit, const char *text)
{
	int error;

	if (text == NULL)
		return fail(audit, ENOMEM, "no memory for a line of");
	error = wait_write(audit);
	return error != 0 ? error : event_append(audit, clock_real_us(), text);
}

int
audit_asked(struct audit *audit, const struct audit_event *event, uint64_t *asked,
	struct reason *reason)
{
	char *text;
	int error;

	*asked = 0;
	if (audit == NULL)
		return 0;
	text = audit_asked_text(event);
	error = text_write(audit, text);
	free(text);
	if (error == 0) {
		*asked = audit->last.seq;
		error = event->is_urgent ? 0 : log_sync(audit);
	}
	if (error == 0 || event->is_urgent)
		return 0;
	audit->refused++;
	return reason_set(reason, -error,
		"%s was not done: the audit log %s; make room on the disk, or mend it "
		"(revocations hold all the same)",
		event->verb, audit->failure.text);
}

void
audit_outcome(struct audit *audit, const struct audit_event *event, uint64_t asked, int error,
	const struct reason *reason, json_t *result)
{
	const struct audit_outcome outcome = {.error = error, .reason = reason, .result = result};
	char *text;

	if (audit == NULL)
		return;
	text = audit_outcome_text(event, asked, &outcome);
	if (text_write(audit, text) != 0) {
		wait_add(audit, clock_real_us(), text);
		return;
	}
	free(text);
	if (event->is_urgent)
		log_sync(audit);
}

void
audit_note(struct audit *audit, const char *verb, const char *why, json_t *details)
{
	char *text;

	if (audit != NULL) {
		text = audit_note_text(verb, why, details);
		if (text_write(audit, text) != 0)
			wait_add(audit, clock_real_us(), text);
		else
			free(text);
	}
	json_decref(details);
}

void
audit_tick(struct audit *audit)
{
	if (audit == NULL || wait_write(audit) != 0 || !audit->is_dirty)
		return;
	if (log_sync(audit) != 0)
		log_limited(&audit->limit, "audit", "%s", audit->failure.text);
	else if (fdatasync(audit->anchor_fd) == 0)
		audit->is_dirty = false;
}

unsigned
audit_waiting(const struct audit *audit)
{
	return audit != NULL ? audit->waiting_count : 0;
}

struct audit_counts
audit_counts(const struct audit *audit)
{
	if (audit == NULL)
		return (struct audit_counts){0};
	return (struct audit_counts){
		.lines = audit->last.seq,
		.waiting = audit->waiting_count,
		.lost = audit->lost,
		.refused = audit->refused,
		.has_alarm = audit->alarm[0] != '\0' || audit->waiting_count > 0,
	};
}

json_t *
audit_json(const struct audit *audit)
{
	char hash[AUDIT_HEX_SIZE];
	const char *alarm;

	if (audit == NULL)
		return json_null();
	sodium_bin2hex(hash, sizeof(hash), audit->last.hash, AUDIT_HASH_SIZE);
	alarm = audit->alarm[0] != '\0'    ? audit->alarm
		: audit->waiting_count > 0 ? audit->failure.text
					   : NULL;
	return json_pack("{s:s, s:I, s:s, s:i, s:I, s:I, s:I, s:s?}", "file", audit->path, "seq",
		(json_int_t)audit->last.seq, "hash", hash, "waiting", (int)audit->waiting_count,
		"lost", (json_int_t)audit->lost, "refused", (json_int_t)audit->refused,
		"sync_us_max", (json_int_t)audit->sync_us_max, "alarm", alarm);
}

void
audit_limits_set(struct audit *audit, const struct audit_limits *limits)
{
	if (audit != NULL)
		audit->limits = *limits;
}

/* ---- opening ---- */

static int
dir_make(const char *path, struct reason *reason)
{
	struct stat st;

	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return reason_set(
			reason, errno, "%s: %s; check the state directory", path, strerror(errno));
	if (lstat(path, &st) != 0)
		return reason_set(reason, errno, "%s: %s", path, strerror(errno));
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return reason_set(reason, EPERM,
			"%s must be a directory of uid %u; move away what is there", path,
			geteuid());
	if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return reason_set(reason, EPERM, "%s is open to others (mode %04o); chmod 0700",
			path, st.st_mode & 07777);
	return 0;
}

/* A log without its key cannot be continued, and must not be silently begun anew. */
static int
key_load(struct audit *audit, bool has_files, bool *has_key, struct reason *reason)
{
	char path[PATH_MAX];
	int error;

	audit_path(path, audit->state_dir, AUDIT_KEY_NAME);
	error = audit_key_read(audit->key, path, geteuid(), reason);
	*has_key = error == 0;
	if (error != -ENOENT)
		return error;
	if (has_files)
		return reason_set(reason, ENOENT,
			"%s is missing, but %s/" AUDIT_DIR " has a log made with it; restore the "
			"key from "
			"its backup, or move the log away to begin a new one",
			path, audit->state_dir);
	audit->key->file = 1;
	randombytes_buf(audit->key->bytes, AUDIT_KEY_SIZE);
	log_info("audit", "a new audit log begins; keep a copy of %s offline to verify it there",
		path);
	return audit_key_write(audit->key, path, reason);
}

static void
problem_log(void *context, const char *path, uint64_t line, const char *text)
{
	(void)context;
	log_error("audit", "%s:%" PRIu64 ": %s", path, line, text);
}

/* Where the log ended; a line torn by a crash is cut off. */
static int
newest_scan(struct audit *audit, struct audit_scan *scan, uint32_t newest, struct reason *reason)
{
	char path[PATH_MAX];
	int error;

	*scan = (struct audit_scan){.key = *audit->key, .on_problem = problem_log};
	audit_path(path, audit->state_dir, AUDIT_ANCHOR_NAME);
	scan->has_anchor = audit_anchor_read(&scan->anchor, path, audit->key) == 0;
	if (newest == 0)
		return 0;
	error = audit_scan_file(scan, audit->state_dir, newest, true, reason);
	if (error == -ENOENT)
		scan->problems++;
	else if (error != 0)
		return error;
	scan->problems += !scan->has_anchor && scan->lines > 0;
	scan->problems += scan->has_anchor && scan->anchor.seq > scan->last.seq;
	scan->problems += scan->has_anchor && scan->anchor.seq <= scan->last.seq &&
			  scan->anchor.file == newest && !scan->is_anchor_met;
	return 0;
}

static int
file_continue(
	struct audit *audit, const struct audit_scan *scan, uint32_t file, struct reason *reason)
{
	audit_file_path(audit->path, audit->state_dir, file);
	audit->fd = open(audit->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	if (audit->fd < 0 || (scan->torn > 0 && ftruncate(audit->fd, scan->whole) != 0))
		return reason_set(reason, errno, "%s: %s; check owner and disk", audit->path,
			strerror(errno));
	audit->size = scan->whole;
	audit->last = scan->last;
	audit->last.file = file;
	return audit_key_of(audit->file_key, audit->key, file);
}

/* The anchor knows of a line that is not there: what comes next is counted from it. */
static void
place_take(struct audit *audit, const struct audit_scan *scan, uint32_t newest)
{
	audit->last = scan->last;
	if (scan->has_anchor && scan->anchor.seq > scan->last.seq)
		audit->last = scan->anchor;
	if (audit->last.file < newest)
		audit->last.file = newest;
	if (audit->last.file + 1 < audit->key->file)
		audit->last.file = audit->key->file - 1;
}

/* A file whose first line never became whole was begun in a crash: as if it were not there. */
static int
empty_file_remove(const struct audit *audit, uint32_t file)
{
	char path[PATH_MAX];

	audit_file_path(path, audit->state_dir, file);
	return unlink(path) == 0 ? 0 : -errno;
}

/* `has_key`: the key was there, so there was a log. */
static int
log_continue(struct audit *audit, uint32_t newest, bool has_key, struct reason *reason)
{
	struct audit_scan scan;
	int error = newest_scan(audit, &scan, newest, reason);

	if (error == 0 && newest != 0 && scan.lines == 0 && empty_file_remove(audit, newest) == 0)
		return log_continue(audit, newest - 1, has_key, reason);
	if (error == 0 && scan.problems == 0 && scan.lines > 0) {
		error = file_continue(audit, &scan, newest, reason);
		if (error == 0 && scan.torn > 0)
			audit_note(audit, "audit.torn", "credgated ended while it wrote a line",
				json_pack("{s:I}", "bytes", (json_int_t)scan.torn));
	} else if (error == 0) {
		place_take(audit, &scan, newest);
		if (scan.problems > 0 || (newest == 0 && (scan.has_anchor || has_key)))
			alarm_raise(audit,
				"the audit log is not as it was left: run credgate audit verify; a "
				"new file "
				"was begun");
		/* With an anchor the chain itself tells, until what is missing is put back. */
		audit->follows_damage = audit->alarm[0] != '\0' && !scan.has_anchor;
		error = file_begin(audit, audit->last.file + 1);
		audit->follows_damage = false;
		if (error != 0)
			*reason = audit->failure;
	}
	sodium_memzero(&scan.key, sizeof(scan.key));
	return error;
}

static int
anchor_open(struct audit *audit, struct reason *reason)
{
	char path[PATH_MAX];
	struct stat st;

	audit_path(path, audit->state_dir, AUDIT_ANCHOR_NAME);
	audit->anchor_fd = open(
		path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0600);
	if (audit->anchor_fd < 0 || fstat(audit->anchor_fd, &st) != 0)
		return reason_set(
			reason, errno, "%s: %s; check owner and disk", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return reason_set(reason, EINVAL,
			"%s is no regular file; remove it, and run credgate audit verify", path);
	return 0;
}

struct audit *
audit_open(const char *state_dir, const struct audit_limits *limits, struct reason *reason)
{
	struct audit *audit = calloc(1, sizeof(*audit));
	uint32_t oldest, newest;
	bool has_key = false;
	char path[PATH_MAX];
	int error;

	if (audit == NULL) {
		reason_set(reason, ENOMEM, "no memory for the audit log");
		return NULL;
	}
	/* A file at its limit is an error of write, not the end. */
	signal(SIGXFSZ, SIG_IGN);
	STAILQ_INIT(&audit->waiting);
	snprintf(audit->state_dir, sizeof(audit->state_dir), "%s", state_dir);
	audit->limits = *limits;
	audit->fd = audit->anchor_fd = -1;
	audit->key = sodium_malloc(sizeof(*audit->key));
	audit->file_key = sodium_malloc(sizeof(*audit->file_key));
	audit_path(path, state_dir, AUDIT_DIR);
	if (audit->key == NULL || audit->file_key == NULL)
		error = reason_set(reason, ENOMEM,
			"no locked memory for the audit log's key; raise RLIMIT_MEMLOCK");
	else
		error = dir_make(path, reason);
	if (error == 0)
		error = audit_files(state_dir, &oldest, &newest, reason);
	if (error == 0)
		error = key_load(audit, newest != 0, &has_key, reason);
	if (error == 0)
		error = anchor_open(audit, reason);
	if (error == 0) {
		sodium_mprotect_readonly(audit->key);
		error = log_continue(audit, newest, has_key, reason);
	}
	if (error == 0)
		return audit;
	audit_close(audit);
	return NULL;
}

void
audit_close(struct audit *audit)
{
	if (audit == NULL)
		return;
	if (audit->fd >= 0)
		audit_tick(audit);
	if (audit->waiting_count > 0)
		log_error("audit", "%u lines are lost: %s", audit->waiting_count,
			audit->failure.text);
	while (audit->waiting_count > 0)
		wait_remove_first(audit);
	if (audit->fd >= 0)
		close(audit->fd);
	if (audit->anchor_fd >= 0)
		close(audit->anchor_fd);
	sodium_free(audit->key);
	sodium_free(audit->file_key);
	free(audit);
}
