// A worker's last act when its submitter is gone and a signal ends it: the
// token goes back to the slot pipe, where other processes still wait for it.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "posix.h"

namespace sys {
namespace {

// Written only while no guard is installed, read by the handler.
int guarded_result_fd = -1;
int guarded_slot_fd = -1;
uint8_t guarded_token = 0;
pid_t guarded_parent = 0;
// Another thread may be in the handler of another signal at the same time.
bool is_token_given = false;

// The signals that have our handler.
constexpr int kSignals = 65;
bool is_guarded[kSignals];

// The process whose signals say that the submitter is dead; 0: none.
int orphan_teller = 0;

// A process that dies closes its fds in an order of the kernel's choice: the
// first of its threads to end sends the death signal, the last closes the fds.
constexpr int kDyingMs = 1000;

bool IsReaderGone(int writer, int timeout_ms) {
  // Linux says error and macOS hang-up; neither has to be asked for.
  struct pollfd end = {writer, 0, 0};
  return poll(&end, 1, timeout_ms) == 1 &&
         (end.revents & (POLLERR | POLLHUP)) != 0;
}

bool IsToldOfDeath(const siginfo_t& info) {
  if (orphan_teller > 0 && info.si_pid == orphan_teller) return true;
  return IsDeathSignal(info, guarded_parent);
}

// Every signal is blocked in here, but other threads may take theirs, and the
// next pending one comes before the death that raise asks for.
void GiveBackAndDie(int signal, siginfo_t* info, void*) {
  const int timeout_ms = IsToldOfDeath(*info) ? kDyingMs : 0;
  if (IsReaderGone(guarded_result_fd, timeout_ms) &&
      !__atomic_exchange_n(&is_token_given, true, __ATOMIC_SEQ_CST)) {
    // A signal cannot interrupt it, and nobody is left to be told of an error.
    const ssize_t ignored = write(guarded_slot_fd, &guarded_token, 1);
    static_cast<void>(ignored);
  }
  ResetSignal(signal);
  // It takes effect when the handler returns and its signal is unblocked.
  raise(signal);
}

int RemoveGuards() {
  for (int signal = 1; signal < kSignals; signal++) {
    if (!is_guarded[signal]) continue;
    is_guarded[signal] = false;
    const int result = ResetSignal(signal);
    if (result < 0) return result;
  }
  return 0;
}

}  // namespace

int GuardToken(int signal, int result_fd, int slot_fd, uint8_t token) {
  if (signal == 0) return RemoveGuards();
  if (signal < 0 || signal >= kSignals) return -EINVAL;
  guarded_result_fd = result_fd;
  guarded_slot_fd = slot_fd;
  guarded_token = token;
  guarded_parent = getppid();
  is_token_given = false;
  struct sigaction action = {};
  action.sa_sigaction = GiveBackAndDie;
  action.sa_flags = SA_RESTART | SA_SIGINFO;
  sigfillset(&action.sa_mask);
  if (sigaction(signal, &action, nullptr) != 0) return -errno;
  is_guarded[signal] = true;
  return 0;
}

int TrustOrphanTeller(int pid) {
  orphan_teller = pid;
  return 0;
}

int ResetSignal(int signal) {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  return sigaction(signal, &action, nullptr) == 0 ? 0 : -errno;
}

}  // namespace sys
