/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/audit_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where in the log a line is. */
struct spot {
	const char *path;
	uint32_t file;
	uint64_t line;
};

/* How every body begins. */
struct head {
	uint64_t seq;
	uint64_t time_us;
	uint64_t asked;
	char event[16];
};

__attribute__((format(printf, 3, 4))) static void
problem(struct audit_scan *scan, const struct spot *spot, const char *format, ...)
{
	char text[REASON_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	scan->problems++;
	if (scan->on_problem != NULL)
		scan->on_problem(scan->context, spot->path, spot->line, text);
}

/* ---- one line ---- */

static int
head_parse(struct head *head, const char *body, size_t size)
{
	char text[160];
	int fields;

	memset(head, 0, sizeof(*head));
	snprintf(text, sizeof(text), "%.*s", (int)(size < sizeof(text) ? size : sizeof(text) - 1),
		body);
	fields = sscanf(text,
		"{\"seq\":%20" SCNu64 ",\"time_us\":%20" SCNu64
		",\"event\":\"%15[a-z]\",\"asked\":%20" SCNu64,
		&head->seq, &head->time_us, head->event, &head->asked);
	return fields >= 3 ? 0 : -EBADMSG;
}

static bool
hash_member(const json_t *object, const char *name, uint8_t hash[AUDIT_HASH_SIZE])
{
	const char *text = json_string_value(json_object_get(object, name));
	size_t length = 0;

	return text != NULL &&
	       sodium_hex2bin(hash, AUDIT_HASH_SIZE, text, strlen(text), NULL, &length, NULL) ==
		       0 &&
	       length == AUDIT_HASH_SIZE;
}

/* Events of the log itself: `file` opens one, a `removed` one is gone by plan. */
static void
own_event_note(struct audit_scan *scan, const struct spot *spot, const char *body, size_t size,
	const struct head *head)
{
	char *text = malloc(size + 2);
	json_t *object = NULL;
	uint32_t file;

	if (text != NULL) {
		memcpy(text, body, size);
		text[size] = '}';
		object = json_loadb(text, size + 1, 0, NULL);
		free(text);
	}
	file = (uint32_t)json_integer_value(json_object_get(object, "file"));
	if (strcmp(head->event, "removed") == 0) {
		if (file > scan->removed_file &&
			hash_member(object, "last_hash", scan->removed_hash))
			scan->removed_file = file;
	} else if (file != spot->file) {
		problem(scan, spot, "this is file %" PRIu32 ", under another name", file);
	}
	if (json_is_true(json_object_get(object, "damaged")))
		scan->damaged_file = spot->file;
	json_decref(object);
}

/* The first line of a file names the last hash of the file before, so each file stands alone. */
static bool
opening_read(const char *body, size_t size, uint8_t previous[AUDIT_HASH_SIZE])
{
	char *text = malloc(size + 2);
	json_t *object;
	bool is_found;

	if (text == NULL)
		return false;
	memcpy(text, body, size);
	text[size] = '}';
	object = json_loadb(text, size + 1, 0, NULL);
	free(text);
	is_found = hash_member(object, "previous", previous);
	json_decref(object);
	return is_found;
}

static void
outcome_note(struct audit_scan *scan, const struct head *head)
{
	bool is_asked = strcmp(head->event, "asked") == 0;
	bool is_outcome = strcmp(head->event, "done") == 0 || strcmp(head->event, "failed") == 0;

	if (is_outcome && head->asked == scan->asked)
		scan->asked = 0;
	if (!is_asked)
		return;
	scan->unknown += scan->asked != 0;
	scan->asked = head->seq;
}

/* A line whose hash is not what it should be: what may have happened? */
static void
mismatch_tell(struct audit_scan *scan, const struct spot *spot, const char *body, size_t size)
{
	uint64_t expected = scan->last.seq + 1;
	struct head head;

	if (head_parse(&head, body, size) != 0)
		problem(scan, spot, "the line was changed: it does not begin as all lines do");
	else if (!scan->has_previous || head.seq == expected)
		problem(scan, spot, "line %" PRIu64 " or the one before it was changed", head.seq);
	else if (head.seq > expected)
		problem(scan, spot,
			"lines %" PRIu64 " to %" PRIu64 " are missing before this one (%" PRIu64
			")",
			expected, head.seq - 1, head.seq);
	else
		problem(scan, spot,
			"line %" PRIu64 " is here again or out of its place, after %" PRIu64,
			head.seq, expected - 1);
	if (head.seq != 0)
		scan->last.seq = head.seq;
}

static void
genuine_take(struct audit_scan *scan, const struct spot *spot, const char *body, size_t size)
{
	struct head head;

	if (head_parse(&head, body, size) != 0) {
		problem(scan, spot,
			"the line has the right hash and not the form; another version?");
		return;
	}
	if (scan->has_previous && head.seq != scan->last.seq + 1)
		problem(scan, spot, "lines %" PRIu64 " to %" PRIu64 " are missing before this one",
			scan->last.seq + 1, head.seq - 1);
	scan->last.seq = head.seq;
	scan->last_time_us = head.time_us;
	if (strcmp(head.event, "file") == 0 || strcmp(head.event, "removed") == 0)
		own_event_note(scan, spot, body, size, &head);
	outcome_note(scan, &head);
}

/* `first`: the chain may begin anew here, as the line itself says. */
static void
line_take(struct audit_scan *scan, const struct audit_key *key, const struct spot *spot,
	const char *line, size_t size)
{
	uint8_t hash[AUDIT_HASH_SIZE], wanted[AUDIT_HASH_SIZE], previous[AUDIT_HASH_SIZE];
	bool is_first = spot->line == 1;
	size_t body_size;

	scan->lines++;
	if (size > AUDIT_LINE_MAX || audit_line_open(line, size, &body_size, hash) != 0) {
		problem(scan, spot, "the line was changed: it does not end as all lines do");
		scan->has_previous = false;
		return;
	}
	memcpy(previous, scan->last.hash, sizeof(previous));
	if (is_first && !opening_read(line, body_size, previous))
		memset(previous, 0, sizeof(previous));
	if (is_first && scan->first_file == spot->file)
		memcpy(scan->first_previous, previous, sizeof(previous));
	audit_hash(wanted, key, previous, line, body_size);
	if (sodium_memcmp(hash, wanted, AUDIT_HASH_SIZE) != 0) {
		/* After a line without form nothing can be said of the next one's hash. */
		if (is_first || scan->has_previous)
			mismatch_tell(scan, spot, line, body_size);
	} else {
		if (is_first && scan->has_previous &&
			memcmp(previous, scan->last.hash, sizeof(previous)) != 0)
			problem(scan, spot,
				"the file before does not end with the line it was left with");
		genuine_take(scan, spot, line, body_size);
	}
	scan->last.file = spot->file;
	memcpy(scan->last.hash, hash, sizeof(hash));
	scan->has_previous = true;
	if (scan->has_anchor && scan->last.seq == scan->anchor.seq)
		scan->is_anchor_met |= memcmp(hash, scan->anchor.hash, sizeof(hash)) == 0;
}

/* ---- files ---- */

int
audit_files(const char *state_dir, uint32_t *oldest, uint32_t *newest, struct reason *reason)
{
	char path[PATH_MAX];
	struct dirent *entry;
	uint32_t file;
	DIR *dir;
	int end;

	*oldest = *newest = 0;
	audit_path(path, state_dir, AUDIT_DIR);
	dir = opendir(path);
	if (dir == NULL && errno == ENOENT)
		return 0;
	if (dir == NULL)
		return reason_set(reason, errno, "%s: %s", path, strerror(errno));
	while ((entry = readdir(dir)) != NULL) {
		end = 0;
		if (sscanf(entry->d_name, "audit.%6" SCNu32 ".jsonl%n", &file, &end) != 1 ||
			end != 18 || entry->d_name[end] != '\0' || file == 0)
			continue;
		if (*oldest == 0 || file < *oldest)
			*oldest = file;
		if (file > *newest)
			*newest = file;
	}
	closedir(dir);
	return 0;
}

static FILE *
file_open(const char *path, struct reason *reason)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	FILE *file = NULL;
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		file = fdopen(fd, "r");
	else
		errno = fd >= 0 ? EINVAL : errno;
	if (file == NULL) {
		reason_set(reason, errno, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	return file;
}

static void
lines_take(struct audit_scan *scan, const struct audit_key *key, struct spot *spot, FILE *file,
	bool is_newest)
{
	size_t room = 0;
	char *line = NULL;
	ssize_t size;

	while ((size = getline(&line, &room, file)) > 0) {
		spot->line++;
		if (line[size - 1] == '\n') {
			line_take(scan, key, spot, line, (size_t)size);
			scan->whole += size;
		} else {
			scan->torn = (size_t)size;
		}
	}
	free(line);
	if (scan->torn > 0 && !is_newest) {
		problem(scan, spot, "the last line of the file was cut");
		scan->torn = 0;
	}
}

int
audit_scan_file(struct audit_scan *scan, const char *state_dir, uint32_t file, bool is_newest,
	struct reason *reason)
{
	char path[PATH_MAX];
	struct spot spot = {.path = path, .file = file};
	struct audit_key key;
	int error = 0;
	FILE *in;

	scan->torn = 0;
	scan->whole = 0;
	audit_file_path(path, state_dir, file);
	if (audit_key_of(&key, &scan->key, file) != 0) {
		scan->unchecked_file = file;
		return 0;
	}
	if (scan->first_file == 0)
		scan->first_file = file;
	in = file_open(path, reason);
	if (in == NULL) {
		error = -errno;
	} else {
		lines_take(scan, &key, &spot, in, is_newest);
		fclose(in);
		if (spot.line == 0 && scan->torn == 0 && !is_newest)
			problem(scan, &spot, "the file is empty: all its lines are missing");
	}
	sodium_memzero(&key, sizeof(key));
	return error;
}

/* ---- the whole ---- */

/* What is before the oldest file was removed by plan, or somebody else did it. */
static void
beginning_check(struct audit_scan *scan, const char *dir)
{
	struct spot spot = {.path = dir};

	if (scan->first_file <= 1 || scan->unchecked_file != 0)
		return;
	if (scan->removed_file < scan->first_file - 1)
		problem(scan, &spot,
			"files before number %" PRIu32 " are missing, and no line says that they "
			"were "
			"removed for their age",
			scan->first_file);
	else if (scan->removed_file == scan->first_file - 1 &&
		 memcmp(scan->removed_hash, scan->first_previous, AUDIT_HASH_SIZE) != 0)
		problem(scan, &spot, "the oldest file does not continue the one removed before it");
}

static void
end_check(struct audit_scan *scan, const char *state_dir)
{
	char path[PATH_MAX];
	struct spot spot = {.path = path};

	audit_path(path, state_dir, AUDIT_ANCHOR_NAME);
	if (!scan->has_anchor)
		problem(scan, &spot,
			"the anchor is missing or not genuine: last lines that were removed "
			"could not be found");
	else if (scan->anchor.seq > scan->last.seq)
		problem(scan, &spot,
			"the last lines are missing, %" PRIu64 " to %" PRIu64
			" (the anchor knows them)",
			scan->last.seq + 1, scan->anchor.seq);
	else if (!scan->is_anchor_met && scan->unchecked_file < scan->anchor.file)
		problem(scan, &spot, "line %" PRIu64 " is not the one the anchor knows",
			scan->anchor.seq);
}

/* Lines that were removed with the anchor are known to whoever found that at a start, and no other. */
static void
damage_check(struct audit_scan *scan, const char *state_dir)
{
	char path[PATH_MAX];
	struct spot spot = {.path = path, .file = scan->damaged_file, .line = 1};

	audit_file_path(path, state_dir, scan->damaged_file);
	if (scan->damaged_file != 0)
		problem(scan, &spot,
			"credgated began this file because the log before it was not as it was "
			"left");
}

int
audit_scan_all(struct audit_scan *scan, const char *state_dir, struct reason *reason)
{
	uint32_t oldest, newest;
	char path[PATH_MAX];
	int error;

	/* First, for a gateway that runs adds lines and moves it on. */
	audit_path(path, state_dir, AUDIT_ANCHOR_NAME);
	scan->has_anchor = audit_anchor_read(&scan->anchor, path, &scan->key) == 0;
	error = audit_files(state_dir, &oldest, &newest, reason);
	if (error != 0)
		return error;
	if (newest == 0)
		return reason_set(reason, ENOENT,
			"%s/" AUDIT_DIR " has no audit log; name the gateway's state directory",
			state_dir);
	for (uint32_t file = oldest; file <= newest; file++) {
		struct spot spot = {.path = path};

		error = audit_scan_file(scan, state_dir, file, file == newest, reason);
		if (error == -ENOENT) {
			audit_file_path(path, state_dir, file);
			problem(scan, &spot, "the file is missing");
		} else if (error != 0) {
			return error;
		}
	}
	scan->unknown += scan->asked != 0;
	damage_check(scan, state_dir);
	audit_path(path, state_dir, AUDIT_DIR);
	beginning_check(scan, path);
	end_check(scan, state_dir);
	return 0;
}
