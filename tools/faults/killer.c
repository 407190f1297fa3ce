// Kills a program at its Nth stop at a system call, before or after the kernel has done it:
// killer N PROGRAM ARGUMENTS... All threads count together. Prints "killed" or, where the program
// has ended before, "ended". Linux.

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **arguments) {
  if (count < 3) return 64;
  long wanted = atol(arguments[1]);
  pid_t program = fork();
  if (program == 0) {
    ptrace(PTRACE_TRACEME, 0, NULL, NULL);
    raise(SIGSTOP);
    execv(arguments[2], arguments + 2);
    _exit(127);
  }
  int status;
  if (waitpid(program, &status, 0) < 0 || !WIFSTOPPED(status)) return 2;
  long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                 PTRACE_O_TRACEVFORK | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL;
  if (ptrace(PTRACE_SETOPTIONS, program, NULL, options) != 0) {
    perror("ptrace");
    return 2;
  }
  ptrace(PTRACE_SYSCALL, program, NULL, NULL);

  long stops = 0;
  while (1) {
    pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0 && errno == EINTR) continue;
    if (thread < 0) return 2;
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      if (thread != program) continue;
      puts("ended");
      return 0;
    }
    int number = WSTOPSIG(status);
    if (number == (SIGTRAP | 0x80) && ++stops == wanted) {
      kill(program, SIGKILL);
      // Whatever else it started goes with this process.
      pid_t ended;
      do {
        ended = waitpid(-1, &status, __WALL);
      } while (ended > 0 && (ended != program || WIFSTOPPED(status)));
      puts("killed");
      return 0;
    }
    // Stops of the tracing itself bring no signal that the program should see.
    int passed = number == (SIGTRAP | 0x80) || number == SIGTRAP || number == SIGSTOP ? 0 : number;
    ptrace(PTRACE_SYSCALL, thread, NULL, (long)passed);
  }
}
