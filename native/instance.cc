#include "instance.h"

#include <errno.h>
#include <string.h>

#include "posix.h"
#include "strings.h"
#include "zygote_table.h"

namespace {

// Calls a function of zygote_table.h that holds a zygote.
int Hold(const Args& args, int (*hold)(const char*, sys::ZygoteLink*)) {
  const Strings key(args, 0);
  const Ints ints = args.IntsAt(1, 2);
  if (key.error() < 0) return key.error();
  sys::ZygoteLink link = {ints.data[0], ints.data[1]};
  const int result = hold(key.first(), &link);
  if (result < 0) return result;
  HoldingsOf(args)->AddZygote(link.socket);
  ints.data[0] = link.socket;
  ints.data[1] = link.pid;
  return result;
}

void StoreWord(const Ints& words, int32_t value) {
  if (words.count == 0) return;
  __atomic_store_n(words.data, value, __ATOMIC_SEQ_CST);
}

}  // namespace

bool IsMainThread(Napi::Env env) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  return loop == uv_default_loop();
}

void StartInstance(Napi::Env env) {
  auto* holdings = new sys::Holdings();
  env.SetInstanceData(holdings);
  // The end of the main thread is the end of the process, where the kernel
  // releases everything.
  if (IsMainThread(env)) return;
  napi_add_env_cleanup_hook(
      env, [](void* data) { static_cast<sys::Holdings*>(data)->Release(); },
      holdings);
}

sys::Holdings* HoldingsOf(const Args& args) {
  return Napi::Env(args.Env()).GetInstanceData<sys::Holdings>();
}

int Own(const Args& args, int fd) {
  if (fd >= 0) HoldingsOf(args)->AddFd(fd);
  return fd;
}

int OwnAll(const Args& args, int result, const Ints& fds) {
  if (result < 0) return result;
  for (size_t i = 0; i < fds.count; i++) HoldingsOf(args)->AddFd(fds.data[i]);
  return result;
}

int Input(const Args& args, int fd, int count) {
  if (count > 0) HoldingsOf(args)->AddInput(fd);
  return count;
}

int TakeToken(const Args& args) {
  uint8_t byte = 0;
  const int count = sys::Read(args.Int(0), &byte, 1);
  if (count <= 0) return count == 0 ? -EPIPE : count;
  const int escrow = args.Int(2);
  // Jobs have an escrow, and no worker thread has a job: this thread is the
  // main thread, which never returns the token at its end.
  if (escrow >= 0) sys::Write(escrow, &byte, 1);
  HoldingsOf(args)->AddToken({args.Int(1), byte});
  return byte;
}

// Removed first, so that no token is ever given back twice.
int ReturnToken(const Args& args) {
  const sys::Token token = {args.Int(0), args.Byte(1)};
  HoldingsOf(args)->RemoveToken(token);
  auto byte = static_cast<uint8_t>(token.byte);
  const int escrow = args.Int(2);
  if (escrow >= 0) {
    const int count = sys::Read(escrow, &byte, 1);
    if (count <= 0) return count == 0 ? -EPIPE : count;
  }
  return sys::Write(token.slot_fd, &byte, 1);
}

// Stores the word in the same call, because the thread may end between two:
// then either this instance or the worker gives the token back.
int BindToken(const Args& args) {
  const sys::Token token = {args.Int(0), args.Byte(1)};
  HoldingsOf(args)->BindToken(token, args.Int(2), args.Int(3));
  StoreWord(args.IntsAt(4, 0), token.byte + 1);
  return 0;
}

int UnbindToken(const Args& args) {
  StoreWord(args.IntsAt(1, 0), 0);
  HoldingsOf(args)->UnbindToken(args.Int(0));
  return 0;
}

int EndWithThread(const Args& args) {
  return HoldingsOf(args)->EndChild(args.Int(0), args.Int(1));
}

int EndForkWithThread(const Args& args) {
  HoldingsOf(args)->EndFork(args.Int(0), args.Int(1));
  return 0;
}

int ReceiveReport(const Args& args) {
  const Ints ints = args.IntsAt(1, sys::kReportInts + 1);
  sys::Report report = {};
  int pidfd = -1;
  const int socket = args.Int(0);
  const int length = HoldingsOf(args)->ReceiveReport(socket, &report, &pidfd);
  memcpy(ints.data, &report, sizeof report);
  ints.data[sys::kReportInts] = pidfd;
  return length;
}

int HoldZygote(const Args& args) { return Hold(args, sys::HoldZygote); }

int ShareZygote(const Args& args) {
  const Ints ints = args.IntsAt(1, 2);
  HoldingsOf(args)->RemoveFd(ints.data[0]);
  HoldingsOf(args)->RemoveChild(ints.data[1]);
  return Hold(args, sys::ShareZygote);
}

int ReleaseZygote(const Args& args) {
  const int socket = args.Int(0);
  HoldingsOf(args)->RemoveZygote(socket);
  const int pid = sys::ReleaseZygote(socket, args.Bool(1));
  if (pid <= 0) return pid;
  sys::LeaveChild(pid);
  sys::ReapLeft();
  return 1;
}
