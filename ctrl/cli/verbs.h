/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

/* The verbs, one file per verb or noun. */

#include "ctrl/cli/cli.h"

extern const struct cli_verb verb_run;
extern const struct cli_verb verb_demo;
extern const struct cli_verb verb_status;
extern const struct cli_verb verb_watch;
extern const struct cli_verb verb_realm_init;
extern const struct cli_verb verb_realm_list;
extern const struct cli_verb verb_realm_rotate;
extern const struct cli_verb verb_realm_drain;
extern const struct cli_verb verb_realm_retire;
extern const struct cli_verb verb_realm_rollback;
extern const struct cli_verb verb_node_retire;
extern const struct cli_verb verb_node_rollback;
extern const struct cli_verb verb_node_add;
extern const struct cli_verb verb_node_list;
extern const struct cli_verb verb_node_rotate;
extern const struct cli_verb verb_node_revoke;
extern const struct cli_verb verb_node_delete;
extern const struct cli_verb verb_node_export;
extern const struct cli_verb verb_node_import;
extern const struct cli_verb verb_node_key;
extern const struct cli_verb verb_node_keys;
extern const struct cli_verb verb_node_resume;
extern const struct cli_verb verb_node_set;
extern const struct cli_verb verb_node_suspend;
extern const struct cli_verb verb_realm_mode;
extern const struct cli_verb verb_realm_would;
extern const struct cli_verb verb_limits;
extern const struct cli_verb verb_members;
extern const struct cli_verb verb_beacon;
extern const struct cli_verb verb_node_invite;
extern const struct cli_verb verb_node_invites;
extern const struct cli_verb verb_node_uninvite;
extern const struct cli_verb verb_node_clones;
extern const struct cli_verb verb_join;
extern const struct cli_verb verb_policy_apply;
extern const struct cli_verb verb_policy_check;
extern const struct cli_verb verb_policy_explain;
extern const struct cli_verb verb_policy_show;
extern const struct cli_verb verb_policy_history;
extern const struct cli_verb verb_policy_rollback;
extern const struct cli_verb verb_policy_remove;
extern const struct cli_verb verb_policy_import_mesos;
extern const struct cli_verb verb_mint;
extern const struct cli_verb verb_send;
extern const struct cli_verb verb_verdicts;
extern const struct cli_verb verb_reload;
extern const struct cli_verb verb_audit_show;
extern const struct cli_verb verb_audit_verify;
extern const struct cli_verb verb_sign;
extern const struct cli_verb verb_sign_keygen;
extern const struct cli_verb verb_sign_check;
extern const struct cli_verb verb_sign_require;
extern const struct cli_verb verb_sign_show;
extern const struct cli_verb verb_help;
