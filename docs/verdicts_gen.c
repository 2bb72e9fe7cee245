/* SPDX-License-Identifier: BSD-3-Clause */

/* Prints docs/verdicts.md from the one table of verdicts (verdict/verdict.h). */

#include <stdio.h>

#include "verdict/verdict.h"

static const char intro[] =
	"# Verdicts\n"
	"\n"
	"<!-- Made from verdict/verdict.h by docs/verdicts_gen.c: do not edit, run\n"
	"     `meson compile -C build docs-verdicts`. A test compares the two. -->\n"
	"\n"
	"Each datagram that claims to be a credential gets exactly one verdict. The same table "
	"makes "
	"the C names\n"
	"(`VERDICT_...`), the counters, the texts of `credgate`, the numbers in replies and "
	"records, "
	"and this page.\n"
	"Numbers are fixed for ever; new verdicts go at the end.\n"
	"\n"
	"| number | text | exit code | meaning | what to do |\n"
	"| ---: | --- | ---: | --- | --- |\n";

static const char after_table[] =
	"\n"
	"The exit code is that of `credgate` verbs which end with one verdict: 0 for accepted and "
	"duplicate, 32 + number\n"
	"otherwise. 1 and 2 stay local failure and usage.\n"
	"\n"
	"Number 0 is never produced, so that zeroed memory is no acceptance. A program that meets "
	"a "
	"number it does not\n"
	"know treats it as a refusal.\n"
	"\n"
	"## Order\n"
	"\n"
	"When several apply, the first of this list is the verdict:\n"
	"\n";

static const char outro[] =
	"\n"
	"Refusals that are found before the tag is looked at are *unproved*: what the credential "
	"claims (node, serial,\n"
	"origin) may be anybody's invention. They are counted apart, carry bit 7 of the verdict "
	"byte "
	"in the refusal ring\n"
	"(`VERDICT_RECORD_UNPROVED`), are never answered, and enter no statistics of a node.\n"
	"\n"
	"Only ACCEPTED marks a serial. After BUSY and OVER_RATE the same bytes may be sent again; "
	"after FLOOR and\n"
	"STALE the sender issues anew.\n";

static void
print_rows(void)
{
	unsigned verdict;

	for (verdict = 0; verdict < VERDICT_COUNT; verdict++) {
		printf("| %u | `%s` | ", verdict, verdict_text(verdict));
		if (verdict == VERDICT_NONE)
			printf("–");
		else
			printf("%d", verdict_exit_code(verdict));
		printf(" | %s | %s |\n", verdict_meaning(verdict), verdict_cure(verdict));
	}
}

static void
print_order(void)
{
	uint32_t left = UINT32_MAX;
	enum verdict first;
	unsigned rank = 1;

	for (; (first = verdict_first(left)) != VERDICT_NONE; left &= ~(1u << first))
		printf("%u. `%s`\n", rank++, verdict_text(first));
}

int
main(void)
{
	fputs(intro, stdout);
	print_rows();
	fputs(after_table, stdout);
	print_order();
	fputs(outro, stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}
