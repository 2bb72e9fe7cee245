/* SPDX-License-Identifier: BSD-3-Clause */
/* The bytes of a configuration file, and on which line a key stands in them. */
#include "ctrl/config_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/filecheck.h"

#define FILE_SIZE_MAX (1u << 20)
#define DEPTH_MAX     32

/* One line for a terminal or a log, whatever words a file has for its keys. */
static void
line_make(char *text)
{
	for (char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = ' ';
}

int
config_source_fail(const struct config_source *source, unsigned line, const char *where,
	struct reason *reason, const char *format, ...)
{
	char text[REASON_SIZE], place[128];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(place, sizeof(place), "%.96s", where);
	line_make(text);
	line_make(place);
	return reason_set(reason, EINVAL, "%.255s:%u: %s: %.400s", source->path, line, place, text);
}

/* Whoever may write the file decides which device and whose rings are used. */
static int
owner_check(const struct config_source *source, const struct stat *st,
	const struct config_caller *caller, struct reason *reason)
{
	char text[FILECHECK_TEXT_SIZE];

	if (filecheck_stat(st, caller->uid, FILE_SIZE_MAX, text) == 0)
		return 0;
	return config_source_fail(source, 1, "file", reason, "%s", text);
}

static int
bytes_read(struct config_source *source, int fd, size_t size, struct reason *reason)
{
	ssize_t length;

	source->bytes = malloc(size + 1);
	if (source->bytes == NULL)
		return config_source_fail(source, 1, "file", reason, "no memory to read it");
	length = read(fd, source->bytes, size);
	if (length < 0)
		return config_source_fail(
			source, 1, "file", reason, "cannot be read: %s", strerror(errno));
	source->bytes[length] = '\0';
	source->size = (size_t)length;
	return 0;
}

static int
file_read(struct config_source *source, const struct config_caller *caller, struct reason *reason)
{
	struct stat st;
	int fd, error;

	fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return config_source_fail(source, 1, "file", reason,
			"cannot be opened: %s; check --config and its permissions",
			strerror(errno));
	if (fstat(fd, &st) != 0)
		error = config_source_fail(
			source, 1, "file", reason, "cannot be looked at: %s", strerror(errno));
	else
		error = owner_check(source, &st, caller, reason);
	if (error == 0)
		error = bytes_read(source, fd, (size_t)st.st_size, reason);
	close(fd);
	return error;
}

static int
parser_fail(const struct config_source *source, const yaml_parser_t *parser, struct reason *reason)
{
	unsigned line = (unsigned)parser->problem_mark.line + 1;

	return config_source_fail(source, line, "yaml", reason,
		"%s; check indentation, quotes and brackets from here upwards",
		parser->problem != NULL ? parser->problem : "is not YAML");
}

static bool
has_anchor(const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return true;
	case YAML_SCALAR_EVENT:
		return event->data.scalar.anchor != NULL;
	case YAML_SEQUENCE_START_EVENT:
		return event->data.sequence_start.anchor != NULL;
	case YAML_MAPPING_START_EVENT:
		return event->data.mapping_start.anchor != NULL;
	default:
		return false;
	}
}

/* One event of the document: keeps count of the depth. */
static int
event_check(const struct config_source *source, const yaml_event_t *event, unsigned *depth,
	struct reason *reason)
{
	unsigned line = (unsigned)event->start_mark.line + 1;

	if (has_anchor(event))
		return config_source_fail(source, line, "yaml", reason,
			"anchors and aliases (& and *) are not used here; write the value itself, "
			"or quote it");
	if (event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT)
		--*depth;
	if (event->type != YAML_SEQUENCE_START_EVENT && event->type != YAML_MAPPING_START_EVENT)
		return 0;
	if (++*depth > DEPTH_MAX)
		return config_source_fail(source, line, "yaml", reason,
			"is nested more than %u deep; close the brackets", DEPTH_MAX);
	return 0;
}

/* A line that begins with '%': libyaml compares each such directive with all others. */
static int
directives_check(const struct config_source *source, struct reason *reason)
{
	const char *at = source->bytes;

	for (unsigned line = 1; at != NULL; line++) {
		if (*at == '%')
			return config_source_fail(source, line, "yaml", reason,
				"directives are not used here; remove the line");
		at = strchr(at, '\n');
		at += at != NULL;
	}
	return 0;
}

/*
 * What libyaml needs a time for that grows with the square of the size (brackets within brackets,
 * anchors, directives), a configuration does not need at all; a reload must not halt the gateway.
 * Event by event the parser looks no further ahead than a line, so the walk itself is cheap.
 */
static int
source_check(const struct config_source *source, struct reason *reason)
{
	yaml_event_type_t type = YAML_NO_EVENT;
	unsigned depth = 0;
	yaml_parser_t parser;
	yaml_event_t event;
	int error = directives_check(source, reason);

	if (error != 0)
		return error;
	if (!yaml_parser_initialize(&parser))
		return config_source_fail(source, 1, "file", reason, "no memory to parse it");
	yaml_parser_set_input_string(&parser, (const unsigned char *)source->bytes, source->size);
	while (error == 0 && type != YAML_DOCUMENT_END_EVENT && type != YAML_STREAM_END_EVENT) {
		if (!yaml_parser_parse(&parser, &event)) {
			error = parser_fail(source, &parser, reason);
			break;
		}
		type = event.type;
		error = event_check(source, &event, &depth, reason);
		yaml_event_delete(&event);
	}
	yaml_parser_delete(&parser);
	return error;
}

static int
document_parse(struct config_source *source, struct reason *reason)
{
	yaml_parser_t parser;
	int error = 0;

	if (!yaml_parser_initialize(&parser))
		return config_source_fail(source, 1, "file", reason, "no memory to parse it");
	yaml_parser_set_input_string(&parser, (const unsigned char *)source->bytes, source->size);
	source->has_document = yaml_parser_load(&parser, &source->document) != 0;
	if (!source->has_document)
		error = parser_fail(source, &parser, reason);
	yaml_parser_delete(&parser);
	return error;
}

static int
bytes_parse(struct config_source *source, struct reason *reason)
{
	int error = source_check(source, reason);

	return error != 0 ? error : document_parse(source, reason);
}

int
config_source_open(struct config_source *source, const char *path,
	const struct config_caller *caller, struct reason *reason)
{
	int error;

	memset(source, 0, sizeof(*source));
	source->path = path;
	error = file_read(source, caller, reason);
	if (error == 0)
		error = bytes_parse(source, reason);
	if (error != 0)
		config_source_close(source);
	return error;
}

int
config_source_take(struct config_source *source, const char *path, const char *bytes, size_t size,
	struct reason *reason)
{
	int error;

	memset(source, 0, sizeof(*source));
	source->path = path;
	source->bytes = malloc(size + 1);
	if (source->bytes == NULL)
		return config_source_fail(source, 1, "file", reason, "no memory to read it");
	memcpy(source->bytes, bytes, size);
	source->bytes[size] = '\0';
	source->size = size;
	error = bytes_parse(source, reason);
	if (error != 0)
		config_source_close(source);
	return error;
}

void
config_source_close(struct config_source *source)
{
	if (source->has_document)
		yaml_document_delete(&source->document);
	free(source->bytes);
	source->has_document = false;
	source->bytes = NULL;
}

/* The pair of a mapping whose key is `key`, or NULL. */
static const yaml_node_pair_t *
pair_find(yaml_document_t *document, const yaml_node_t *mapping, const char *key, size_t length)
{
	const yaml_node_pair_t *pair;

	for (pair = mapping->data.mapping.pairs.start; pair < mapping->data.mapping.pairs.top;
		pair++) {
		const yaml_node_t *node = yaml_document_get_node(document, pair->key);

		if (node->type == YAML_SCALAR_NODE && node->data.scalar.length == length &&
			memcmp(node->data.scalar.value, key, length) == 0)
			return pair;
	}
	return NULL;
}

/* One step of a place: ".key", "key" or "[index]". NULL if it is not there. */
static const yaml_node_t *
step(yaml_document_t *document, const yaml_node_t *node, const char **where, unsigned *line)
{
	const yaml_node_pair_t *pair;
	const char *at = *where;
	size_t length;

	if (*at == '[') {
		unsigned long index = strtoul(at + 1, NULL, 10);
		const yaml_node_item_t *items;

		*where = at + strcspn(at, "]") + (strchr(at, ']') != NULL);
		if (node->type != YAML_SEQUENCE_NODE)
			return NULL;
		items = node->data.sequence.items.start;
		if (index >= (unsigned long)(node->data.sequence.items.top - items))
			return NULL;
		node = yaml_document_get_node(document, items[index]);
		*line = (unsigned)node->start_mark.line + 1;
		return node;
	}
	at += *at == '.';
	length = strcspn(at, ".[");
	*where = at + length;
	if (node->type != YAML_MAPPING_NODE)
		return NULL;
	pair = pair_find(document, node, at, length);
	if (pair == NULL)
		return NULL;
	*line = (unsigned)yaml_document_get_node(document, pair->key)->start_mark.line + 1;
	return yaml_document_get_node(document, pair->value);
}

unsigned
config_source_line(struct config_source *source, const char *where)
{
	const yaml_node_t *node = yaml_document_get_root_node(&source->document);
	unsigned line = 1;

	while (node != NULL && *where != '\0')
		node = step(&source->document, node, &where, &line);
	return line;
}
