// The seam between JavaScript and the kernel: every verb of the addon, without
// a trace of JavaScript. A verb returns a value >= 0, or -errno, and nothing
// throws. EINTR is retried inside each verb, so no caller ever sees it. Fds are
// borrowed for the call, and those that a verb opens are born close-on-exec.
// `linux/` and `darwin/` hold the verbs that the platforms do differently.
#pragma once
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

namespace sys {

// ends becomes [reader, writer].
int Pipe(int ends[2]);
// packets: SOCK_SEQPACKET, which macOS refuses.
int SocketPair(int ends[2], bool packets);
// At 3 or above, out of the way of the standard fds.
int Duplicate(int fd);
int Close(int fd);
int SetCloseOnExec(int fd, bool on);
int SetNonBlocking(int fd, bool on);
int Read(int fd, void* bytes, size_t length);
// SIGPIPE is ignored by Node, so a vanished reader is -EPIPE.
int Write(int fd, const void* bytes, size_t length);
// From a position of a file, wherever its offset is.
int ReadAt(int fd, void* bytes, size_t length, off_t position);
int AnonymousFile();
// The means of AnonymousFile where the kernel has nothing better.
int TemporaryFile();

// timeout_ms < 0 is for ever, and a fraction of a millisecond counts. 0 is
// never returned before the time is up.
int Poll(struct pollfd* fds, size_t count, double timeout_ms);
// One look, which EINTR may end; left == nullptr is for ever.
int PollOnce(struct pollfd* fds, size_t count, const timespec* left);

int SelectorOpen();
int SelectorAdd(int selector, int fd);
int SelectorRemove(int selector, int fd);
// Fills at most kMostReady of ready; the others are there the next time.
int SelectorWait(int selector, int32_t* ready, size_t room, double timeout_ms);
int SelectorWaitOnce(int selector, int32_t* ready, size_t room,
                     const timespec* left);
constexpr size_t kMostReady = 256;

struct FdPair {
  int source;
  int target;
};

// All of it must be in place before, since a child may not allocate.
struct Program {
  const char* file;
  char* const* argv;
  char* const* env;
  const char* cwd;
  int death_signal;  // 0: none; macOS has none.
  FdPair* fds;       // Overwritten by the start; targets are distinct.
  size_t fd_count;
};

// The pid, or the -errno of the step that failed in parent or child.
int Spawn(const Program& program);

struct Status {
  int exit_code;  // -1 when a signal ended it
  int signal;     // 0 when it exited
};

// Never blocks: pid when it was reaped, 0 while it runs.
int WaitPid(int pid, Status* status);
// Blocks until it has ended, and forgets how.
void AwaitEnd(int pid);
int ExitFd(int pid);
// exit_fd -1: by pid.
int Kill(int pid, int exit_fd, int signal);
int SetDeathSignal(int signal, int parent_pid);
// Whether the kernel may have sent it because the parent dies. What Kill sends
// never is, but what the parent sends by other means looks the same.
bool IsDeathSignal(const siginfo_t& info, int parent_pid);

// Process-global, since a worker has one token; signal 0 takes the guards away.
int GuardToken(int signal, int result_fd, int slot_fd, uint8_t token);
// A guarded signal from this process means that the submitter is dying.
int TrustOrphanTeller(int pid);
int ResetSignal(int signal);

}  // namespace sys
