// A process that may read one file and answer one question, and nothing else: how it is started and
// ended by its parent, and how it gives up every other right.
//
// In C because Swift sees neither the macros of seccomp nor Landlock, and because posix_spawn has
// other types from system to system.
#ifndef STRATA_CISOLATION_H
#define STRATA_CISOLATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Where the helper finds what it was given.
#define STRATA_ISOLATION_INPUT 3
#define STRATA_ISOLATION_SOCKET 4

// MARK: The parent's side

// What is left of a helper.
typedef struct {
  // The signal that ended it, or 0.
  int signal;
  // Its status when it ended by itself; -1 when somebody else has collected it.
  int status;
} strata_isolation_end_t;

// Starts `executable`, or the program that runs now when that is NULL, with the single argument
// `argument`, an empty environment, /dev/null for the standard streams, `input` as descriptor 3,
// one end of a socket as descriptor 4, and no other.
//
// Gives the other end and the process; returns 0 or the number of the system's error.
int strata_isolation_start(
    const char *executable, const char *argument, int input, int *socket, pid_t *process);

// Sends all bytes; false when nobody takes them any more. No signal is raised.
bool strata_isolation_send(int socket, const void *bytes, size_t count);

// Receives up to `count` bytes: how many came, 0 at the end, -1 for an error, -2 when nothing came
// in `milliseconds`.
ssize_t strata_isolation_receive(int socket, void *bytes, size_t count, int milliseconds);

// Closes the socket and waits for the end of the process, which is given `milliseconds` for it and
// then killed.
strata_isolation_end_t strata_isolation_end(int socket, pid_t process, int milliseconds);

// A file without a name that holds these bytes, to be closed by the caller; -1 when there is none.
int strata_isolation_file(const void *bytes, size_t count);

void strata_isolation_close(int descriptor);

// What the system says about the number of an error.
const char *strata_isolation_message(int number);

// MARK: The helper's side

// Whether descriptors 3 and 4 are a regular file and a socket. Then all others but the standard
// streams are closed, and signals end the process.
bool strata_isolation_is_helper(void);

// The path under which descriptor 3 can be opened again, as long as anything can.
const char *strata_isolation_input_path(void);

// What a kernel could hold the process to.
enum {
  STRATA_ISOLATION_FILES = 1,    // no file can be opened
  STRATA_ISOLATION_NETWORK = 2,  // no connection can be made
  STRATA_ISOLATION_CALLS = 4,    // no system call beyond a short list
};

// Gives up every right but using descriptors that are open, within `memory` bytes of address space
// (Apple's systems cannot limit it): nothing can be opened, written to a file, connected to or
// started. Returns what of STRATA_ISOLATION_... the kernel offers, or -1 when it offers a wall and
// it cannot be raised.
//
// For the calling thread, so it has to be called before there are others.
int strata_isolation_confine(uint64_t memory);

// Ends the process by SIGXCPU when it takes more than `seconds` of processor time from now on.
void strata_isolation_allow(uint64_t seconds);

// The helper's own reading and writing; false at the end. Nothing is left to do then but to leave.
bool strata_isolation_take(void *bytes, size_t count);
bool strata_isolation_give(const void *bytes, size_t count);

// Ends the process at once: no destructor walks over what a damaged file has left in memory.
_Noreturn void strata_isolation_leave(void);

#endif
