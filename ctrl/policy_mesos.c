/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Implementation notes. Each Mesos action has its own ordered list, and a credential here stands for
 * both actions that credgate knows: it comes from a principal for a Mesos role (register_frameworks)
 * as a user (run_tasks). So it is allowed if both lists allow it. One list says the same: every pair
 * of an entry of the first and one of the second, in the order of the first and then of the second,
 * each with what both ask for, and allowed if both allow. An action without a list is not asked.
 */
#include "ctrl/policy_mesos.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/policy_file.h"

#define ENTRIES_MAX 500u
#define VALUES_MAX  1000u
#define WORDS_MAX   4096u

enum entity_type {
	ENTITY_ANY,
	ENTITY_NONE,
	ENTITY_SOME
};

struct entity {
	enum entity_type type;
	const json_t *values; /* of SOME */
};

/* One ACL: the first that matches both subjects and objects decides; NONE on a side denies. */
struct entry {
	char where[64]; /* "run_tasks[0]" */
	struct entity principals;
	struct entity objects;
	bool is_allow;
};

struct list {
	struct entry entries[ENTRIES_MAX + 1];
	unsigned count;
	bool is_there;
};

struct import {
	const struct policy_mesos_input *input;
	struct policy_mesos *made;
	struct reason *reason;
	FILE *out;
	bool is_permissive;
	struct list frameworks;
	struct list tasks;
	bool is_short_of_memory;
};

/* ---- notes ---- */

static void __attribute__((format(printf, 3, 0)))
note_put(struct import *import, const char *name, const char *format, va_list arguments)
{
	struct policy_mesos *made = import->made;
	char **notes = reallocarray(made->notes, made->note_count + 1, sizeof(*notes));
	char what[400], *line = NULL;

	if (notes != NULL)
		made->notes = notes;
	vsnprintf(what, sizeof(what), format, arguments);
	if (notes == NULL || asprintf(&line, "%s: %s", name, what) < 0)
		import->is_short_of_memory = true;
	else
		notes[made->note_count++] = line;
}

static void __attribute__((format(printf, 3, 4)))
note(struct import *import, const char *name, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	note_put(import, name, format, arguments);
	va_end(arguments);
}

/* Something that is not in the policy, though the file says it. */
static void __attribute__((format(printf, 3, 4)))
gap(struct import *import, const char *name, const char *format, ...)
{
	va_list arguments;

	import->made->gap_count++;
	va_start(arguments, format);
	note_put(import, name, format, arguments);
	va_end(arguments);
}

/* ---- names ---- */

/* A Mesos name with the letters that names have here. True if it is another one now. */
static bool
name_make(char name[REGISTRY_ROLE_SIZE], const char *from)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";

	snprintf(name, REGISTRY_ROLE_SIZE, "%s", from[0] != '\0' ? from : "-");
	for (char *c = name; *c != '\0'; c++)
		if (strchr(letters, *c) == NULL)
			*c = '-';
	return strcmp(name, from) != 0;
}

/* What is wrong, and in which of the files. */
static int __attribute__((format(printf, 4, 0))) wrong_put(const struct import *import,
	const char *name, const char *where, const char *format, va_list arguments)
{
	char what[256];

	vsnprintf(what, sizeof(what), format, arguments);
	return reason_set(import->reason, EINVAL, "%s: %s: %s", name, where, what);
}

/* ---- the form of an ACL file ---- */

static int __attribute__((format(printf, 3, 4)))
wrong(const struct import *import, const char *where, const char *format, ...)
{
	va_list arguments;
	int error;

	va_start(arguments, format);
	error = wrong_put(import, import->input->acls_name, where, format, arguments);
	va_end(arguments);
	return error;
}

static int
entity_type(
	const struct import *import, const char *where, const json_t *type, struct entity *entity)
{
	static const char *const names[] = {"ANY", "NONE", "SOME"};
	const char *text = json_string_value(type);

	for (unsigned i = 0; text != NULL && i < 3; i++)
		if (strcmp(text, names[i]) == 0) {
			entity->type = i;
			return 0;
		}
	return wrong(import, where, "type is not ANY, NONE or SOME; a name belongs into values");
}

/* {"type": "ANY"}, {"type": "NONE"}, or {"values": [...]}, whose type is SOME. */
static int
entity_read(const struct import *import, const char *entry, const char *key, const json_t *from,
	struct entity *entity)
{
	const json_t *type = json_object_get(from, "type"), *value;
	char where[96];
	size_t i;
	int error;

	snprintf(where, sizeof(where), "%s.%s", entry, key);
	*entity = (struct entity){ENTITY_SOME, json_object_get(from, "values")};
	if (!json_is_object(from))
		return wrong(import, where,
			"is missing, or no {\"values\": [...]} or "
			"{\"type\": ...}");
	error = type != NULL ? entity_type(import, where, type, entity) : 0;
	if (error != 0 || entity->type != ENTITY_SOME)
		return error;
	if (entity->values != NULL && !json_is_array(entity->values))
		return wrong(import, where, "values is no list");
	if (json_array_size(entity->values) > VALUES_MAX)
		return wrong(import, where, "has more than %u values", VALUES_MAX);
	json_array_foreach(entity->values, i, value)
	{
		if (!json_is_string(value))
			return wrong(import, where, "values has something that is no text");
	}
	return 0;
}

static int
entry_read(
	const struct import *import, const char *objects, const json_t *from, struct entry *entry)
{
	int error = json_is_object(from) ? 0 : wrong(import, entry->where, "is no object");

	if (error == 0)
		error = entity_read(import, entry->where, "principals",
			json_object_get(from, "principals"), &entry->principals);
	if (error == 0)
		error = entity_read(import, entry->where, objects, json_object_get(from, objects),
			&entry->objects);
	entry->is_allow =
		entry->principals.type != ENTITY_NONE && entry->objects.type != ENTITY_NONE;
	return error;
}

static int
list_read(struct import *import, const char *action, const char *objects, struct list *list)
{
	const json_t *from = json_object_get(import->input->acls, action), *item;
	size_t i;
	int error = 0;

	list->is_there = from != NULL;
	if (from != NULL && !json_is_array(from))
		return wrong(import, action, "is no list");
	if (json_array_size(from) > ENTRIES_MAX)
		return wrong(import, action, "has more than %u ACLs", ENTRIES_MAX);
	json_array_foreach(from, i, item)
	{
		struct entry *entry = &list->entries[list->count];

		snprintf(entry->where, sizeof(entry->where), "%s[%zu]", action, i);
		error = entry_read(import, objects, item, entry);
		if (error != 0)
			return error;
		list->count++;
	}
	/* Who is in none of them: as `permissive` says. */
	list->entries[list->count++] = (struct entry){
		.where = "permissive",
		.principals.type = ENTITY_ANY,
		.objects.type = ENTITY_ANY,
		.is_allow = import->is_permissive,
	};
	return 0;
}

/* Actions that a credential says nothing about: each ACL is told. */
static void
others_tell(struct import *import)
{
	const char *name = import->input->acls_name, *action;
	json_t *copy = json_deep_copy(import->input->acls), *list;

	json_object_foreach(copy, action, list)
	{
		if (strcmp(action, "permissive") == 0 ||
			strcmp(action, "register_frameworks") == 0 ||
			strcmp(action, "run_tasks") == 0)
			continue;
		for (size_t i = 0; i < json_array_size(list); i++)
			gap(import, name,
				"%.40s[%zu]: not imported: credentials say nothing about this "
				"action",
				action, i);
		if (json_array_size(list) == 0)
			gap(import, name, "%.40s: not imported: no action that is known", action);
	}
	json_decref(copy);
}

static int
acls_read(struct import *import)
{
	const json_t *permissive = json_object_get(import->input->acls, "permissive");
	int error;

	if (!json_is_object(import->input->acls))
		return wrong(import, "file", "is no object");
	if (permissive != NULL && !json_is_boolean(permissive))
		return wrong(import, "permissive", "is not true or false");
	import->is_permissive = permissive == NULL || json_is_true(permissive);
	error = list_read(import, "register_frameworks", "roles", &import->frameworks);
	if (error == 0)
		error = list_read(import, "run_tasks", "users", &import->tasks);
	if (error == 0)
		others_tell(import);
	return error;
}

/* ---- rules ---- */

/* The values of one key as a list of texts, each once. */
struct words {
	char items[WORDS_MAX][REGISTRY_ROLE_SIZE + 16];
	unsigned count;
};

static void
word_add(struct words *words, const char *word)
{
	for (unsigned i = 0; i < words->count; i++)
		if (strcmp(words->items[i], word) == 0)
			return;
	if (words->count < WORDS_MAX)
		snprintf(words->items[words->count++], sizeof(words->items[0]), "%s", word);
}

static void
words_print(FILE *out, const char *key, const struct words *words, bool *is_first)
{
	fprintf(out, "%s%s: [", *is_first ? "" : ", ", key);
	for (unsigned i = 0; i < words->count; i++)
		fprintf(out, "%s\"%s\"", i > 0 ? ", " : "", words->items[i]);
	fprintf(out, "]");
	*is_first = false;
}

static bool
entity_has(const struct entity *entity, const char *value)
{
	const json_t *item;
	size_t i;

	if (entity->type != ENTITY_SOME)
		return true;
	json_array_foreach(entity->values, i, item)
	{
		if (strcmp(json_string_value(item), value) == 0)
			return true;
	}
	return false;
}

/* Principals that both ask for; false: everybody. */
static bool
principals_make(const struct entry *a, const struct entry *b, struct words *words)
{
	const struct entity *some = &a->principals, *other = &b->principals;
	char name[REGISTRY_ROLE_SIZE];
	const json_t *item;
	size_t i;

	words->count = 0;
	if (some->type != ENTITY_SOME) {
		some = &b->principals;
		other = &a->principals;
	}
	if (some->type != ENTITY_SOME)
		return false;
	json_array_foreach(some->values, i, item)
	{
		if (!entity_has(other, json_string_value(item)))
			continue;
		name_make(name, json_string_value(item));
		word_add(words, name);
	}
	return true;
}

/*
 * What cannot be said is left out of an allow, which is then narrower. Left out of a deny it would
 * let pass what Mesos does not: there it stays as a word that no policy takes.
 */
static void
value_lost(struct words *words, bool is_allow, const char *value)
{
	char name[REGISTRY_ROLE_SIZE], word[REGISTRY_ROLE_SIZE + 16];

	if (is_allow)
		return;
	name_make(name, value);
	snprintf(word, sizeof(word), "DECIDE %s", name);
	word_add(words, word);
}

static bool
audiences_make(const struct entity *roles, bool is_allow, struct words *words)
{
	char name[REGISTRY_ROLE_SIZE];
	const json_t *item;
	size_t i;

	words->count = 0;
	json_array_foreach(roles->values, i, item)
	{
		const char *role = json_string_value(item);

		if (strcmp(role, "*") == 0) {
			word_add(words, POLICY_AUDIENCE_ANY);
		} else if (strchr(role, '%') != NULL) {
			value_lost(words, is_allow, role);
		} else {
			name_make(name, role);
			word_add(words, name);
		}
	}
	return roles->type == ENTITY_SOME;
}

static bool
uid_find(const struct import *import, const char *user, uint32_t *uid)
{
	char *end;
	unsigned long number = strtoul(user, &end, 10);

	if (*user >= '0' && *user <= '9' && *end == '\0' && number < UINT32_MAX) {
		*uid = (uint32_t)number;
		return true;
	}
	return import->input->uid_of(import->input->context, user, uid);
}

static bool
uids_make(
	const struct import *import, const struct entity *users, bool is_allow, struct words *words)
{
	const json_t *item;
	char text[16];
	uint32_t uid;
	size_t i;

	words->count = 0;
	json_array_foreach(users->values, i, item)
	{
		if (!uid_find(import, json_string_value(item), &uid)) {
			value_lost(words, is_allow, json_string_value(item));
			continue;
		}
		snprintf(text, sizeof(text), "%u", uid);
		word_add(words, text);
	}
	return users->type == ENTITY_SOME;
}

/* One rule for a pair of entries; nothing if no credential is in both. */
static void
rule_print(struct import *import, const struct entry *framework, const struct entry *task)
{
	bool is_allow = framework->is_allow && task->is_allow, is_first = true;
	struct words *lists = calloc(3, sizeof(*lists));
	bool has[3];

	if (lists == NULL) {
		import->is_short_of_memory = true;
		return;
	}
	has[0] = principals_make(framework, task, &lists[0]);
	has[1] = audiences_make(&framework->objects, is_allow, &lists[1]);
	has[2] = uids_make(import, &task->objects, is_allow, &lists[2]);
	for (unsigned i = 0; i < 3; i++)
		if (has[i] && lists[i].count == 0) {
			free(lists);
			return;
		}
	fprintf(import->out, "  # %s%s%s\n  - %s: {",
		import->frameworks.is_there ? framework->where : "",
		import->frameworks.is_there && import->tasks.is_there ? " and " : "",
		import->tasks.is_there ? task->where : "", is_allow ? "allow" : "deny");
	if (has[0])
		words_print(import->out, "roles", &lists[0], &is_first);
	if (has[1])
		words_print(import->out, "audiences", &lists[1], &is_first);
	if (has[2])
		words_print(import->out, "uids", &lists[2], &is_first);
	fprintf(import->out, "}\n");
	free(lists);
}

static void
rules_print(struct import *import)
{
	static const struct entry open = {
		.principals.type = ENTITY_ANY, .objects.type = ENTITY_ANY, .is_allow = true};
	const struct list *frameworks = &import->frameworks, *tasks = &import->tasks;

	if (!frameworks->is_there && !tasks->is_there) {
		/* Nothing is asked, and that is not the same as an empty list of rules. */
		if (import->input->limits == NULL)
			fprintf(import->out, "limits: []\n");
		return;
	}
	fprintf(import->out, "rules:\n");
	for (unsigned i = 0; i < (frameworks->is_there ? frameworks->count : 1); i++)
		for (unsigned j = 0; j < (tasks->is_there ? tasks->count : 1); j++)
			rule_print(import, frameworks->is_there ? &frameworks->entries[i] : &open,
				tasks->is_there ? &tasks->entries[j] : &open);
}

/* ---- what is to be said about values: once each, not once per rule ---- */

static void
roles_tell(struct import *import, const struct entry *entry)
{
	const char *name = import->input->acls_name;
	const json_t *item;
	size_t i;

	json_array_foreach(entry->objects.values, i, item)
	{
		const char *role = json_string_value(item);
		char audience[REGISTRY_ROLE_SIZE];

		if (strcmp(role, "*") == 0)
			note(import, name, "%s: Mesos role * is audience any (0) here",
				entry->where);
		else if (strchr(role, '%') != NULL)
			gap(import, name,
				"%s: role %.60s: a tree of roles cannot be said; name its "
				"audiences one by one",
				entry->where, role);
		else if (name_make(audience, role))
			note(import, name, "%s: role %.60s is audience %s here", entry->where, role,
				audience);
	}
}

static void
users_tell(struct import *import, const struct entry *entry)
{
	const json_t *item;
	uint32_t uid;
	size_t i;

	json_array_foreach(entry->objects.values, i, item)
	{
		if (!uid_find(import, json_string_value(item), &uid))
			gap(import, import->input->acls_name,
				"%s: user %.60s is not known here: %s; put its uid in",
				entry->where, json_string_value(item),
				entry->is_allow ? "left out"
						: "the policy cannot be applied before you");
	}
}

static void
entry_tell(struct import *import, const struct entry *entry)
{
	const char *name = import->input->acls_name;
	const json_t *item;
	size_t i;

	json_array_foreach(entry->principals.values, i, item)
	{
		char role[REGISTRY_ROLE_SIZE];

		if (name_make(role, json_string_value(item)))
			note(import, name, "%s: principal %.60s is role %s here", entry->where,
				json_string_value(item), role);
	}
	if ((entry->principals.type == ENTITY_SOME &&
		    json_array_size(entry->principals.values) == 0) ||
		(entry->objects.type == ENTITY_SOME && json_array_size(entry->objects.values) == 0))
		note(import, name, "%s: has an empty list, so it matches nothing, as in Mesos",
			entry->where);
}

static void
acls_tell(struct import *import)
{
	const char *name = import->input->acls_name;

	for (unsigned i = 0; i + 1 < import->frameworks.count; i++) {
		entry_tell(import, &import->frameworks.entries[i]);
		roles_tell(import, &import->frameworks.entries[i]);
	}
	for (unsigned i = 0; i + 1 < import->tasks.count; i++) {
		entry_tell(import, &import->tasks.entries[i]);
		users_tell(import, &import->tasks.entries[i]);
	}
	note(import, name,
		"a principal is a role of nodes here: give each node one role, that of the "
		"principal it speaks for");
	if (import->frameworks.is_there && import->tasks.is_there)
		note(import, name,
			"a credential is for an audience and of a uid at once: it is allowed if "
			"register_frameworks and run_tasks both allow it");
	else if (!import->is_permissive)
		note(import, name,
			"%s is not in the file: Mesos would refuse all of it, here it is not "
			"asked",
			import->frameworks.is_there ? "run_tasks" : "register_frameworks");
	if (!import->is_permissive)
		note(import, name,
			"what no ACL matches is denied in every mode of the realm, as permissive "
			"is false; remove the last rule to leave it to the mode");
}

/* ---- limits ---- */

static int __attribute__((format(printf, 3, 4)))
limit_wrong(const struct import *import, const char *where, const char *format, ...)
{
	va_list arguments;
	int error;

	va_start(arguments, format);
	error = wrong_put(import, import->input->limits_name, where, format, arguments);
	va_end(arguments);
	return error;
}

/* "rate: R, burst: B": what Mesos keeps waiting passes at once here. */
static int
rate_print(struct import *import, const char *where, const json_t *qps, const json_t *capacity)
{
	double rate = json_number_value(qps);
	json_int_t room = json_integer_value(capacity);

	if (!json_is_number(qps) || rate < POLICY_RATE_MIN || rate > POLICY_RATE_MAX)
		return limit_wrong(import, where, "qps is no number from 0.001 to 100000000");
	if (capacity != NULL && (!json_is_integer(capacity) || room < 0))
		return limit_wrong(import, where, "capacity is no whole number");
	fprintf(import->out, "rate: %.9g", rate);
	if (capacity == NULL) {
		note(import, import->input->limits_name,
			"%s: without a capacity Mesos keeps any number waiting; here a second's "
			"worth passes at once, and the rest gets over-rate and comes again",
			where);
		return 0;
	}
	if (room > (json_int_t)POLICY_BURST_MAX || room == 0) {
		gap(import, import->input->limits_name, "%s: capacity %lld becomes %lld", where,
			(long long)room, room == 0 ? 1ll : (long long)POLICY_BURST_MAX);
		room = room == 0 ? 1 : (json_int_t)POLICY_BURST_MAX;
	}
	note(import, import->input->limits_name,
		"%s: Mesos keeps up to %lld waiting and drops the rest; here as many pass at once, "
		"and the rest gets over-rate and comes again",
		where, (long long)room);
	fprintf(import->out, ", burst: %lld", (long long)room);
	return 0;
}

static bool
is_told_before(const json_t *list, size_t index, const char *principal)
{
	for (size_t i = 0; i < index; i++) {
		const char *other =
			json_string_value(json_object_get(json_array_get(list, i), "principal"));

		if (other != NULL && strcmp(other, principal) == 0)
			return true;
	}
	return false;
}

static int
limit_print(struct import *import, const json_t *list, size_t index)
{
	const json_t *item = json_array_get(list, index), *qps = json_object_get(item, "qps");
	const char *principal = json_string_value(json_object_get(item, "principal"));
	char role[REGISTRY_ROLE_SIZE], where[48];
	int error;

	snprintf(where, sizeof(where), "limits[%zu]", index);
	if (principal == NULL)
		return limit_wrong(import, where, "has no principal");
	if (is_told_before(list, index, principal))
		return limit_wrong(import, where, "principal %.60s is there twice", principal);
	if (name_make(role, principal))
		note(import, import->input->limits_name, "%s: principal %.60s is role %s here",
			where, principal, role);
	fprintf(import->out, "  - {role: \"%s\", ", role);
	if (qps == NULL) {
		if (json_object_get(item, "capacity") != NULL)
			note(import, import->input->limits_name,
				"%s: without a qps its capacity means nothing, as in Mesos", where);
		fprintf(import->out, "rate: unlimited}\n");
		return 0;
	}
	error = rate_print(import, where, qps, json_object_get(item, "capacity"));
	fprintf(import->out, "}\n");
	return error;
}

static void
limit_keys_tell(struct import *import, const json_t *limits)
{
	json_t *copy = json_deep_copy(limits), *value;
	const char *key;

	json_object_foreach(copy, key, value)
	{
		(void)value;
		if (strcmp(key, "limits") != 0 && strcmp(key, "aggregate_default_qps") != 0 &&
			strcmp(key, "aggregate_default_capacity") != 0)
			gap(import, import->input->limits_name,
				"%.60s: not imported: no key that is known", key);
	}
	json_decref(copy);
}

static int
limits_print(struct import *import)
{
	const json_t *limits = import->input->limits, *list = json_object_get(limits, "limits");
	const json_t *qps = json_object_get(limits, "aggregate_default_qps");
	const json_t *capacity = json_object_get(limits, "aggregate_default_capacity");
	int error = 0;

	if (!json_is_object(limits) || (list != NULL && !json_is_array(list)))
		return limit_wrong(import, "limits", "is no list");
	if (json_array_size(list) > POLICY_LIMITS_MAX - 1)
		return limit_wrong(import, "limits", "has more than %u", POLICY_LIMITS_MAX - 1);
	limit_keys_tell(import, limits);
	fprintf(import->out, "limits:%s\n", json_array_size(list) == 0 && qps == NULL ? " []" : "");
	for (size_t i = 0; error == 0 && i < json_array_size(list); i++)
		error = limit_print(import, list, i);
	if (error == 0 && qps != NULL) {
		fprintf(import->out, "  - {default: aggregate, ");
		error = rate_print(import, "aggregate_default_qps", qps, capacity);
		fprintf(import->out, "}\n");
	} else if (error == 0 && capacity != NULL) {
		note(import, import->input->limits_name,
			"aggregate_default_capacity: without aggregate_default_qps it means "
			"nothing, as in Mesos");
	}
	return error;
}

/* ---- the whole ---- */

static int
import_run(struct import *import)
{
	const struct policy_mesos_input *input = import->input;
	int error = input->acls != NULL ? acls_read(import) : 0;

	fprintf(import->out, "# From the Mesos %s%s%s%s%s\n", input->acls != NULL ? "ACLs in " : "",
		input->acls != NULL ? input->acls_name : "",
		input->acls != NULL && input->limits != NULL ? " and " : "",
		input->limits != NULL ? "rate limits in " : "",
		input->limits != NULL ? input->limits_name : "");
	if (error == 0 && input->acls != NULL) {
		acls_tell(import);
		rules_print(import);
	}
	if (error == 0 && input->limits != NULL)
		error = limits_print(import);
	return error;
}

int
policy_mesos_import(
	const struct policy_mesos_input *input, struct policy_mesos *made, struct reason *reason)
{
	struct import *import = calloc(1, sizeof(*import));
	size_t size = 0;
	int error;

	*made = (struct policy_mesos){0};
	if (import == NULL)
		return reason_set(reason, ENOMEM, "no memory for the import");
	*import = (struct import){.input = input, .made = made, .reason = reason};
	import->out = open_memstream(&made->text, &size);
	error = import->out != NULL ? import_run(import) : -ENOMEM;
	if (import->out != NULL && (ferror(import->out) || fclose(import->out) != 0))
		error = -ENOMEM;
	if (error == -ENOMEM || import->is_short_of_memory)
		error = reason_set(reason, ENOMEM, "no memory for the import");
	free(import);
	return error;
}

void
policy_mesos_fini(struct policy_mesos *made)
{
	for (unsigned i = 0; i < made->note_count; i++)
		free(made->notes[i]);
	free(made->notes);
	free(made->text);
	*made = (struct policy_mesos){0};
}
