/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The form of a configuration file against the schema: unknown, double and missing keys, kinds of
 * values. libcyaml checks most of this too, but takes "maybe" for true and cannot say what was
 * meant; here each error gets its line and its cure, from the same schema.
 */
#include "ctrl/config_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WHERE_SIZE    128
#define DISTANCE_MAX  3u
#define WORD_SIZE_MAX 64u

struct form {
	struct config_source *source;
	struct reason *reason;
};

static int value_check(const struct form *form, const cyaml_schema_value_t *schema,
	const yaml_node_t *node, const char *where);

static unsigned
node_line(const yaml_node_t *node)
{
	return (unsigned)node->start_mark.line + 1;
}

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Levenshtein distance; words longer than WORD_SIZE_MAX are nobody's neighbour. */
static unsigned
word_distance(const char *a, const char *b)
{
	unsigned row[WORD_SIZE_MAX + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > WORD_SIZE_MAX || m > WORD_SIZE_MAX)
		return UINT32_MAX;
	for (size_t j = 0; j <= m; j++)
		row[j] = (unsigned)j;
	for (size_t i = 1; i <= n; i++) {
		unsigned corner = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned above = row[j];

			row[j] = least(
				least(above, row[j - 1]) + 1, corner + (a[i - 1] != b[j - 1]));
			corner = above;
		}
	}
	return row[m];
}

/* The field that was probably meant, or NULL. */
static const char *
nearest_field(const cyaml_schema_field_t *fields, const char *key)
{
	unsigned best = DISTANCE_MAX + 1;
	const char *found = NULL;

	for (; fields->key != NULL; fields++) {
		unsigned distance = word_distance(fields->key, key);

		if (distance < best && distance < strlen(fields->key)) {
			best = distance;
			found = fields->key;
		}
	}
	return found;
}

static void
word_append(char *text, size_t size, const char *word)
{
	size_t length = strlen(text);

	snprintf(text + length, size - length, "%s%s", length == 0 ? "" : ", ", word);
}

static int
key_unknown(const struct form *form, const cyaml_schema_field_t *fields, const yaml_node_t *node,
	const char *where)
{
	const char *key = (const char *)node->data.scalar.value;
	const char *near = nearest_field(fields, key);
	char known[320] = "";

	if (near != NULL)
		return config_source_fail(form->source, node_line(node), where, form->reason,
			"no such key; did you mean \"%s\"?", near);
	for (; fields->key != NULL; fields++)
		word_append(known, sizeof(known), fields->key);
	return config_source_fail(form->source, node_line(node), where, form->reason,
		"no such key; known here: %s", known);
}

static const cyaml_schema_field_t *
field_find(const cyaml_schema_field_t *fields, const char *key)
{
	for (; fields->key != NULL; fields++)
		if (strcmp(fields->key, key) == 0)
			return fields;
	return NULL;
}

static const yaml_node_t *
node_get(const struct form *form, int index)
{
	return yaml_document_get_node(&form->source->document, index);
}

static void
where_join(char *where, const char *parent, const char *key)
{
	snprintf(where, WHERE_SIZE, "%.80s%s%.40s", parent, *parent == '\0' ? "" : ".", key);
}

/* The earlier key of the same name, or NULL. */
static const yaml_node_t *
key_twin(const struct form *form, const yaml_node_t *mapping, const yaml_node_pair_t *pair)
{
	const char *key = (const char *)node_get(form, pair->key)->data.scalar.value;
	const yaml_node_pair_t *other;

	for (other = mapping->data.mapping.pairs.start; other < pair; other++) {
		const yaml_node_t *node = node_get(form, other->key);

		if (strcmp((const char *)node->data.scalar.value, key) == 0)
			return node;
	}
	return NULL;
}

static int
pair_check(const struct form *form, const cyaml_schema_value_t *schema, const yaml_node_t *mapping,
	const yaml_node_pair_t *pair, const char *parent)
{
	const yaml_node_t *key = node_get(form, pair->key);
	const cyaml_schema_field_t *field;
	const yaml_node_t *twin;
	char where[WHERE_SIZE];

	if (key->type != YAML_SCALAR_NODE)
		return config_source_fail(form->source, node_line(key), parent, form->reason,
			"a key must be a word; check the indentation");
	where_join(where, parent, (const char *)key->data.scalar.value);
	field = field_find(schema->mapping.fields, (const char *)key->data.scalar.value);
	if (field == NULL)
		return key_unknown(form, schema->mapping.fields, key, where);
	twin = key_twin(form, mapping, pair);
	if (twin != NULL)
		return config_source_fail(form->source, node_line(key), where, form->reason,
			"given twice, first on line %u; remove one", node_line(twin));
	return value_check(form, &field->value, node_get(form, pair->value), where);
}

static bool
has_key(const struct form *form, const yaml_node_t *mapping, const char *key)
{
	const yaml_node_pair_t *pair;

	for (pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
		pair++)
		if (strcmp((const char *)node_get(form, pair->key)->data.scalar.value, key) == 0)
			return true;
	return false;
}

static int
mapping_check(const struct form *form, const cyaml_schema_value_t *schema, const yaml_node_t *node,
	const char *where)
{
	const cyaml_schema_field_t *field;
	const yaml_node_pair_t *pair;
	char missing[WHERE_SIZE];
	int error = 0;

	if (node->type != YAML_MAPPING_NODE)
		return config_source_fail(form->source, node_line(node),
			*where == '\0' ? "file" : where, form->reason,
			"must hold lines of \"key: value\"; indent them below it, or remove it");
	for (pair = node->data.mapping.pairs.start;
		error == 0 && pair < node->data.mapping.pairs.top; pair++)
		error = pair_check(form, schema, node, pair, where);
	for (field = schema->mapping.fields; error == 0 && field->key != NULL; field++) {
		if ((field->value.flags & CYAML_FLAG_OPTIONAL) != 0 ||
			has_key(form, node, field->key))
			continue;
		where_join(missing, where, field->key);
		error = config_source_fail(form->source, node_line(node), missing, form->reason,
			"is missing; add it (docs/configuration.md)");
	}
	return error;
}

static int
sequence_check(const struct form *form, const cyaml_schema_value_t *schema, const yaml_node_t *node,
	const char *where)
{
	const yaml_node_item_t *items;
	char item[WHERE_SIZE];
	size_t count;
	int error = 0;

	if (node->type != YAML_SEQUENCE_NODE)
		return config_source_fail(form->source, node_line(node), where, form->reason,
			"must be a list; write [a, b], or one \"- \" line per entry");
	items = node->data.sequence.items.start;
	count = (size_t)(node->data.sequence.items.top - items);
	if (count < schema->sequence.min)
		return config_source_fail(form->source, node_line(node), where, form->reason,
			"is empty; add at least %u", schema->sequence.min);
	if (count > schema->sequence.max)
		return config_source_fail(form->source, node_line(node), where, form->reason,
			"has %zu entries; at most %u are possible", count, schema->sequence.max);
	for (size_t i = 0; error == 0 && i < count; i++) {
		snprintf(item, sizeof(item), "%.100s[%zu]", where, i);
		error = value_check(form, schema->sequence.entry, node_get(form, items[i]), item);
	}
	return error;
}

static int
enum_check(const struct form *form, const cyaml_schema_value_t *schema, const yaml_node_t *node,
	const char *where)
{
	const char *text = (const char *)node->data.scalar.value;
	char known[160] = "";

	for (uint32_t i = 0; i < schema->enumeration.count; i++) {
		if (strcmp(schema->enumeration.strings[i].str, text) == 0)
			return 0;
		word_append(known, sizeof(known), schema->enumeration.strings[i].str);
	}
	return config_source_fail(form->source, node_line(node), where, form->reason,
		"\"%.60s\" is not known; choose one of %s", text, known);
}

/* Decimal digits only: libcyaml would take 010 for eight. */
static int
number_check(const struct form *form, const yaml_node_t *node, const char *where)
{
	const char *text = (const char *)node->data.scalar.value;
	size_t length = node->data.scalar.length;

	if (length > 0 && length <= 10 && strspn(text, "0123456789") == length &&
		(length == 1 || text[0] != '0') && strtoull(text, NULL, 10) <= UINT32_MAX)
		return 0;
	return config_source_fail(form->source, node_line(node), where, form->reason,
		"\"%.60s\" is no whole number from 0 to 4294967295; write decimal digits only",
		text);
}

/* Lower case only: libcyaml takes every word it does not know, such as False, for true. */
static int
bool_check(const struct form *form, const yaml_node_t *node, const char *where)
{
	static const char *const words[] = {"true", "false", "yes", "no"};
	const char *text = (const char *)node->data.scalar.value;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i], text) == 0)
			return 0;
	return config_source_fail(form->source, node_line(node), where, form->reason,
		"\"%.60s\" is neither; write true or false", text);
}

/* Digits with or without a point: no sign, exponent, infinity or .nan. */
static int
decimal_check(const struct form *form, const yaml_node_t *node, const char *where)
{
	const char *text = (const char *)node->data.scalar.value;
	size_t whole = strspn(text, "0123456789"), length = whole;

	if (text[whole] == '.')
		length += 1 + strspn(text + whole + 1, "0123456789");
	if (whole > 0 && text[length] == '\0')
		return 0;
	return config_source_fail(form->source, node_line(node), where, form->reason,
		"\"%.60s\" is no number; write one as 2.5", text);
}

static int
string_check(const struct form *form, const cyaml_schema_value_t *schema, const yaml_node_t *node,
	const char *where)
{
	size_t length = node->data.scalar.length;

	if (length < schema->string.min)
		return config_source_fail(form->source, node_line(node), where, form->reason,
			"is empty; give a value or remove the key");
	if (length > schema->string.max)
		return config_source_fail(form->source, node_line(node), where, form->reason,
			"is %zu bytes long; at most %u are possible", length, schema->string.max);
	if (strlen((const char *)node->data.scalar.value) != length)
		return config_source_fail(form->source, node_line(node), where, form->reason,
			"holds a NUL byte; remove it");
	return 0;
}

static int
value_check(const struct form *form, const cyaml_schema_value_t *schema, const yaml_node_t *node,
	const char *where)
{
	if (schema->type == CYAML_MAPPING)
		return mapping_check(form, schema, node, where);
	if (schema->type == CYAML_SEQUENCE)
		return sequence_check(form, schema, node, where);
	if (node->type != YAML_SCALAR_NODE)
		return config_source_fail(form->source, node_line(node), where, form->reason,
			"must be a single value, not a list or a block; check the indentation");
	if (schema->type == CYAML_ENUM)
		return enum_check(form, schema, node, where);
	if (schema->type == CYAML_UINT)
		return number_check(form, node, where);
	if (schema->type == CYAML_FLOAT)
		return decimal_check(form, node, where);
	if (schema->type == CYAML_BOOL)
		return bool_check(form, node, where);
	return string_check(form, schema, node, where);
}

int
config_form_check(struct config_source *source, struct reason *reason)
{
	const yaml_node_t *root = yaml_document_get_root_node(&source->document);
	const struct form form = {.source = source, .reason = reason};

	if (root == NULL)
		return config_source_fail(source, 1, "file", reason,
			"is empty; begin with the example in docs/configuration.md");
	return value_check(&form, &config_schema, root, "");
}
