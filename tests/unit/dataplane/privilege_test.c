/* SPDX-License-Identifier: BSD-3-Clause */

/* Each case gives up its privileges in a child process, which cannot get them back. */

#include "dataplane/privilege.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/threads.h"

#define NOBODY 65534u

/* A thread that was there before, as EAL's are: asked to run something, it tells what came of it.
 */
static struct {
	pthread_t thread;
	int asked[2];
	int told[2];
	int (*action)(void);
} other;

static void *
other_run(void *argument)
{
	char byte;

	while (read(other.asked[0], &byte, 1) == 1) {
		int result = other.action();

		if (write(other.told[1], &result, sizeof(result)) < 0)
			break;
	}
	return argument;
}

static void
other_start(void)
{
	if (pipe(other.asked) || pipe(other.told) ||
		pthread_create(&other.thread, NULL, other_run, NULL))
		_exit(100);
}

static int
other_ask(int (*action)(void))
{
	int result = -1;

	other.action = action;
	if (write(other.asked[1], "x", 1) != 1 ||
		read(other.told[0], &result, sizeof(result)) != sizeof(result))
		return -1;
	return result;
}

/* Drops what this process has: to nobody if it is root's, else it stays who it is. */
static void
drop(unsigned needs)
{
	struct failure failure = {0};
	bool is_root = geteuid() == 0;

	if (privilege_prepare(&failure) < 0)
		_exit(101);
	other_start();
	if (privilege_drop(is_root ? NOBODY : getuid(), is_root ? NOBODY : getgid(), needs,
		    &failure) < 0) {
		fprintf(stderr, "%s\n", failure.text);
		_exit(102);
	}
}

/* Runs the case in a child; returns its wait status. */
static int
child_status(void (*run)(void))
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		run();
		_exit(0);
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void
assert_passes(void (*run)(void))
{
	int status = child_status(run);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
assert_kills(void (*run)(void))
{
	int status = child_status(run);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* The errno of a call that must fail; 0 if it did not. */
static int
errno_of(long result)
{
	return result < 0 ? errno : 0;
}

static int
capabilities_are_gone(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	/* capget itself is not on the list: the checks of /proc have seen the sets. */
	return errno_of(syscall(SYS_capget, &header, data));
}

static int
file_open(void)
{
	return errno_of(open("/proc/self/status", O_RDONLY));
}

static int
socket_open(void)
{
	return errno_of(socket(AF_INET, SOCK_DGRAM, 0));
}

static int
executable_map(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? errno : 0;
}

static int
program_execute(void)
{
	char *arguments[] = {NULL};

	return errno_of(execve("/bin/true", arguments, arguments));
}

static int
identity_return(void)
{
	return errno_of(syscall(SYS_setresuid, 0, 0, 0));
}

static void
case_denied(void)
{
	int (*const actions[])(void) = {
		capabilities_are_gone, file_open, socket_open, executable_map};

	drop(0);
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (actions[i]() != EPERM)
			_exit(10 + (int)i);
		if (other_ask(actions[i]) != EPERM)
			_exit(20 + (int)i);
	}
}

static void
test_what_is_not_needed_is_denied_in_every_thread(void **state)
{
	(void)state;
	assert_passes(case_denied);
}

static void
case_allowed(void)
{
	const uint64_t one = 1;
	pthread_t thread;
	void *memory;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0)
		_exit(1);
	drop(0);
	memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || munmap(memory, 1 << 20) < 0)
		_exit(2);
	if (send(ends[0], &one, sizeof(one), MSG_NOSIGNAL) < 0 || usleep(1) < 0)
		_exit(3);
	if (pthread_create(&thread, NULL, other_run, NULL) != 0)
		_exit(4);
}

static void
test_what_is_needed_works(void **state)
{
	(void)state;
	assert_passes(case_allowed);
}

static void
case_execute(void)
{
	drop(0);
	program_execute();
}

static void
case_execute_other(void)
{
	drop(0);
	other_ask(program_execute);
}

static void
case_write(void)
{
	drop(PRIVILEGE_NEED_MEMIF | PRIVILEGE_NEED_PCI | PRIVILEGE_NEED_XDP);
	open("/tmp/credgate-privilege-test", O_WRONLY | O_CREAT, 0600);
}

static void
case_identity(void)
{
	drop(0);
	identity_return();
}

static void
case_ptrace(void)
{
	drop(0);
	syscall(SYS_ptrace, 16, getppid(), 0, 0);
}

static void
test_what_an_intruder_wants_kills(void **state)
{
	(void)state;
	assert_kills(case_execute);
	assert_kills(case_execute_other);
	assert_kills(case_write);
	assert_kills(case_identity);
	assert_kills(case_ptrace);
}

static void
case_memif(void)
{
	drop(PRIVILEGE_NEED_MEMIF);
	if (socket(AF_UNIX, SOCK_SEQPACKET, 0) < 0)
		_exit(1);
	if (socket_open() != EPERM)
		_exit(2);
	if (memfd_create("x", 0) < 0)
		_exit(3);
}

static void
test_memif_gets_its_sockets_and_no_others(void **state)
{
	(void)state;
	assert_passes(case_memif);
}

/* What an ioctl about the first interface, lo, fails with. */
static int
interface_ask(int fd, unsigned long what)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_ifindex = 1};

	return ioctl(fd, what, &request) == 0 ? 0 : errno;
}

static void
case_interface(void)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	drop(PRIVILEGE_NEED_INTERFACE);
	if (interface_ask(fd, SIOCGIFNAME) != 0 || interface_ask(fd, SIOCGIFFLAGS) != 0)
		_exit(1);
	if (getsockname(fd, (struct sockaddr *)&address, &size) < 0)
		_exit(2);
	/* Anybody may ask for the MTU, were it not for the filter. */
	if (interface_ask(fd, SIOCGIFMTU) != EPERM || socket_open() != EPERM)
		_exit(3);
}

static void
case_no_interface(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	drop(PRIVILEGE_NEED_MEMIF | PRIVILEGE_NEED_PCI | PRIVILEGE_NEED_XDP);
	if (interface_ask(fd, SIOCGIFNAME) != EPERM || interface_ask(fd, SIOCGIFFLAGS) != EPERM)
		_exit(1);
}

static void
test_interfaces_may_be_looked_at_if_need_be(void **state)
{
	(void)state;
	assert_passes(case_interface);
	assert_passes(case_no_interface);
}

static void
case_undumpable(void)
{
	struct failure failure = {0};

	if (privilege_prepare(&failure) < 0 || prctl(PR_GET_DUMPABLE) != 0 ||
		prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		_exit(1);
	if (geteuid() == 0 && prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) != 0)
		_exit(2);
}

static void
test_preparation_forbids_core_files_and_new_privileges(void **state)
{
	(void)state;
	assert_passes(case_undumpable);
}

/* Without the drop the check must find something to complain about: it is no decoration. */
static void
case_check_complains(void)
{
	struct failure failure = {0};
	struct threads_view *view = threads_view_open(&failure);

	if (view == NULL || threads_view_check(view, getuid(), getgid(), &failure) != -EPERM)
		_exit(1);
	if (threads_view_check(view, getuid() + 1, getgid(), &failure) != -EPERM ||
		!strstr(failure.text, "Uid"))
		_exit(2);
	threads_view_close(view);
}

static void
case_check_finds_new_thread(void)
{
	struct failure failure = {0};
	struct threads_view *view = threads_view_open(&failure);

	other_start();
	if (threads_view_check(view, getuid(), getgid(), &failure) != -EAGAIN)
		_exit(1);
}

static void
test_check_finds_what_was_not_dropped(void **state)
{
	(void)state;
	assert_passes(case_check_complains);
	assert_passes(case_check_finds_new_thread);
}

static int
own_capabilities_are_empty(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	return syscall(SYS_capget, &header, data) == 0 && data[0].effective == 0 &&
	       data[0].permitted == 0 && data[1].permitted == 0;
}

static void
capabilities_drop(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};

	syscall(SYS_capset, &header, none);
}

static void
case_threads_run(void)
{
	struct failure failure = {0};

	other_start();
	if (threads_run(capabilities_drop, &failure) < 0)
		_exit(1);
	if (!own_capabilities_are_empty())
		_exit(2);
	if (other_ask(own_capabilities_are_empty) != 1)
		_exit(3);
}

static void
test_threads_run_reaches_every_thread(void **state)
{
	(void)state;
	assert_passes(case_threads_run);
}

static void
case_wrong_user(void)
{
	struct failure failure = {0};

	if (setresuid(NOBODY, NOBODY, NOBODY) < 0 && geteuid() == 0)
		_exit(1);
	if (privilege_drop(NOBODY + 1, NOBODY + 1, 0, &failure) != -EPERM ||
		!strstr(failure.text, "cannot become user"))
		_exit(2);
}

static void
test_a_user_it_may_not_become_is_refused(void **state)
{
	(void)state;
	assert_passes(case_wrong_user);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_not_needed_is_denied_in_every_thread),
		cmocka_unit_test(test_what_is_needed_works),
		cmocka_unit_test(test_what_an_intruder_wants_kills),
		cmocka_unit_test(test_memif_gets_its_sockets_and_no_others),
		cmocka_unit_test(test_interfaces_may_be_looked_at_if_need_be),
		cmocka_unit_test(test_preparation_forbids_core_files_and_new_privileges),
		cmocka_unit_test(test_check_finds_what_was_not_dropped),
		cmocka_unit_test(test_threads_run_reaches_every_thread),
		cmocka_unit_test(test_a_user_it_may_not_become_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
