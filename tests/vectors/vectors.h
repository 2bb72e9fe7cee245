/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Reader of tests/vectors/native-v1.txt and files like it (the format is at the top of that file):
 * one record per line, its type, then name=value fields. A field that a test asks for and that is
 * not there ends the program: a vector that is silently skipped proves nothing.
 *
 * The program must be built with vectors_dep, which says where the files are.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct vectors {
	FILE *file;
	char *line;
	size_t line_room;
	unsigned number; /* of the line, from 1 */
};

__attribute__((noreturn)) static inline void
vectors_die(const struct vectors *v, const char *what, const char *name)
{
	fprintf(stderr, "vectors: line %u: %s: %s\n", v->number, what, name);
	exit(1);
}

/* `path` is relative to tests/, as "vectors/native-v1.txt". */
static inline void
vectors_open(struct vectors *v, const char *path)
{
	char full[4096];

	memset(v, 0, sizeof(*v));
	snprintf(full, sizeof(full), "%s/%s", VECTORS_TESTS_DIR, path);
	v->file = fopen(full, "re");
	if (v->file == NULL)
		vectors_die(v, "cannot open", full);
}

static inline void
vectors_close(struct vectors *v)
{
	fclose(v->file);
	free(v->line);
}

/* The next record of any type; false at the end of the file. */
static inline bool
vectors_next_any(struct vectors *v)
{
	ssize_t length;

	while ((length = getline(&v->line, &v->line_room, v->file)) > 0) {
		v->number++;
		if (v->line[length - 1] == '\n')
			v->line[--length] = '\0';
		if (length > 0 && v->line[0] != '#')
			return true;
	}
	return false;
}

static inline bool
vectors_is(const struct vectors *v, const char *type)
{
	size_t length = strlen(type);

	return strncmp(v->line, type, length) == 0 && v->line[length] == ' ';
}

/* The next record of `type`; false when there is none. */
static inline bool
vectors_next(struct vectors *v, const char *type)
{
	while (vectors_next_any(v)) {
		if (vectors_is(v, type))
			return true;
	}
	return false;
}

/* The value of a field, not NUL-terminated. */
static inline const char *
vectors_value(const struct vectors *v, const char *name, size_t *length)
{
	size_t name_length = strlen(name);
	const char *p = v->line;

	while ((p = strchr(p, ' ')) != NULL) {
		p++;
		if (strncmp(p, name, name_length) == 0 && p[name_length] == '=') {
			p += name_length + 1;
			*length = strcspn(p, " ");
			return p;
		}
	}
	vectors_die(v, "no such field", name);
}

static inline bool
vectors_value_is(const struct vectors *v, const char *name, const char *wanted)
{
	size_t length;
	const char *value = vectors_value(v, name, &length);

	return length == strlen(wanted) && memcmp(value, wanted, length) == 0;
}

/* Copies a field as a string and returns its length. */
static inline size_t
vectors_string(const struct vectors *v, const char *name, char *out, size_t room)
{
	size_t length;
	const char *value = vectors_value(v, name, &length);

	if (length >= room)
		vectors_die(v, "field is too long", name);
	memcpy(out, value, length);
	out[length] = '\0';
	return length;
}

static inline uint64_t
vectors_number(const struct vectors *v, const char *name)
{
	size_t length;
	const char *value = vectors_value(v, name, &length);
	char *end;
	uint64_t number = strtoull(value, &end, 10);

	if (length == 0 || end != value + length)
		vectors_die(v, "not a number", name);
	return number;
}

static inline unsigned
vectors_digit(const struct vectors *v, const char *name, char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	if (at == NULL)
		vectors_die(v, "not hex", name);
	return (unsigned)(at - digits);
}

/* Decodes a hex field into `out` and returns its bytes. */
static inline size_t
vectors_bytes(const struct vectors *v, const char *name, uint8_t *out, size_t room)
{
	size_t length, i;
	const char *value = vectors_value(v, name, &length);

	if (length % 2 != 0 || length / 2 > room)
		vectors_die(v, "not a byte string of that size", name);
	for (i = 0; i < length / 2; i++)
		out[i] = (uint8_t)(vectors_digit(v, name, value[2 * i]) << 4 |
				   vectors_digit(v, name, value[2 * i + 1]));
	return length / 2;
}

/* As vectors_bytes, for a field of exactly `size` bytes. */
static inline void
vectors_exactly(const struct vectors *v, const char *name, uint8_t *out, size_t size)
{
	if (vectors_bytes(v, name, out, size) != size)
		vectors_die(v, "field is too short", name);
}

/* The first record of `type` with this name, from the start of the file. */
static inline void
vectors_find(struct vectors *v, const char *type, const char *name)
{
	rewind(v->file);
	v->number = 0;
	while (vectors_next(v, type)) {
		if (vectors_value_is(v, "name", name))
			return;
	}
	vectors_die(v, "no such record", name);
}
