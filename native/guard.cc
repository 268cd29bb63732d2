// What a worker does about signals: it has one job, so the state of the process
// is the right place.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "posix.h"

namespace jobserver {
namespace {

struct {
  int result_fd;
  int slot_fd;
  uint8_t token;
} guarded;

// The writer of a pipe sees an error once the reader is gone.
bool SubmitterIsGone() {
  struct pollfd result = {guarded.result_fd, 0, 0};
  return poll(&result, 1, 0) > 0 && (result.revents & POLLERR) != 0;
}

void GiveBackAndDie(int signal) {
  if (SubmitterIsGone()) {
    // Nobody is left to tell of a failure.
    ssize_t ignored = write(guarded.slot_fd, &guarded.token, 1);
    (void)ignored;
  }
  ResetSignal(signal);
  // Blocked while this handler runs; kills on return.
  raise(signal);
}

}  // namespace

int ResetSignal(int signal) {
  struct sigaction action = {};
  action.sa_handler = SIG_DFL;
  sigemptyset(&action.sa_mask);
  return sigaction(signal, &action, nullptr) < 0 ? -errno : 0;
}

int GuardToken(int signal, int result_fd, int slot_fd, uint8_t token) {
  guarded = {result_fd, slot_fd, token};
  struct sigaction action = {};
  action.sa_handler = GiveBackAndDie;
  action.sa_flags = SA_RESTART;
  sigfillset(&action.sa_mask);
  return sigaction(signal, &action, nullptr) < 0 ? -errno : 0;
}

}  // namespace jobserver
