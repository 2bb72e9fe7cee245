/* SPDX-License-Identifier: BSD-3-Clause */
/* What a line of the audit log says: who, what, why; and what it leaves out. */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/audit.h"

/* Longer ones are told by their size and digest: policies, batches. */
#define TEXT_SIZE_MAX   256u
#define LIST_COUNT_MAX  16u
#define DEPTH_MAX       4u
#define ARGS_SIZE_MAX   8192u
#define DIGEST_HEX_SIZE (2 * 32 + 1)
#define LOGIN_UID_NONE  4294967295u

/* Arguments and results of these names are secrets, or could be. */
static const char *const secret_names[] = {
	"key", "code", "secret", "master", "password", "private", "token", "join_code"};

/* Texts of a result that are worth a line; numbers and booleans all are. */
static const char *const told_names[] = {"name", "realm", "role", "mode", "state", "digest",
	"fingerprint", "warning", "master_fingerprint", "public_key"};

static bool
is_among(const char *name, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

#define IS_AMONG(name, names) is_among(name, names, sizeof(names) / sizeof(names[0]))

/* ---- values, shortened ---- */

/* As `b2sum -l 256` prints it. */
static void
digest_hex(char hex[DIGEST_HEX_SIZE], const char *bytes, size_t size)
{
	uint8_t digest[32];

	crypto_generichash(digest, sizeof(digest), (const unsigned char *)bytes, size, NULL, 0);
	sodium_bin2hex(hex, DIGEST_HEX_SIZE, digest, sizeof(digest));
}

static json_t *
text_shorten(const json_t *value)
{
	const char *text = json_string_value(value);
	size_t size = json_string_length(value);
	char digest[DIGEST_HEX_SIZE];

	/* The text of a key file, of a node or for signing, wherever it was put. */
	if (strncmp(text, "CGK1:", 5) == 0 || strncmp(text, "CGX1:", 5) == 0)
		return json_string("(left out)");
	if (size <= TEXT_SIZE_MAX)
		return json_stringn(text, size);
	digest_hex(digest, text, size);
	return json_pack("{s:I, s:s}", "bytes", (json_int_t)size, "digest", digest);
}

/* A batch: how much, and which. */
static json_t *
batch_shorten(const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	char digest[DIGEST_HEX_SIZE];
	size_t count = json_is_array(value) ? json_array_size(value) : json_object_size(value);

	if (text == NULL)
		return NULL;
	digest_hex(digest, text, strlen(text));
	sodium_memzero(text, strlen(text));
	free(text);
	return json_pack("{s:I, s:s}", "count", (json_int_t)count, "digest", digest);
}

static json_t *value_shorten(json_t *value, unsigned depth);

static json_t *
object_shorten(json_t *value, unsigned depth)
{
	json_t *copy = json_object(), *member;
	const char *name;

	json_object_foreach(value, name, member)
	{
		bool is_secret = IS_AMONG(name, secret_names) && !json_is_number(member);

		json_object_set_new(copy, name,
			is_secret ? json_string("(left out)") : value_shorten(member, depth + 1));
	}
	return copy;
}

static json_t *
list_shorten(json_t *value, unsigned depth)
{
	json_t *copy = json_array(), *member;
	size_t i;

	json_array_foreach(value, i, member)
		json_array_append_new(copy, value_shorten(member, depth + 1));
	return copy;
}

static json_t *
value_shorten(json_t *value, unsigned depth)
{
	if (json_is_string(value))
		return text_shorten(value);
	if (json_is_array(value))
		return depth < DEPTH_MAX && json_array_size(value) <= LIST_COUNT_MAX
			       ? list_shorten(value, depth)
			       : batch_shorten(value);
	if (json_is_object(value))
		return depth < DEPTH_MAX && json_object_size(value) <= LIST_COUNT_MAX
			       ? object_shorten(value, depth)
			       : batch_shorten(value);
	return json_deep_copy(value);
}

/* Short in every part may still be long in all: then the whole is a batch. */
static json_t *
args_shorten(json_t *args)
{
	json_t *copy = value_shorten(args, 0), *batch;

	if (copy == NULL || json_dumpb(copy, NULL, 0, JSON_COMPACT) <= ARGS_SIZE_MAX)
		return copy;
	batch = batch_shorten(args);
	json_decref(copy);
	return batch;
}

/* ---- who ---- */

/* The local file only: a directory service could keep the event loop waiting. */
static json_t *
user_name(uint32_t uid)
{
	FILE *file = fopen("/etc/passwd", "re");
	struct passwd entry, *found;
	json_t *name = NULL;
	char buffer[1024];

	if (file == NULL)
		return NULL;
	while (name == NULL && fgetpwent_r(file, &entry, buffer, sizeof(buffer), &found) == 0)
		if (entry.pw_uid == uid)
			name = json_string(entry.pw_name);
	fclose(file);
	return name;
}

/* One line of /proc/PID/NAME; a hint, for the process may be another one by now. */
static bool
proc_read(char *line, int room, pid_t pid, const char *name)
{
	char path[64];
	FILE *file;
	bool is_read;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	file = fopen(path, "re");
	if (file == NULL)
		return false;
	is_read = fgets(line, room, file) != NULL;
	fclose(file);
	line[is_read ? strcspn(line, "\n") : 0] = '\0';
	return is_read;
}

static json_t *
who_make(const struct peer *peer)
{
	char line[64];
	json_t *who;

	if (peer == NULL)
		return json_string("credgated");
	who = json_pack("{s:I, s:I}", "uid", (json_int_t)peer->uid, "pid", (json_int_t)peer->pid);
	json_object_set_new(who, "user", user_name(peer->uid));
	if (proc_read(line, sizeof(line), peer->pid, "comm"))
		json_object_set_new(who, "program", json_string(line));
	/* Who logged in, before sudo. */
	if (proc_read(line, sizeof(line), peer->pid, "loginuid") &&
		strtoul(line, NULL, 10) != LOGIN_UID_NONE)
		json_object_set_new(
			who, "login_uid", json_integer((json_int_t)strtoul(line, NULL, 10)));
	return who;
}

/* ---- lines ---- */

/* Takes the reference. */
static char *
members_text(json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);
	size_t length = text != NULL ? strlen(text) : 0;

	json_decref(line);
	if (length < 2) {
		free(text);
		return NULL;
	}
	memmove(text, text + 1, length - 2);
	text[length - 2] = '\0';
	return text;
}

/* A text of any length as one of at most TEXT_SIZE_MAX bytes that JSON can hold. */
static json_t *
text_make(const char *text)
{
	json_t *whole = text != NULL ? json_string(text) : NULL, *cut;

	if (text == NULL || (whole != NULL && json_string_length(whole) <= 2 * TEXT_SIZE_MAX))
		return whole;
	json_decref(whole);
	cut = json_sprintf("%.*s", (int)(2 * TEXT_SIZE_MAX), text);
	return cut != NULL ? cut : json_string("(no text)");
}

static void
event_add(json_t *line, const struct audit_event *event)
{
	json_object_set_new(line, "verb", json_string(event->verb));
	json_object_set_new(line, "who", who_make(event->peer));
	json_object_set_new(line, "why", text_make(event->why));
	if (event->args != NULL && json_object_size(event->args) > 0) {
		json_t *args = args_shorten(event->args);

		/* It has a place of its own. */
		if (event->why != NULL)
			json_object_del(args, "why");
		json_object_set_new(line, "args", args);
	}
}

static json_t *
result_shorten(json_t *result)
{
	json_t *copy = json_object(), *member;
	const char *name;

	json_object_foreach(result, name, member)
	{
		bool is_told = json_is_number(member) || json_is_boolean(member) ||
			       (json_is_string(member) && IS_AMONG(name, told_names));

		if (is_told)
			json_object_set_new(copy, name, value_shorten(member, DEPTH_MAX));
	}
	return copy;
}

char *
audit_asked_text(const struct audit_event *event)
{
	json_t *line = json_pack("{s:s}", "event", "asked");

	event_add(line, event);
	return members_text(line);
}

char *
audit_outcome_text(
	const struct audit_event *event, uint64_t asked, const struct audit_outcome *outcome)
{
	json_t *line = json_pack("{s:s, s:I}", "event", outcome->error == 0 ? "done" : "failed",
		"asked", (json_int_t)asked);

	if (asked == 0)
		event_add(line, event);
	else
		json_object_set_new(line, "verb", json_string(event->verb));
	if (outcome->error != 0 && outcome->reason != NULL) {
		json_object_set_new(line, "errno", json_integer(-outcome->error));
		json_object_set_new(line, "error", text_make(outcome->reason->text));
	} else if (outcome->result != NULL) {
		json_object_set_new(line, "result", result_shorten(outcome->result));
	}
	return members_text(line);
}

char *
audit_note_text(const char *verb, const char *why, json_t *details)
{
	const struct audit_event event = {.verb = verb, .why = why, .args = details};
	json_t *line = json_pack("{s:s}", "event", "note");

	event_add(line, &event);
	return members_text(line);
}
