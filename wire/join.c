/* SPDX-License-Identifier: BSD-3-Clause */

#include "wire/join.h"

#include <errno.h>

#include "wire/bytes.h"
#include "wire/text_priv.h"

#define CODE_PREFIX   "CGJ1:"
#define CODE_CHECKSUM 60u

#define REQUEST_MAGIC 0x43474a51u /* "CGJQ" */
#define ANSWER_MAGIC  0x43474a41u /* "CGJA" */

/* A text in a field of fixed size: printable ASCII, then at least one NUL, and nothing behind it. */
static bool
field_is_text(const uint8_t *field, size_t size)
{
	size_t length = strnlen((const char *)field, size);

	if (length == size)
		return false;
	for (size_t i = 0; i < size; i++)
		if (i < length ? field[i] < 0x20 || field[i] > 0x7e : field[i] != 0)
			return false;
	return true;
}

static void
field_write(uint8_t *field, const char *text, size_t size)
{
	size_t length = strnlen(text, size - 1);

	memset(field, 0, size);
	memcpy(field, text, length);
}

/* ---- the code ---- */

/* CRC-32 (ISO 3309), without table or branch: the secret is among the bytes. */
static uint32_t
checksum(const uint8_t *bytes, size_t size)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < size; i++) {
		crc ^= bytes[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1)));
	}
	return ~crc;
}

void
join_code_encode(char text[JOIN_CODE_TEXT_SIZE + 1], const struct join_code *code)
{
	uint8_t raw[JOIN_CODE_BYTES];
	char *end;

	store_be64(raw, code->id);
	store_be32(raw + 8, code->realm);
	memcpy(raw + 12, code->secret, JOIN_SECRET_SIZE);
	memcpy(raw + 28, code->gateway, JOIN_PUBLIC_SIZE);
	store_be32(raw + CODE_CHECKSUM, checksum(raw, CODE_CHECKSUM));
	memcpy(text, CODE_PREFIX, 5);
	end = text_base64_encode(text + 5, raw, sizeof(raw));
	memcpy(end, ":", 2);
	explicit_bzero(raw, sizeof(raw));
}

int
join_code_decode(struct join_code *code, const char *text, size_t length)
{
	uint8_t raw[JOIN_CODE_BYTES];
	const char *inside;
	size_t count;
	int rc = -EBADMSG;

	explicit_bzero(code, sizeof(*code));
	inside = text_strip(text, length, CODE_PREFIX, &count);
	if (inside == NULL || count != TEXT_BASE64_SIZE(JOIN_CODE_BYTES))
		return -EINVAL;
	if (text_base64_decode(raw, inside, count) && load_be32(raw + 8) != 0 &&
		load_be32(raw + CODE_CHECKSUM) == checksum(raw, CODE_CHECKSUM)) {
		code->id = load_be64(raw);
		code->realm = load_be32(raw + 8);
		memcpy(code->secret, raw + 12, JOIN_SECRET_SIZE);
		memcpy(code->gateway, raw + 28, JOIN_PUBLIC_SIZE);
		rc = 0;
	}
	explicit_bzero(raw, sizeof(raw));
	return rc;
}

/* ---- the request ---- */

static void
head_build(uint8_t msg[8], uint32_t magic, uint8_t kind, uint16_t size)
{
	store_be32(msg, magic);
	msg[4] = JOIN_REQUEST_VERSION;
	msg[5] = kind;
	store_be16(msg + 6, size);
}

void
join_request_build(uint8_t msg[JOIN_REQUEST_SIZE], const struct join_request *request)
{
	memset(msg, 0, JOIN_REQUEST_SIZE);
	head_build(msg, REQUEST_MAGIC, 0, JOIN_REQUEST_SIZE);
	store_be64(msg + 8, request->id);
	store_be32(msg + 16, request->realm);
	memcpy(msg + JOIN_REQUEST_PUBLIC, request->public, JOIN_PUBLIC_SIZE);
	field_write(msg + 56, request->name, JOIN_NAME_SIZE);
}

bool
join_request_begins(const uint8_t *msg, size_t size)
{
	uint8_t head[JOIN_REQUEST_HEAD];

	head_build(head, REQUEST_MAGIC, 0, JOIN_REQUEST_SIZE);
	return memcmp(msg, head, size < sizeof(head) ? size : sizeof(head)) == 0;
}

int
join_request_parse(struct join_request *request, const uint8_t *msg, size_t size)
{
	if (size != JOIN_REQUEST_SIZE || !join_request_begins(msg, size) ||
		load_be32(msg + 16) == 0 || load_be32(msg + 20) != 0 ||
		!field_is_text(msg + 56, JOIN_NAME_SIZE))
		return -EBADMSG;
	request->id = load_be64(msg + 8);
	request->realm = load_be32(msg + 16);
	memcpy(request->public, msg + JOIN_REQUEST_PUBLIC, JOIN_PUBLIC_SIZE);
	memcpy(request->name, msg + 56, JOIN_NAME_SIZE);
	return 0;
}

/* ---- the answer ---- */

void
join_answer_build(uint8_t msg[JOIN_ANSWER_HEAD], const uint8_t public[JOIN_PUBLIC_SIZE])
{
	head_build(msg, ANSWER_MAGIC, JOIN_SEALED, JOIN_SEALED_SIZE);
	memcpy(msg + JOIN_ANSWER_PUBLIC, public, JOIN_PUBLIC_SIZE);
}

void
join_plain_build(uint8_t msg[JOIN_PLAIN_SIZE], enum join_kind kind, uint32_t retry_ms)
{
	head_build(msg, ANSWER_MAGIC, (uint8_t)kind, JOIN_PLAIN_SIZE);
	store_be32(msg + 8, retry_ms);
}

int
join_answer_size(const uint8_t *msg, size_t size)
{
	uint8_t head[8];

	if (size < sizeof(head))
		return 0;
	if (msg[5] < JOIN_SEALED || msg[5] > JOIN_BUSY)
		return -EBADMSG;
	head_build(head, ANSWER_MAGIC, msg[5],
		msg[5] == JOIN_SEALED ? JOIN_SEALED_SIZE : JOIN_PLAIN_SIZE);
	return memcmp(msg, head, sizeof(head)) == 0 ? load_be16(msg + 6) : -EBADMSG;
}

int
join_answer_parse(const uint8_t *msg, size_t size, uint32_t *retry_ms)
{
	int wanted = join_answer_size(msg, size);

	*retry_ms = 0;
	if (wanted <= 0 || (size_t)wanted != size)
		return -EBADMSG;
	if (msg[5] != JOIN_SEALED)
		*retry_ms = load_be32(msg + 8);
	if (*retry_ms > JOIN_RETRY_MS_MAX)
		*retry_ms = JOIN_RETRY_MS_MAX;
	return msg[5];
}

void
join_body_build(uint8_t msg[JOIN_BODY_SIZE], const struct join_body *body)
{
	memset(msg, 0, JOIN_BODY_SIZE);
	msg[0] = (uint8_t)body->status;
	if (body->status == JOIN_WELCOME)
		text_key_pack(msg + 4, &body->key);
	field_write(msg + 48, body->name, JOIN_NAME_SIZE);
	field_write(msg + 112, body->text, JOIN_TEXT_SIZE);
}

/* A key comes with a welcome, and with nothing else. */
static bool
body_key_parse(struct join_body *body, const uint8_t *raw)
{
	static const uint8_t none[NODE_KEY_BYTES];

	if (body->status == JOIN_WELCOME)
		return text_key_unpack(&body->key, raw);
	return memcmp(raw, none, sizeof(none)) == 0;
}

int
join_body_parse(struct join_body *body, const uint8_t msg[JOIN_BODY_SIZE])
{
	explicit_bzero(body, sizeof(*body));
	body->status = (enum join_status)msg[0];
	if (msg[0] >= JOIN_WELCOME && msg[0] <= JOIN_FAILED && msg[1] == 0 && msg[2] == 0 &&
		msg[3] == 0 && field_is_text(msg + 48, JOIN_NAME_SIZE) &&
		field_is_text(msg + 112, JOIN_TEXT_SIZE) && body_key_parse(body, msg + 4)) {
		memcpy(body->name, msg + 48, JOIN_NAME_SIZE);
		memcpy(body->text, msg + 112, JOIN_TEXT_SIZE);
		return 0;
	}
	explicit_bzero(body, sizeof(*body));
	return -EBADMSG;
}
