// The system calls, without JavaScript: namespace sys knows nothing of it. This
// header has the verbs for fds, waiting, processes and signals; fork.h,
// zygote.h and passing.h have the others. `linux/` and `darwin/` implement what
// differs between the platforms.
//
// The convention of all these headers: A verb returns a value >= 0 or -errno,
// and throws nothing. It retries EINTR, so that its caller never receives it.
// It borrows the fds that it is given, and makes those that it opens
// close-on-exec.
#pragma once
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

namespace sys {

// Fills ends with [reader, writer].
int Pipe(int ends[2]);
// With packets, the type is SOCK_SEQPACKET, which macOS lacks.
int SocketPair(int ends[2], bool packets);
int Open(const char* path, int flags);
// The new fd is 3 or above, so that it is not taken for a standard fd.
int Duplicate(int fd);
// Makes `target` another number of the file, not close-on-exec.
int DuplicateTo(int fd, int target);
int Close(int fd);
// Locks a file for this process alone, as fcntl(2) does; -EAGAIN when another
// process has locked it.
int LockFile(int fd, bool on);
// The same for a part of it; length 0: to its end.
int LockRange(int fd, off_t position, off_t length, bool on);
int SetCloseOnExec(int fd, bool on);
int SetNonBlocking(int fd, bool on);
int Read(int fd, void* bytes, size_t length);
// Node ignores SIGPIPE, so without a reader the result is -EPIPE.
int Write(int fd, const void* bytes, size_t length);
// Reads at a position of a file and leaves the file's offset alone.
int ReadAt(int fd, void* bytes, size_t length, off_t position);
int WriteAt(int fd, const void* bytes, size_t length, off_t position);
// A file without a name, in memory where the kernel can do that.
int AnonymousFile();
// What AnonymousFile opens where the kernel cannot.
int TemporaryFile();
// Makes an anonymous file final, where the kernel can: no process can change
// it, or wait for what it reads from it.
int SealFile(int fd);
// Locks or unlocks one byte of a file for this process; -EAGAIN while another
// one has it. On Linux the lock belongs to the open file, and ends with it.
int LockByte(int fd, off_t position, bool on);
// 0 if the file is such that SealFile has sealed it, or would have had to;
// -EBADMSG for anything else, of which a read may wait.
int CheckSealed(int fd);
// The check where the kernel has no seals: a regular file without a name.
int CheckTemporary(int fd);
int StatFile(int fd, struct stat* file);
// An anonymous file of zeros. On Linux it is sealed, so that no process can
// make it shorter: a process that has mapped it would be ended by SIGBUS.
int SegmentFile(size_t size);
// Whether a file of SegmentFile is sealed, 1 or 0; -EBADMSG for anything else,
// of which a read may wait.
int IsSealedSegment(int fd);
// No process can write to the file from now on, where the kernel can do that.
int MakeConstant(int fd);
// Maps a file, shared with all who do so.
int Map(int fd, size_t size, bool is_writable, void** base);
int Unmap(void* base, size_t size);
// Waits until WakeWord is called for a word that has this value. -EAGAIN when
// it has another one, -ETIMEDOUT after timeout_ms; below 0: no limit.
int WaitWord(int32_t* word, int32_t value, double timeout_ms);
// Returns how many were woken, at most count.
int WakeWord(int32_t* word, int count);
constexpr size_t kPageBytes = 4096;
// Changes the first word of a file from 1 to 0, unless the receiver has passed
// a part of the file on.
void GiveBack(void* head);
// Replaces a mapping, in place, by a copy that belongs to this process. With
// gives_back, GiveBack follows.
int MakePrivate(void* base, size_t size, bool gives_back);

// Returns how many fds are ready, or 0 after timeout_ms and never earlier. A
// timeout_ms below 0 means no limit; fractions of a millisecond count.
int Poll(struct pollfd* fds, size_t count, double timeout_ms);
// One attempt of Poll, which may return -EINTR. left == nullptr means no limit.
int PollOnce(struct pollfd* fds, size_t count, const timespec* left);

// A selector is a set of fds to wait for, itself an fd.
int SelectorOpen();
int SelectorAdd(int selector, int fd);
// For an fd that is not in the set: until it has room for output.
int SelectorAddOutput(int selector, int fd);
// For the reader of a pipe that is not in the set: ready once no process has
// the writer. On macOS it is also reported once for each write.
int SelectorAddEnd(int selector, int fd);
int SelectorRemove(int selector, int fd);
// Fills ready with at most kMostReady ready fds and returns their number. The
// next call returns the other ones.
int SelectorWait(int selector, int32_t* ready, size_t room, double timeout_ms);
// One attempt of SelectorWait, which may return -EINTR.
int SelectorWaitOnce(int selector, int32_t* ready, size_t room,
                     const timespec* left);
constexpr size_t kMostReady = 256;

struct FdPair {
  int source;
  int target;
};

// All of it exists before the start, because the new process cannot allocate.
struct Program {
  const char* file;
  char* const* argv;
  char* const* env;
  const char* cwd;   // "": where this process is, even if it was removed
  int death_signal;  // 0: none; ignored on macOS, which has none
  bool leads_group;  // the new process leads a new process group
  FdPair* fds;       // overwritten by the start; all targets differ
  size_t fd_count;
};

// Returns the pid, or the -errno of the step that failed in parent or child.
int Spawn(const Program& program);

// What a process and the children that it has reaped have used, as wait4(2)
// says. Plain numbers, because they are a part of a message too.
struct Usage {
  int32_t user_seconds;
  int32_t user_us;  // besides the seconds
  int32_t system_seconds;
  int32_t system_us;
  int32_t peak_kib;
  int32_t minor_faults;
  int32_t major_faults;
  int32_t voluntary_switches;
  int32_t involuntary_switches;
};
constexpr size_t kUsageInts = sizeof(Usage) / sizeof(int32_t);

struct Status {
  int exit_code;  // -1 when a signal ended it
  int signal;     // 0 when it exited
  Usage usage;
};

// Returns pid when it has reaped the child, or 0 while the child runs.
int WaitPid(int pid, Status* status);
// The same for the leader of a process group. First sends SIGTERM to what is
// left of the group.
int WaitLeader(int pid, Status* status);
// Whether this process has a child in the process group that it leads.
int HasChildInGroup();
// What this process has used up to now.
int OwnUsage(Usage* usage);
// Blocks until the child has ended, and reaps it without its status.
void AwaitEnd(int pid);
// Takes over the duty to reap a child, which ReapLeft does once it has ended.
void LeaveChild(int pid);
void ReapLeft();
// In a fork: the children are those of the parent.
void ForgetLeft();
// An fd that becomes readable when the process has ended.
int ExitFd(int pid);
// Uses exit_fd where the kernel can, and pid otherwise or when exit_fd is -1.
// The value comes with the signal where the kernel can do that.
int Kill(int pid, int exit_fd, int signal, int value = 0);
// The same to the whole process group that this process leads, or has led. By
// exit_fd, no other group can get the signal. -ENOSYS where the kernel cannot
// do that, and the leader has ended. exit_fd -1: by pid.
int KillGroup(int pid, int exit_fd, int signal, int value = 0);
// Makes a process lead a new group; 0: this process.
int LeadGroup(int pid);
// Forks from a handler of signals. The child has no fds, and may make system
// calls only.
int ForkPlain();
// Makes the kernel send `signal` to this process when its parent dies.
int SetDeathSignal(int signal, int parent_pid);
// How late the kernel may end the waits of this thread, in nanoseconds. Linux
// only, -ENOSYS elsewhere.
int TimerSlack();
// resource: the position of a limit in limits.cc. is_final: this process cannot
// raise it again.
int SetLimit(size_t resource, double value, bool is_final);
// Whether the kernel may have sent a signal because the parent dies. False for
// a signal of Kill; true also for one that the parent sends by other means.
bool IsDeathSignal(const siginfo_t& info, int parent_pid);
// The value that came with a signal of Kill, or 0.
int ValueOf(const siginfo_t& info);

// A number that changes when a variable of the environment has changed since
// the last call. For the main thread alone.
int EnvironmentStamp();

// See guard.cc. There is one token in the whole process; signal 0 removes the
// guards. slot_fd -1: there is no token.
int GuardToken(int signal, int result_fd, int slot_fd, uint8_t token);
// Called when Node has replaced the handler of a signal: a guarded one passes
// the signal on to that of Node from now on.
int KeepGuard(int signal);
// How long an orphan runs on that handles a guarded signal.
int SetGrace(double ms);
// From now on, the signal does not end this process: a byte is written to fd.
// fd -1 ends that.
int FeedSignal(int signal, int fd);
// Fills the first signal that was written so, or 0, and the value of Kill.
int FedSignal(int32_t* signal_and_value);
int ForgetFed();
// How many milliseconds the end of the submitter may still take to show on the
// result socket, because a guarded signal has announced it; 0: none did.
int OrphanPatience();
// This process leads a process group that it ends as an orphan.
int GuardGroup(bool is_on);
// Called at the end of an orphan.
int EndGroup();
// For a worker that runs several jobs: from now on, the token is the byte in
// *word minus 1, or none where it is 0. The submitter changes it meanwhile.
// nullptr: the token is the one that GuardToken or GiveToken names.
int ShareToken(int32_t* word);
// Neither a guard nor GiveToken writes while the result socket of a lender has
// a reader, or while the slot is lent. SetLenders ends a loan of the parent.
int SetLenders(const int* result_fds, size_t count);
int SetLent(bool is_lent);
// Writes the token to slot_fd, unless a guard or a call has written it before.
int GiveToken(int slot_fd, uint8_t token);
// A guarded signal from this process means that the submitter is dying.
int SetOrphanSignaler(int pid);
// Gives the signal its default action.
int ResetSignal(int signal);
int UnblockSignals();

}  // namespace sys
