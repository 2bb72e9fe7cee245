/* SPDX-License-Identifier: BSD-3-Clause */

#include <assert.h>

#include "verdict/verdict.h"
#include <credgate/verdict.h>

/* The public numbers are the ones of the table, and no verdict of the table is missing. */
#define VERDICT_SAME(number, NAME, text, meaning, cure) \
	static_assert((int)CG_##NAME == (int)VERDICT_##NAME, "docs/verdicts.md");
VERDICT_TABLE(VERDICT_SAME)
#undef VERDICT_SAME

const char *
cg_verdict_text(unsigned verdict)
{
	return verdict_text(verdict);
}
