// A helper that does what no helper should. The file that it is given says what: eight bytes of
// signature, a word, and a blank with what belongs to the word.

#define _GNU_SOURCE
#include <CIsolation.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIGNATURE = 8, KIND_FAULT = 2 };

static char report[4096];
static size_t length;

// Notes what came of an attempt.
static void note(const char *what, bool is_refused) {
  length += (size_t)snprintf(
      report + length, sizeof report - length, "%s %s\n", what, is_refused ? "refused" : "DONE");
}

// Tries everything that a reader of files has no business with.
static void probe(void) {
  pid_t parent = getppid();
  int walls = strata_isolation_confine(1ull << 30);
  note("walls", walls < 0);
  note("open", open("/etc/hostname", O_RDONLY) < 0);
  note("open itself", open("/proc/self/exe", O_RDONLY) < 0);
  note("open the input again", open("/proc/self/fd/3", O_RDONLY) < 0);
  note("list", open("/", O_RDONLY | O_DIRECTORY) < 0);
  struct stat status;
  note("ask about a file", stat("/etc/hostname", &status) < 0);
  note("create", open("/tmp/strata-hostile-reader", O_WRONLY | O_CREAT, 0600) < 0);
  note("write the input", write(STRATA_ISOLATION_INPUT, "x", 1) < 0);
  note("remove", unlink("/tmp/strata-hostile-reader-target") < 0);
  note("make a directory", mkdir("/tmp/strata-hostile-reader-directory", 0700) < 0);
  note("socket", socket(AF_INET, SOCK_STREAM, 0) < 0);
  note("datagrams", socket(AF_INET, SOCK_DGRAM, 0) < 0);
  note("local socket", socket(AF_UNIX, SOCK_STREAM, 0) < 0);
  note("duplicate", dup(STRATA_ISOLATION_INPUT) < 0);
  pid_t child = fork();
  if (child == 0) _exit(0);
  note("fork", child < 0);
  char *arguments[] = {(char *)"true", NULL};
  note("execute", execv("/bin/true", arguments) < 0);
  note("signal the parent", kill(parent, 0) < 0);
  note("have the parent signalled", fcntl(STRATA_ISOLATION_SOCKET, F_SETOWN, parent) < 0);
  void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  note("new code", code == MAP_FAILED);
  void *memory = mmap(NULL, 2ull << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  note("memory", memory == MAP_FAILED);
  struct rlimit more = {.rlim_cur = 64, .rlim_max = 64};
  note("more descriptors", setrlimit(RLIMIT_NOFILE, &more) < 0);
}

static void give_number(uint64_t value, int bytes) {
  for (; bytes > 0; bytes--, value >>= 8) strata_isolation_give(&(unsigned char){value & 255}, 1);
}

static void give_text(const char *text, size_t count) {
  give_number(count, 4);
  strata_isolation_give(text, count);
}

// The report as the reason of a fault.
static void give_report(void) {
  const char code[] = "hdf5Invalid";
  size_t count = 4 + strlen(code) + 1 + 8 + 4 + length;
  give_number(KIND_FAULT, 1);
  give_number(count, 8);
  give_text(code, strlen(code));
  give_number(0, 1);
  give_number(UINT64_MAX, 8);
  give_text(report, length);
}

int main(void) {
  if (!strata_isolation_is_helper()) return 64;
  static char file[1 << 20];
  ssize_t size = pread(STRATA_ISOLATION_INPUT, file, sizeof file - 1, 0);
  if (size <= SIGNATURE) return 1;
  char *word = file + SIGNATURE;
  char *blank = strchr(word, ' ');
  const char *rest = blank ? blank + 1 : "";
  if (blank) *blank = 0;

  if (!strcmp(word, "signal")) {
    raise(atoi(rest));
  } else if (!strcmp(word, "exit")) {
    _exit(atoi(rest));
  } else if (!strcmp(word, "silent")) {
    for (;;) pause();
  } else if (!strcmp(word, "closed")) {
    // Hangs on without the line.
    close(STRATA_ISOLATION_SOCKET);
    for (;;) pause();
  } else if (!strcmp(word, "spin")) {
    strata_isolation_allow(0);
    for (volatile int i = 0;; i++) {}
  } else if (!strcmp(word, "send")) {
    // Whatever it is, and then whatever is asked goes unheard.
    strata_isolation_give(rest, (size_t)(file + size - rest));
    char request[20];
    while (strata_isolation_take(request, sizeof request)) {}
  } else if (!strcmp(word, "probe")) {
    probe();
    give_report();
  }
  return 0;
}
