/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/whitelist.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctrl/clock.h"
#include "ctrl/filecheck.h"
#include "ctrl/log.h"
#include "ctrl/whitelist_parse.h"

/* A file that stays bad is looked at again, and complained about, this often. */
#define RETRY_US 60000000ull

/* Which state of a file this is; all zero: there is none. */
struct identity {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec written;
	struct timespec changed; /* mode and owner too */
};
static_assert(sizeof(struct identity) == 56, "compared as bytes: nothing lies between the members");

struct digest {
	uint8_t bytes[crypto_generichash_BYTES];
};

struct whitelist {
	bool is_used; /* the configuration names a file */
	char path[CONFIG_PATH_SIZE];
	char realm[CONFIG_NAME_SIZE];
	uint32_t realm_id;
	struct name_set names; /* in force */
	bool has_names;        /* an empty list is one too */
	struct digest digest;  /* of the text in force, and of what the registry has of it */
	struct digest kept;
	uint64_t taken_us;
	bool is_due;            /* it changed, and the nodes do not know it yet */
	struct identity tried;  /* the file at the last try to take it */
	struct identity before; /* and a second ago */
	uint64_t tried_us;      /* monotonic clock */
	uint64_t failed_us;     /* real-time clock; 0: the file is in force */
	char fault[REASON_SIZE];
};

struct whitelists {
	struct registry *registry;
	uid_t owner;
	struct whitelist lists[TABLE_REALMS_MAX];
};

/* ---- small things ---- */

static struct identity
identity_of(const char *path)
{
	struct identity identity = {0};
	struct stat st;

	if (stat(path, &st) != 0)
		return identity;
	identity.device = st.st_dev;
	identity.inode = st.st_ino;
	identity.size = st.st_size;
	identity.written = st.st_mtim;
	identity.changed = st.st_ctim;
	return identity;
}

static bool
is_same_file(const struct identity *one, const struct identity *other)
{
	return memcmp(one, other, sizeof(*one)) == 0;
}

static struct digest
digest_of(const char *text, size_t size)
{
	struct digest digest;

	crypto_generichash(
		digest.bytes, sizeof(digest.bytes), (const uint8_t *)text, size, NULL, 0);
	return digest;
}

static bool
is_same_text(const struct digest *one, const struct digest *other)
{
	return memcmp(one, other, sizeof(*one)) == 0;
}

/* ---- the last good list ---- */

/*
 * What is in force is to be found after a restart. If it cannot be kept it is in force all the
 * same, and the next try is a minute away.
 */
static void
text_keep(struct whitelists *lists, struct whitelist *list, const char *text)
{
	struct reason reason;

	if (is_same_text(&list->kept, &list->digest))
		return;
	if (registry_document_put(lists->registry, list->realm_id, WHITELIST_KIND, text, list->path,
		    NULL, &reason) == 0)
		list->kept = list->digest;
	else
		log_error(list->realm,
			"the whitelist is in force, but a restart would not know it if the file "
			"is bad then: %s",
			reason.text);
}

/* The realm has no list any more: then a later one must not begin with this one's last good. */
static void
text_drop(struct whitelists *lists, uint32_t realm_id, const char *realm)
{
	struct registry_document document;
	struct reason reason;

	if (registry_document_get(
		    lists->registry, realm_id, WHITELIST_KIND, 0, &document, &reason) != 0)
		return;
	free(document.text);
	if (registry_document_put(lists->registry, realm_id, WHITELIST_KIND, NULL, "configuration",
		    NULL, &reason) != 0)
		log_error(realm, "the old whitelist is not forgotten: %s", reason.text);
}

/* As it was at the last run. */
static void
text_recall(struct whitelists *lists, struct whitelist *list)
{
	struct registry_document document;
	struct reason reason;
	size_t size;

	if (registry_document_get(
		    lists->registry, list->realm_id, WHITELIST_KIND, 0, &document, &reason) != 0)
		return;
	size = strlen(document.text);
	if (whitelist_parse(&list->names, "the list kept", document.text, size, &reason) == 0) {
		list->has_names = true;
		list->digest = digest_of(document.text, size);
		list->kept = list->digest;
		list->taken_us = (uint64_t)document.added_s * 1000000;
	}
	free(document.text);
}

/* ---- a file ---- */

/* Takes the text if it is one; else nothing changed. */
static int
text_take(struct whitelists *lists, struct whitelist *list, const char *text, size_t size,
	struct reason *reason)
{
	struct digest digest = digest_of(text, size);
	struct name_set names = {0};
	int error;

	if (list->has_names && is_same_text(&digest, &list->digest)) {
		text_keep(lists, list, text);
		return 0;
	}
	error = whitelist_parse(&names, list->path, text, size, reason);
	if (error != 0)
		return error;
	name_set_clear(&list->names);
	list->names = names;
	list->has_names = true;
	list->digest = digest;
	list->taken_us = clock_real_us();
	text_keep(lists, list, text);
	log_info(list->realm, "%u names of %s may speak%s", names.count, list->path,
		names.count == 0 ? ": nobody" : "");
	return 0;
}

static void
fault_note(struct whitelist *list, const struct reason *reason)
{
	list->failed_us = clock_real_us();
	snprintf(list->fault, sizeof(list->fault), "%s", reason->text);
	if (list->has_names)
		log_error(list->realm,
			"whitelist: %s; the last good list, of %u names, stays in force",
			list->fault, list->names.count);
	else
		log_error(list->realm, "whitelist: %s; nobody may speak until it is good",
			list->fault);
}

/* Returns what is wrong with the file; the list in force is another if its digest is. */
static int
file_take(struct whitelists *lists, struct whitelist *list, struct reason *reason)
{
	char *text = NULL;
	size_t size = 0;
	int error;

	list->tried = identity_of(list->path);
	list->before = list->tried;
	list->tried_us = clock_mono_us();
	error = filecheck_read(list->path, lists->owner, WHITELIST_SIZE_MAX, &text, &size, reason);
	if (error == 0)
		error = text_take(lists, list, text, size, reason);
	free(text);
	if (error != 0) {
		fault_note(list, reason);
		return error;
	}
	if (list->failed_us != 0)
		log_info(list->realm, "whitelist: %s is good again", list->path);
	list->failed_us = 0;
	return 0;
}

static bool
has_news(struct whitelist *list)
{
	struct identity now = identity_of(list->path);
	bool is_settled = is_same_file(&now, &list->before);
	bool is_late = clock_mono_us() - list->tried_us >= RETRY_US;
	bool is_open = list->failed_us != 0 || !is_same_text(&list->digest, &list->kept);

	list->before = now;
	return (is_settled && !is_same_file(&now, &list->tried)) || (is_open && is_late);
}

bool
whitelists_look(struct whitelists *lists)
{
	bool is_any_due = false;
	struct reason reason;

	for (unsigned i = 0; i < TABLE_REALMS_MAX; i++) {
		struct whitelist *list = &lists->lists[i];
		struct digest before = list->digest;

		if (list->is_used && has_news(list))
			file_take(lists, list, &reason);
		list->is_due |= !is_same_text(&before, &list->digest);
		is_any_due |= list->is_due;
	}
	return is_any_due;
}

void
whitelists_done(struct whitelists *lists)
{
	for (unsigned i = 0; i < TABLE_REALMS_MAX; i++)
		lists->lists[i].is_due = false;
}

/* ---- the configuration ---- */

/* The list of a realm that had none, or a copy to try another file with. */
static void
list_begin(struct whitelists *lists, struct whitelist *list, const struct config_realm *realm)
{
	list->is_used = true;
	list->realm_id = realm->id;
	snprintf(list->realm, sizeof(list->realm), "%s", realm->name);
	snprintf(list->path, sizeof(list->path), "%s", realm->whitelist);
	if (!list->has_names)
		text_recall(lists, list);
}

static void
list_end(struct whitelist *list)
{
	name_set_clear(&list->names);
	*list = (struct whitelist){0};
}

/* Without a list to go on with there must be a good file: all else would be a guess. */
static int
file_check(struct whitelists *lists, const struct config_realm *realm, struct reason *reason)
{
	struct name_set names = {0};
	char *text = NULL;
	size_t size = 0;
	int error;

	error = filecheck_read(
		realm->whitelist, lists->owner, WHITELIST_SIZE_MAX, &text, &size, reason);
	if (error == 0)
		error = whitelist_parse(&names, realm->whitelist, text, size, reason);
	name_set_clear(&names);
	free(text);
	return error;
}

static int
realm_check(struct whitelists *lists, unsigned index, const struct config_realm *realm,
	struct reason *reason)
{
	struct whitelist trial = {0};
	struct reason why;
	bool has_names;
	int error;

	if (realm->whitelist[0] == '\0' || lists->lists[index].has_names)
		return 0;
	list_begin(lists, &trial, realm);
	has_names = trial.has_names;
	list_end(&trial);
	error = has_names ? 0 : file_check(lists, realm, &why);
	if (error != 0)
		return reason_set(reason, -error,
			"realm %s: whitelist: %.500s; there is no earlier list to go on with",
			realm->name, why.text);
	return 0;
}

int
whitelists_load(struct whitelists *lists, const struct config *config, struct reason *reason)
{
	struct reason why;
	int error = 0;

	for (unsigned i = 0; error == 0 && i < config->realm_count; i++)
		error = realm_check(lists, i, &config->realms[i], reason);
	for (unsigned i = 0; error == 0 && i < config->realm_count; i++) {
		const struct config_realm *realm = &config->realms[i];
		struct whitelist *list = &lists->lists[i];

		if (realm->whitelist[0] != '\0') {
			list_begin(lists, list, realm);
			file_take(lists, list, &why);
			continue;
		}
		list_end(list);
	}
	return error;
}

void
whitelists_forget(struct whitelists *lists, const struct config *config)
{
	for (unsigned i = 0; i < config->realm_count; i++)
		if (config->realms[i].whitelist[0] == '\0')
			text_drop(lists, config->realms[i].id, config->realms[i].name);
}

bool
whitelist_has(const struct whitelists *lists, unsigned realm_index, const char *name)
{
	const struct whitelist *list = &lists->lists[realm_index];

	return !list->is_used || name_set_has(&list->names, name);
}

struct whitelist_view
whitelist_view(const struct whitelists *lists, unsigned realm_index)
{
	const struct whitelist *list = &lists->lists[realm_index];

	if (!list->is_used)
		return (struct whitelist_view){0};
	return (struct whitelist_view){
		.path = list->path,
		.fault = list->failed_us != 0 ? list->fault : NULL,
		.count = list->names.count,
		.taken_us = list->taken_us,
		.failed_us = list->failed_us,
		.is_due = list->is_due,
	};
}

struct whitelists *
whitelists_create(struct registry *registry, uid_t owner)
{
	struct whitelists *lists = calloc(1, sizeof(*lists));

	if (lists != NULL) {
		lists->registry = registry;
		lists->owner = owner;
	}
	return lists;
}

void
whitelists_destroy(struct whitelists *lists)
{
	if (lists == NULL)
		return;
	for (unsigned i = 0; i < TABLE_REALMS_MAX; i++)
		list_end(&lists->lists[i]);
	free(lists);
}
