// The verbs that the addon is made of, as plain POSIX: no JavaScript here.
// Each returns a value >= 0, or -errno; each retries EINTR itself. A bare fd or
// pid is borrowed for the call.
#pragma once
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

namespace jobserver {

// pipe.cc
int Pipe(int ends[2]);
int SocketPair(int ends[2], bool packets);
int Dup(int fd);
int Close(int fd);
int SetCloseOnExec(int fd, bool on);
int SetNonBlocking(int fd, bool on);
ssize_t Read(int fd, void* bytes, size_t length);
ssize_t Write(int fd, const void* bytes, size_t length);
int AnonymousFile();

// poll.cc; a negative timeout waits for ever, and none ends early.
struct PollFd {
  int32_t fd;
  int16_t events;
  int16_t revents;
};
int Poll(PollFd* fds, size_t count, double timeout_ms);

// linux.cc, darwin.cc: a set of fds whose cost is that of the ready ones.
int SelectorOpen();
int SelectorAdd(int selector, int fd);
int SelectorRemove(int selector, int fd);
int SelectorWait(int selector, int32_t* ready, size_t capacity,
                 double timeout_ms);

// spawn.cc
struct FdPair {
  int32_t source;
  int32_t target;
};
struct Program {
  const char* file;
  char* const* argv;
  char* const* env;
  const char* cwd;
  const FdPair* fds;
  size_t fd_count;
  int death_signal;
};
pid_t Spawn(const Program& program);

// reap.cc
struct Status {
  int32_t exit_code;  // -1: none
  int32_t signal;     // 0: none
};
pid_t WaitPid(pid_t pid, Status* status);

// linux.cc, darwin.cc
int ExitFd(pid_t pid);
int Kill(pid_t pid, int exit_fd, int signal);
int SetDeathSignal(int signal, pid_t parent);

// guard.cc
int ResetSignal(int signal);
int GuardToken(int signal, int result_fd, int slot_fd, uint8_t token);

}  // namespace jobserver
