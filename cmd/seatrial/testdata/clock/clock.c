// The wall clock of one host of the lab: the hosts share this machine's, which nobody may set. It is preloaded into every
// process of a host, PID 1 included. The first byte of /run/clock-days says by how many days the clock is off.
// What it needs of libc is in all of them; it is linked with none, and so loads under each.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile signed char *days;

__attribute__((constructor)) static void look(void) {
	int file = open("/run/clock-days", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return;
	void *page = mmap(0, 1, PROT_READ, MAP_SHARED, file, 0);
	days = page == MAP_FAILED ? 0 : page;
	close(file);
}

int clock_gettime(clockid_t clock, struct timespec *t) {
	int failed = syscall(SYS_clock_gettime, clock, t);
	if (!failed && days && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI))
		t->tv_sec += *days * 24L * 60 * 60;
	return failed;
}

int timespec_get(struct timespec *t, int base) { return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, t) ? base : 0; }

int gettimeofday(struct timeval *restrict t, void *restrict zone) {
	struct timespec now;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	t->tv_sec = now.tv_sec;
	t->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *t) {
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return t ? (*t = now.tv_sec) : now.tv_sec;
}
