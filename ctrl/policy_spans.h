/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/*
 * Spans (dataplane/table_rules.h): lanes that only ask for a uid, or only for a gid, in the form
 * that a worker compares fastest. Ranges that overlap or are decided by earlier ones melt together,
 * so that a hundred rules may leave a handful of borders.
 */

#include "dataplane/table_rules.h"

/*
 * Turns a program of lanes, the last one whose groups were laid out, into spans and gives the groups
 * that it no longer needs back, if it asks for one sort of id, for no origin, and has no more than
 * two outcomes. Else it stays as it is.
 */
void policy_spans_fold(struct table_rules *rules, struct table_program *program);
