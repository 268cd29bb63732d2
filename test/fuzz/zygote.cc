// Sends requests with any bytes and any fds to a zygote, then a valid request.
// The zygote must serve that one: it reports the start and the end of the job.
#include "../../native/zygote.h"

#include <fcntl.h>
#include <fuzzer/FuzzedDataProvider.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "../../native/passing.h"
#include "../../native/posix.h"
#include "../../native/protocol.h"

namespace {

constexpr int kWaitMs = 20'000;
constexpr size_t kMostBytes = 64;
constexpr size_t kMostFds = 12;
constexpr int kExitCode = 7;

int requests = -1;

void Expect(bool holds) {
  if (!holds) abort();
}

void StartZygote(int spares) {
  int ends[2];
  Expect(sys::SocketPair(ends, true) == 0);
  Expect(sys::PassCredentials(ends[1]) == 0);
  const int pid = fork();
  Expect(pid >= 0);
  if (pid > 0) {
    close(ends[1]);
    requests = ends[0];
    return;
  }
  close(ends[0]);
  sys::Zygote zygote(ends[1], spares);
  Expect(zygote.Open() == 0);
  zygote.Serve();
  int fds[sys::kMostPassed];
  zygote.TakeJob(fds);
  _exit(kExitCode);
}

// A reader, socket or file, which never makes the zygote wait.
int OpenAny(FuzzedDataProvider* input) {
  int ends[2];
  switch (input->ConsumeIntegralInRange(0, 3)) {
    case 0:
      return open("/dev/null", O_RDWR | O_CLOEXEC);
    case 1:
      Expect(pipe2(ends, O_CLOEXEC) == 0);
      break;
    case 2:
      Expect(sys::SocketPair(ends, true) == 0);
      break;
    default:
      return open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  }
  close(ends[1]);
  return ends[0];
}

bool IsStop(const std::string& request) {
  int signal = 0;
  if (request.size() >= sizeof signal) {
    memcpy(&signal, request.data(), sizeof signal);
  }
  return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN ||
         signal == SIGTTOU;
}

void SendAny(FuzzedDataProvider* input) {
  int fds[kMostFds];
  const auto fd_count = input->ConsumeIntegralInRange<size_t>(0, kMostFds);
  for (size_t i = 0; i < fd_count; i++) fds[i] = OpenAny(input);
  std::string bytes = input->ConsumeRandomLengthString(kMostBytes);
  // As an orphan signal, a stop signal would leave a process that never ends.
  if (IsStop(bytes)) bytes.clear();
  // Returns -EAGAIN when the zygote is busy, which does not matter here.
  sys::SendFds(requests, {&bytes[0], bytes.size(), fds, fd_count});
  for (size_t i = 0; i < fd_count; i++) close(fds[i]);
}

sys::Report ReceiveReport(int socket) {
  sys::Report report = {};
  int fd = -1;
  sys::Message message = {&report, sizeof report, &fd, 1};
  struct pollfd ready = {socket, POLLIN, 0};
  Expect(sys::Poll(&ready, 1, kWaitMs) == 1);
  Expect(sys::ReceiveFds(socket, &message, false) == sizeof report);
  if (message.fd_count > 0) close(fd);
  return report;
}

void ExpectService() {
  int ends[2];
  Expect(sys::SocketPair(ends, true) == 0);
  sys::ForkRequest request = {SIGTERM, sys::TimerSlack(), -1, 0};
  int fds[] = {ends[1], STDOUT_FILENO, STDERR_FILENO};
  for (;;) {
    const sys::Message message = {&request, sizeof request, fds, 3};
    if (sys::SendFds(requests, message) > 0) break;
    struct pollfd room = {requests, POLLOUT, 0};
    Expect(sys::Poll(&room, 1, kWaitMs) == 1);
    Expect((room.revents & (POLLHUP | POLLERR)) == 0);
  }
  close(ends[1]);
  const sys::Report started = ReceiveReport(ends[0]);
  Expect(started.kind == sys::kStarted && started.value > 0);
  const sys::Report ended = ReceiveReport(ends[0]);
  Expect(ended.kind == sys::kEnded && ended.value == kExitCode);
  close(ends[0]);
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  const char* spares = getenv("JOBSERVER_SPARES");
  StartZygote(spares == nullptr ? 2 : atoi(spares));
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  while (input.remaining_bytes() > 0) SendAny(&input);
  ExpectService();
  return 0;
}
