/* SPDX-License-Identifier: BSD-3-Clause */

#include "wire/text.h"

#include <errno.h>

#include <credgate/mint.h>

#include "client/error_priv.h"

static_assert(CG_TEXT_MAX == TEXT_SIZE_MAX + 1, "docs/client.md");

int
cg_text_encode(char *text, size_t room, const void *credential, size_t size)
{
	size_t length;

	if (text == NULL || credential == NULL)
		return client_fail(EINVAL, "text and credential must not be NULL");
	if (size < CRED_SIZE_MIN || size > CRED_SIZE_MAX)
		return client_fail(EINVAL, "a credential has %u to %u bytes, not %zu",
			CRED_SIZE_MIN, CRED_SIZE_MAX, size);
	length = text_encode(text, room, credential, size);
	if (length == 0)
		return client_fail(
			ENOSPC, "%zu characters are no room for %zu bytes as text", room, size);
	return (int)length;
}

int
cg_text_decode(void *credential, size_t room, const char *text, size_t length)
{
	size_t size;

	if (text == NULL || credential == NULL)
		return client_fail(EINVAL, "text and credential must not be NULL");
	size = text_decode(credential, room, text, length);
	if (size == 0)
		return client_fail(EBADMSG,
			"not a credential in text form (CGC1:...:), or longer than %zu bytes",
			room);
	return (int)size;
}
