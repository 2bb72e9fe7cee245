/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "ctrl/cli/help.h"

/*
 * credgate(1) in two dresses. A page is a sequence of headings, paragraphs, items and literal
 * lines; a dress says how each of them looks.
 */
struct dress {
	void (*title)(FILE *out);
	void (*heading)(FILE *out, const char *text);
	void (*subheading)(FILE *out, const char *text, const char *operands);
	void (*paragraph)(FILE *out, const char *text);
	void (*item)(FILE *out, const char *term, const char *text);
	void (*literal)(FILE *out, const char *text);
};

/* ---- Markdown ---- */

static void
markdown_title(FILE *out)
{
	fputs("# credgate(1)\n\n"
	      "<!-- Made by `credgate help --markdown`; change ctrl/cli/, then make it again. "
	      "-->\n",
		out);
}

static void
markdown_heading(FILE *out, const char *text)
{
	fprintf(out, "\n## %s\n", text);
}

static void
markdown_subheading(FILE *out, const char *text, const char *operands)
{
	fprintf(out, "\n### credgate %s%s%s\n", text, operands[0] ? " " : "", operands);
}

static void
markdown_paragraph(FILE *out, const char *text)
{
	fprintf(out, "\n%s%s", text, text[0] && text[strlen(text) - 1] == '\n' ? "" : "\n");
}

static void
markdown_item(FILE *out, const char *term, const char *text)
{
	fprintf(out, "- `%s`: %s\n", term, text);
}

static void
markdown_literal(FILE *out, const char *text)
{
	fprintf(out, "\n```\n%s```\n", text);
}

static const struct dress markdown = {
	.title = markdown_title,
	.heading = markdown_heading,
	.subheading = markdown_subheading,
	.paragraph = markdown_paragraph,
	.item = markdown_item,
	.literal = markdown_literal,
};

/* ---- roff, man macros ---- */

/* A hyphen of ours is a minus (one copies options from manuals), a backslash and a leading dot or
 * quote must not be commands. */
static void
roff_text(FILE *out, const char *text)
{
	const char *c;

	for (c = text; *c; c++) {
		if ((c == text || c[-1] == '\n') && (*c == '.' || *c == '\''))
			fputs("\\&", out);
		if (*c == '-' || *c == '\\')
			fputs(*c == '-' ? "\\-" : "\\e", out);
		else
			fputc(*c, out);
	}
	if (c > text && c[-1] != '\n')
		fputc('\n', out);
}

static void
roff_title(FILE *out)
{
	fputs(".\\\" Made by credgate help --roff\n.TH CREDGATE 1 \"\" \"credgate " CLI_VERSION
	      "\" \"User commands\"\n",
		out);
}

static void
roff_heading(FILE *out, const char *text)
{
	fprintf(out, ".SH %s\n", text);
}

static void
roff_subheading(FILE *out, const char *text, const char *operands)
{
	fputs(".SS credgate ", out);
	fprintf(out, "%s%s", text, operands[0] ? " " : "");
	roff_text(out, operands[0] ? operands : "\n");
}

static void
roff_paragraph(FILE *out, const char *text)
{
	fputs(".PP\n", out);
	roff_text(out, text);
}

static void
roff_item(FILE *out, const char *term, const char *text)
{
	fputs(".TP\n.B ", out);
	roff_text(out, term);
	roff_text(out, text);
}

static void
roff_literal(FILE *out, const char *text)
{
	fputs(".PP\n.RS 4\n.nf\n", out);
	roff_text(out, text);
	fputs(".fi\n.RE\n", out);
}

static const struct dress roff = {
	.title = roff_title,
	.heading = roff_heading,
	.subheading = roff_subheading,
	.paragraph = roff_paragraph,
	.item = roff_item,
	.literal = roff_literal,
};

/* ---- the page ---- */

static const char synopsis[] =
	"credgate [--config FILE] [--run-dir DIR] VERB [OPTION]... [ARGUMENT]...\n"
	"credgate VERB --help\n";

static const char description[] =
	"credgate tells, at line rate, whether a UDP datagram is a genuine, fresh, first-time\n"
	"credential from a node that is still trusted, and who is speaking. This is its one\n"
	"command: it starts the gateway, registers realms and nodes, issues and sends\n"
	"credentials, and shows verdicts.\n";

static const char output[] =
	"Tables are aligned when standard output is a terminal, else (and with --tsv) their "
	"columns\n"
	"are separated by tabs; the first line names the columns either way. With --json the "
	"output\n"
	"is JSON: one object, or one object per line where lines keep coming. Its members may "
	"grow\n"
	"in number, none is renamed. Serial numbers are strings there, since they need 64 bits.\n";

struct item {
	const char *term; /* NULL ends a table */
	const char *text;
};

static const struct item environment[] = {
	{"CREDGATE_CONFIG", "the configuration file, where --config is not given"},
	{"CREDGATE_RUN_DIR",
		"the directory of the gateway's sockets, where --run-dir is not given"},
	{NULL, NULL},
};

static const struct item files[] = {
	{CLI_CONFIG_DEFAULT, "the configuration file"},
	{CLI_RUN_DIR_DEFAULT "/admin.sock", "where the gateway takes requests"},
	{CLI_RUN_DIR_DEFAULT "/consumer.sock", "where the gateway gives out verdicts"},
	{NULL, NULL},
};

static const struct item exits[] = {
	{"0", "done; for a verdict: accepted, or an honest duplicate of an accepted credential"},
	{"1", "it could not be done, or the outcome is unknown; standard error says why"},
	{"2", "wrong usage"},
	{"3", "looked at, and it is not good (yet), or done in part: what that is, each verb says"},
	{"32 + N", "verdict number N, a refusal: see credgate verdicts"},
	{NULL, NULL},
};

struct page {
	const struct dress *dress;
	FILE *out;
};

static void
page_option(const struct cli_option *option, void *context)
{
	struct page *page = context;
	char label[HELP_LABEL_SIZE];

	help_option_label(label, sizeof(label), option);
	page->dress->item(page->out, label + strspn(label, " "), option->help);
}

static void
page_exits(struct page *page, const char *text)
{
	char term[8], meaning[160];

	page->dress->paragraph(page->out, "Exit codes:\n");
	while (sscanf(text, "%7[^\t]\t%159[^\n]", term, meaning) == 2) {
		page->dress->item(page->out, term, meaning);
		text += strcspn(text, "\n");
		text += strspn(text, "\n");
	}
}

static void
page_verb(struct page *page, const struct cli_verb *verb)
{
	char summary[160];

	page->dress->subheading(page->out, verb->name, verb->operands);
	snprintf(summary, sizeof(summary), "%s.\n", verb->summary);
	page->dress->paragraph(page->out, summary);
	if (verb->detail)
		page->dress->paragraph(page->out, verb->detail);
	page->dress->paragraph(page->out, "Options:\n");
	cli_option_walk(verb, page_option, page);
	if (verb->exits)
		page_exits(page, verb->exits);
	if (verb->examples)
		page->dress->literal(page->out, verb->examples);
}

static void
page_items(struct page *page, const char *heading, const struct item *items)
{
	page->dress->heading(page->out, heading);
	for (; items->term; items++)
		page->dress->item(page->out, items->term, items->text);
}

static void
page_write(struct page *page)
{
	const struct cli_verb *const *verb;

	page->dress->title(page->out);
	page->dress->heading(page->out, "NAME");
	page->dress->paragraph(page->out, "credgate - validate signed UDP credentials\n");
	page->dress->heading(page->out, "SYNOPSIS");
	page->dress->literal(page->out, synopsis);
	page->dress->heading(page->out, "DESCRIPTION");
	page->dress->paragraph(page->out, description);
	page->dress->paragraph(page->out, output);
	page->dress->heading(page->out, "VERBS");
	for (verb = cli_verbs; *verb; verb++)
		page_verb(page, *verb);
	page_items(page, "EXIT CODES", exits);
	page_items(page, "ENVIRONMENT", environment);
	page_items(page, "FILES", files);
}

void
help_markdown(FILE *out)
{
	page_write(&(struct page){.dress = &markdown, .out = out});
}

void
help_roff(FILE *out)
{
	page_write(&(struct page){.dress = &roff, .out = out});
}
