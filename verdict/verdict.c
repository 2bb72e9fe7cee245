/* SPDX-License-Identifier: BSD-3-Clause */

#include "verdict/verdict.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

struct verdict_row {
	const char *text;
	const char *meaning;
	const char *cure;
};

static const struct verdict_row rows[VERDICT_COUNT] = {
#define VERDICT_ROW(number, NAME, text, meaning, cure) [number] = {text, meaning, cure},
	VERDICT_TABLE(VERDICT_ROW)
#undef VERDICT_ROW
};
static_assert(VERDICT_COUNT <= VERDICT_COUNTERS, "counters in shared memory have no room for it");

static const struct verdict_row row_unknown = {
	"unknown",
	"no verdict that this version knows",
	"compare versions of the gateway and of what reads its verdicts",
};

static const enum verdict precedence[] = {
#define VERDICT_RANK(NAME) VERDICT_##NAME,
	VERDICT_PRECEDENCE(VERDICT_RANK)
#undef VERDICT_RANK
};
static_assert(sizeof(precedence) / sizeof(precedence[0]) == VERDICT_COUNT - 1,
	"every verdict but NONE has its place");

static const struct verdict_row *
row_find(unsigned verdict)
{
	return verdict < VERDICT_COUNT ? &rows[verdict] : &row_unknown;
}

const char *
verdict_text(unsigned verdict)
{
	return row_find(verdict)->text;
}

const char *
verdict_meaning(unsigned verdict)
{
	return row_find(verdict)->meaning;
}

const char *
verdict_cure(unsigned verdict)
{
	return row_find(verdict)->cure;
}

int
verdict_find(const char *text)
{
	int verdict;

	for (verdict = 0; verdict < VERDICT_COUNT; verdict++)
		if (strcmp(rows[verdict].text, text) == 0)
			return verdict;
	return -1;
}

enum verdict
verdict_first(uint32_t set)
{
	size_t i;

	for (i = 0; i < sizeof(precedence) / sizeof(precedence[0]); i++)
		if (set >> precedence[i] & 1)
			return precedence[i];
	return VERDICT_NONE;
}
