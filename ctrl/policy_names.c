/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctrl/policy_names.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/names.h"

#define DIGITS_MAX 9u /* of a number in a range; as in ctrl/names.c */

struct range {
	uint32_t first;
	uint32_t last;
	uint8_t width;      /* digits of the first: shorter numbers have zeros in front */
	uint8_t digits_max; /* of any number in it */
};

/* A literal, and the bracket behind it; the last piece has none. */
struct piece {
	char *literal;
	size_t literal_size;
	struct range *ranges;
	unsigned range_count;
};

struct pattern {
	struct piece pieces[POLICY_NAMES_BRACKETS + 1];
	unsigned piece_count;
	unsigned list;
};

/* A name without ranges on one list; the same name on another one is the next. */
struct exact {
	char *name;
	unsigned list;
	uint32_t next; /* index + 1; 0: none */
};

/*
 * Patterns that begin alike. A cluster has one beginning and many ranges: what is behind it in a
 * name is read once for all of them.
 */
struct family {
	const char *literal; /* of its first pattern */
	size_t literal_size;
	struct pattern *patterns;
	unsigned count;
	unsigned room;
};

struct policy_names {
	struct family *families;
	unsigned family_count;
	unsigned family_room;
	struct exact *exacts;
	uint32_t exact_count;
	uint32_t exact_room;
	uint32_t *places;     /* open addressing: index + 1 of the first exact of a name; 0: free */
	uint32_t place_count; /* a power of two, at least twice exact_count */
};

/* ---- the form of a pattern ---- */

static int __attribute__((format(printf, 2, 3)))
wrong(char fault[POLICY_NAMES_FAULT_SIZE], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(fault, POLICY_NAMES_FAULT_SIZE, format, arguments);
	va_end(arguments);
	return -EINVAL;
}

/* Takes a number of at most DIGITS_MAX digits. */
static bool
number_take(const char **at, uint32_t *number, uint8_t *width)
{
	const char *begin = *at;

	*number = 0;
	while (isdigit((unsigned char)**at) && *at - begin < DIGITS_MAX)
		*number = *number * 10 + (uint32_t)(*(*at)++ - '0');
	*width = (uint8_t)(*at - begin);
	return *width > 0 && !isdigit((unsigned char)**at);
}

/* Takes one entry of a bracket, "7" or "001-128", and what follows it. */
static bool
range_take(const char **at, struct range *range)
{
	uint8_t width;

	if (!number_take(at, &range->first, &range->width))
		return false;
	range->last = range->first;
	range->digits_max = range->width;
	if (**at == '-') {
		++*at;
		if (!number_take(at, &range->last, &width))
			return false;
		if (width > range->width)
			range->digits_max = width;
	}
	return (**at == ',' || **at == ']') && range->last >= range->first &&
	       range->last - range->first < NAMES_MAX;
}

/* A bracket from behind its '['; `ranges` may be NULL. Returns how many, 0 if it is wrong. */
static unsigned
bracket_take(const char **at, struct range *ranges, unsigned room)
{
	struct range range;
	unsigned count = 0;

	do {
		if (count == room || !range_take(at, &range))
			return 0;
		if (ranges != NULL)
			ranges[count] = range;
		count++;
	} while (*(*at)++ == ',');
	return count;
}

static size_t
literal_size(const char *at)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";

	return strspn(at, letters);
}

int
policy_names_check(const char *pattern, char fault[POLICY_NAMES_FAULT_SIZE])
{
	const char *at = pattern;
	size_t size = 0;

	for (unsigned brackets = 0;; brackets++) {
		size_t literal = literal_size(at);

		size += literal + (brackets > 0);
		at += literal;
		if (*at == '\0')
			break;
		if (*at != '[')
			return wrong(fault,
				"has '%c' in it; names are letters, digits, '.', '_', "
				"'-' and ranges such as [001-128]",
				isprint((unsigned char)*at) ? *at : '?');
		if (brackets == POLICY_NAMES_BRACKETS)
			return wrong(fault, "has more than %u brackets; use fewer",
				POLICY_NAMES_BRACKETS);
		at++;
		if (bracket_take(&at, NULL, POLICY_NAMES_RANGES_MAX) == 0)
			return wrong(fault,
				"has a wrong range; they are written [001-128,200], upwards, with "
				"at most %u in a bracket",
				POLICY_NAMES_RANGES_MAX);
	}
	if (size == 0)
		return wrong(fault, "is empty; give a name");
	return size < NAMES_NAME_SIZE
		       ? 0
		       : wrong(fault, "is longer than a name can be (%d)", NAMES_NAME_SIZE - 1);
}

/* ---- patterns with ranges ---- */

static void
pattern_fini(struct pattern *pattern)
{
	for (unsigned i = 0; i < pattern->piece_count; i++) {
		free(pattern->pieces[i].literal);
		free(pattern->pieces[i].ranges);
	}
}

static void
family_fini(struct family *family)
{
	for (unsigned i = 0; i < family->count; i++)
		pattern_fini(&family->patterns[i]);
	free(family->patterns);
}

static bool
bracket_make(struct piece *piece, const char **at)
{
	const char *begin = ++*at;

	piece->range_count = bracket_take(at, NULL, POLICY_NAMES_RANGES_MAX);
	piece->ranges = calloc(piece->range_count, sizeof(*piece->ranges));
	if (piece->ranges == NULL)
		return false;
	bracket_take(&begin, piece->ranges, piece->range_count);
	return true;
}

static bool
pattern_init(struct pattern *pattern, const char *text, unsigned list)
{
	const char *at = text;
	bool has_more;

	memset(pattern, 0, sizeof(*pattern));
	pattern->list = list;
	do {
		struct piece *piece = &pattern->pieces[pattern->piece_count++];

		piece->literal_size = literal_size(at);
		piece->literal = strndup(at, piece->literal_size);
		if (piece->literal == NULL)
			return false;
		at += piece->literal_size;
		has_more = *at == '[';
		if (has_more && !bracket_make(piece, &at))
			return false;
	} while (has_more);
	return true;
}

static bool pattern_has(const struct pattern *pattern, unsigned index, const char *name);

/* The digits at some place of a name: numbers[n] is that of the first n. */
struct digits {
	uint32_t numbers[DIGITS_MAX + 1];
	unsigned count;
	bool has_zero; /* in front */
};

static void
digits_read(struct digits *digits, const char *at)
{
	digits->numbers[0] = 0;
	digits->has_zero = *at == '0';
	for (digits->count = 0; digits->count < DIGITS_MAX && isdigit((unsigned char)*at); at++) {
		uint32_t before = digits->numbers[digits->count++];

		digits->numbers[digits->count] = before * 10 + (uint32_t)(*at - '0');
	}
}

/* Would the range write so many digits, and does the rest of the pattern have the rest? */
static bool
range_has(const struct range *range, const struct digits *digits, const struct pattern *pattern,
	unsigned index, const char *name)
{
	unsigned most = digits->count < range->digits_max ? digits->count : range->digits_max;

	for (unsigned n = range->width; n <= most; n++)
		if (digits->numbers[n] >= range->first && digits->numbers[n] <= range->last &&
			(n == range->width || !digits->has_zero) &&
			pattern_has(pattern, index + 1, name + n))
			return true;
	return false;
}

static bool
bracket_has(const struct pattern *pattern, unsigned index, const struct digits *digits,
	const char *name)
{
	const struct piece *piece = &pattern->pieces[index];

	for (unsigned i = 0; i < piece->range_count; i++)
		if (range_has(&piece->ranges[i], digits, pattern, index, name))
			return true;
	return false;
}

/* Digits behind a bracket may belong to it or not: every way to divide them is tried. */
static bool
pattern_has(const struct pattern *pattern, unsigned index, const char *name)
{
	const struct piece *piece = &pattern->pieces[index];
	struct digits digits;

	if (strncmp(name, piece->literal, piece->literal_size) != 0)
		return false;
	name += piece->literal_size;
	if (piece->range_count == 0)
		return *name == '\0';
	digits_read(&digits, name);
	return bracket_has(pattern, index, &digits, name);
}

static void
family_find(const struct family *family, const char *name, uint64_t *lists)
{
	struct digits digits;

	if (strncmp(name, family->literal, family->literal_size) != 0)
		return;
	name += family->literal_size;
	digits_read(&digits, name);
	for (unsigned i = 0; i < family->count; i++)
		if (bracket_has(&family->patterns[i], 0, &digits, name))
			policy_bit_set(lists, family->patterns[i].list);
}

/* The family of a text, which may be made for it. NULL without memory. */
static struct family *
family_of(struct policy_names *names, const char *text)
{
	size_t size = literal_size(text);

	for (unsigned i = 0; i < names->family_count; i++)
		if (names->families[i].literal_size == size &&
			memcmp(names->families[i].literal, text, size) == 0)
			return &names->families[i];
	if (names->family_count == names->family_room) {
		unsigned room = names->family_room * 2 + 8;
		struct family *grown = reallocarray(names->families, room, sizeof(*grown));

		if (grown == NULL)
			return NULL;
		names->families = grown;
		names->family_room = room;
	}
	names->families[names->family_count] = (struct family){.literal_size = size};
	return &names->families[names->family_count++];
}

static int
pattern_add(struct policy_names *names, const char *text, unsigned list)
{
	struct family *family = family_of(names, text);
	struct pattern *pattern;

	if (family == NULL)
		return -ENOMEM;
	if (family->count == family->room) {
		unsigned room = family->room * 2 + 4;
		struct pattern *grown = reallocarray(family->patterns, room, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		family->patterns = grown;
		family->room = room;
	}
	pattern = &family->patterns[family->count++];
	if (!pattern_init(pattern, text, list))
		return -ENOMEM;
	family->literal = family->patterns[0].pieces[0].literal;
	return 0;
}

/* ---- names without ranges ---- */

static uint32_t
name_hash(const char *name)
{
	uint32_t hash = 0x811c9dc5u;

	while (*name != '\0')
		hash = (hash ^ (uint8_t)*name++) * 0x01000193u;
	return hash ^ hash >> 15;
}

/* The place of a name: that of its first entry, or a free one. */
static uint32_t *
place_of(const struct policy_names *names, const char *name)
{
	uint32_t at = name_hash(name) & (names->place_count - 1);

	while (names->places[at] != 0 &&
		strcmp(names->exacts[names->places[at] - 1].name, name) != 0)
		at = (at + 1) & (names->place_count - 1);
	return &names->places[at];
}

/* All of them into a table twice as large. */
static bool
places_grow(struct policy_names *names)
{
	uint32_t old_count = names->place_count;
	uint32_t *old = names->places;

	names->place_count = old_count * 2 + 64 * (old_count == 0);
	names->places = calloc(names->place_count, sizeof(*names->places));
	if (names->places == NULL) {
		names->places = old;
		names->place_count = old_count;
		return false;
	}
	for (uint32_t i = 0; i < old_count; i++)
		if (old[i] != 0)
			*place_of(names, names->exacts[old[i] - 1].name) = old[i];
	free(old);
	return true;
}

static int
exact_add(struct policy_names *names, const char *name, unsigned list)
{
	struct exact *exact;
	uint32_t *place;

	if (names->exact_count == names->exact_room) {
		uint32_t room = names->exact_room * 2 + 64;
		struct exact *grown = reallocarray(names->exacts, room, sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		names->exacts = grown;
		names->exact_room = room;
	}
	if (2 * (names->exact_count + 1) > names->place_count && !places_grow(names))
		return -ENOMEM;
	place = place_of(names, name);
	exact = &names->exacts[names->exact_count];
	*exact = (struct exact){.name = strdup(name), .list = list, .next = *place};
	if (exact->name == NULL)
		return -ENOMEM;
	*place = ++names->exact_count;
	return 0;
}

/* ---- all of them ---- */

struct policy_names *
policy_names_create(void)
{
	return calloc(1, sizeof(struct policy_names));
}

void
policy_names_destroy(struct policy_names *names)
{
	if (names == NULL)
		return;
	for (unsigned i = 0; i < names->family_count; i++)
		family_fini(&names->families[i]);
	for (uint32_t i = 0; i < names->exact_count; i++)
		free(names->exacts[i].name);
	free(names->families);
	free(names->exacts);
	free(names->places);
	free(names);
}

int
policy_names_add(struct policy_names *names, const char *pattern, unsigned list)
{
	return strchr(pattern, '[') != NULL ? pattern_add(names, pattern, list)
					    : exact_add(names, pattern, list);
}

void
policy_names_find(const struct policy_names *names, const char *name, uint64_t *lists)
{
	uint32_t at = names->place_count > 0 ? *place_of(names, name) : 0;

	for (; at != 0; at = names->exacts[at - 1].next)
		policy_bit_set(lists, names->exacts[at - 1].list);
	for (unsigned i = 0; i < names->family_count; i++)
		family_find(&names->families[i], name, lists);
}
