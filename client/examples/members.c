/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Prints which nodes are up, and then COUNT changes as they come.
 * Build: cc members.c $(pkg-config --cflags --libs credgate) -o members
 */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <credgate/credgate.h>

static void
print(const struct cg_member *member)
{
	char address[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, member->address4, address, sizeof(address));
	printf("%s %s %s\n", member->name, cg_member_state_text(member->state), address);
}

/* Everybody, as after the start and whenever changes were lost. */
static int
list(struct cg_members *members)
{
	struct cg_member member = {.size = sizeof(member)};
	int rc;

	cg_members_rewind(members);
	while ((rc = cg_members_next(members, &member)) == 1)
		print(&member);
	fflush(stdout);
	return rc;
}

static void
tell(struct cg_members *members, const struct cg_member_event *event)
{
	struct cg_member member = {.size = sizeof(member)};

	if (cg_member_find(members, event->realm, event->node, &member) != 1)
		return; /* deleted meanwhile */
	printf("%s: %s -> %s\n", member.name, cg_member_state_text(event->old_state),
		cg_member_state_text(event->state));
	fflush(stdout);
}

/* Takes all there is, then sleeps. -EPIPE: the gateway is gone. */
static int
follow(struct cg_members *members, long count)
{
	struct cg_member_event event = {.size = sizeof(event)};
	int rc = list(members);

	while (count > 0 && rc >= 0) {
		rc = cg_members_event(members, &event);
		if (rc == -EOVERFLOW) {
			rc = list(members);
		} else if (rc == 0) {
			rc = cg_members_wait(members, -1);
		} else if (rc == 1 && (event.changed & CG_MEMBER_CHANGED_STATE)) {
			tell(members, &event);
			count--;
		}
	}
	return rc;
}

int
main(int argc, char **argv)
{
	struct cg_members *members;
	int rc;

	if (argc != 3)
		return fprintf(stderr, "usage: members SOCKET COUNT\n"), 2;
	rc = cg_members_open(&members, argv[1]);
	if (rc == 0) {
		rc = follow(members, strtol(argv[2], NULL, 10));
		cg_members_close(members);
	}
	if (rc < 0)
		fprintf(stderr, "members: %s\n", cg_error());
	return rc < 0 ? 1 : 0;
}
