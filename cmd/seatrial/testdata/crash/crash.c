// crash stands in front of a command of a host, in /usr/local/sbin, and lets seatrial's scripts die at a chosen command of
// theirs. It is installed under the names of the commands that write, and does the real one unless it was called by a
// script that works for a service with an order in /run/crash/SERVICE:
//
//     VERB N before|after shells|all|park
//
// At the Nth command of VERB, before or after doing it, it kills the shells of the verb, or those of the helper or the
// guard above them, too; or it waits for /run/crash/SERVICE.go. SERVICE.hit says that it happened, SERVICE.trace is the
// list of all commands so far.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORDERS "/run/crash/"

// A process is one of seatrial's above us.
struct process {
	int pid;
	char *mark, *args[2]; // @run, @guard or @helper, and the words after it
};

static struct process ours[64]; // nearest first
static int above;
static char *line = ""; // our arguments

static char *format(const char *pattern, ...) {
	char *text;
	va_list list;
	va_start(list, pattern);
	if (vasprintf(&text, pattern, list) < 0)
		exit(127);
	va_end(list);
	return text;
}

// content is that of a file, with a 0 behind it; NULL: it cannot be read.
static char *content(const char *path, size_t *length) {
	int file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return NULL;
	char *text = malloc(4096);
	size_t room = 4096, have = 0;
	for (ssize_t n; (n = read(file, text + have, room - have - 1)) > 0;) {
		have += n;
		if (room - have < 2)
			text = realloc(text, room *= 2);
	}
	close(file);
	text[have] = 0;
	if (length)
		*length = have;
	return text;
}

static int parent(int pid) {
	char *text = content(format("/proc/%d/stat", pid), NULL), *end = text ? strrchr(text, ')') : NULL, state;
	int up = 0;
	return end && sscanf(end, ") %c %d", &state, &up) == 2 ? up : 0;
}

static void look_up(void) {
	for (int pid = getppid(); pid > 1 && above < 64; pid = parent(pid)) {
		size_t length;
		char *text = content(format("/proc/%d/cmdline", pid), &length);
		if (!text)
			return;
		for (char *word = text, *end = text + length; word < end; word += strlen(word) + 1) {
			if (strcmp(word, "@run") && strcmp(word, "@guard") && strcmp(word, "@helper"))
				continue;
			struct process *p = &ours[above++];
			*p = (struct process){pid, word, {"", ""}};
			for (int i = 0; i < 2 && (word += strlen(word) + 1) < end; i++)
				p->args[i] = word;
			break;
		}
	}
}

// who says which verb called us, for which service. What the helper does without a verb's own shell is told by what our
// arguments name.
static void who(char **verb, char **service) {
	if (!strcmp(ours[0].mark, "@run")) {
		*verb = ours[0].args[0], *service = ours[0].args[1];
		return;
	}
	if (!strcmp(ours[0].mark, "@guard")) {
		*verb = "guarding", *service = ours[0].args[0];
		return;
	}
	DIR *orders = opendir(ORDERS);
	for (struct dirent *file; orders && (file = readdir(orders));)
		if (!strchr(file->d_name, '.') && strstr(line, file->d_name)) {
			*verb = "helper", *service = strdup(file->d_name);
			break;
		}
}

static void append(const char *path, const char *text) {
	int file = open(path, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
	if (file >= 0 && write(file, text, strlen(text)) >= 0)
		close(file);
}

// count is which command of the verb this is, from 1.
static int count(const char *service, const char *verb, const char *name) {
	char *path = format(ORDERS "%s.trace", service), *lead = format("%s ", verb);
	int lock = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600), n = 1;
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		return 0;
	for (char *at = content(path, NULL); at && *at; at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL)
		n += !strncmp(at, lead, strlen(lead));
	append(path, format("%s %d %s %.160s\n", verb, n, name, line));
	close(lock);
	return n;
}

// become does the real command in our place.
static void become(char **argv, const char *name) {
	static const char *directories[] = {"/usr/local/bin/", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"};
	for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
		execv(format("%s%s", directories[i], name), argv);
	perror("crash");
	_exit(127);
}

static int outcome(char **argv, const char *name) {
	int status, child = fork();
	if (child == 0)
		become(argv, name);
	return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int main(int argc, char **argv) {
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	for (int i = 1; i < argc; i++)
		line = format("%s%s%s", line, *line ? " " : "", argv[i]);
	for (char *c = line; *c; c++)
		if (*c == '\n')
			*c = ' ';
	look_up();
	char *verb = "", *service = "", *order, order_verb[64], when[16], how[16];
	int number;
	if (above)
		who(&verb, &service);
	if (strcmp(verb, "helper") && !strcmp(name, "systemctl") && !strncmp(line, "show ", 5))
		become(argv, name); // it writes nothing, and how often it is asked depends on the time
	if (!*service || !(order = content(format(ORDERS "%s", service), NULL)))
		become(argv, name);
	int n = count(service, verb, name);
	if (sscanf(order, "%63s %d %15s %15s", order_verb, &number, when, how) != 4 || strcmp(order_verb, verb) || number != n)
		become(argv, name);
	int status = strcmp(when, "after") ? 0 : outcome(argv, name);
	append(format(ORDERS "%s.hit", service), format("%s %s %.160s", order, name, line));
	if (strcmp(how, "park")) {
		for (int i = 0; i < above; i++)
			if (!strcmp(how, "all") || !strcmp(ours[i].mark, "@run") || i == 0)
				kill(ours[i].pid, SIGKILL);
		return 0;
	}
	for (int i = 0; i < 600 && access(format(ORDERS "%s.go", service), F_OK); i++)
		usleep(100000);
	if (strcmp(when, "after"))
		become(argv, name);
	return status;
}
