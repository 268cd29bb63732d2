// Exports all verbs to JavaScript, and has those that belong to no other file.
// Each verb reads its arguments, makes one call and returns its number;
// lib/system/binding.ts says what a verb does.
#include <errno.h>
#include <napi.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include <uv.h>

#include "args.h"
#include "deadline.h"
#include "export.h"
#include "fd_table.h"
#include "files.h"
#include "filled_pages.h"
#include "fork.h"
#include "guard_verbs.h"
#include "heap_layout.h"
#include "instance.h"
#include "posix.h"
#include "reuse.h"
#include "segments.h"
#include "sockets.h"
#include "strings.h"
#include "watcher.h"
#include "zygote_loop.h"

namespace {

// JavaScript fills struct pollfd itself: the first number is the fd, the second
// has events in its low half and revents in its high half.
static_assert(sizeof(struct pollfd) == 2 * sizeof(int32_t), "pairs of int32");
static_assert(offsetof(struct pollfd, revents) == 6,
              "revents is the high half");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "low half is first");

int Poll(const Args& args) {
  const int count = args.Int(1);
  args.Assert(count >= 0, 1, "not negative");
  const Ints fds = args.IntsAt(0, 2 * static_cast<size_t>(count));
  return sys::Poll(reinterpret_cast<struct pollfd*>(fds.data),
                   static_cast<size_t>(count), args.Double(2));
}

int SelectorOpen(const Args& args) { return Own(args, sys::SelectorOpen()); }

int SelectorAdd(const Args& args) {
  return sys::SelectorAdd(args.Int(0), args.Int(1));
}

int SelectorAddEnd(const Args& args) {
  return sys::SelectorAddEnd(args.Int(0), args.Int(1));
}

int SelectorRemove(const Args& args) {
  return sys::SelectorRemove(args.Int(0), args.Int(1));
}

int SelectorWait(const Args& args) {
  const Ints ready = args.IntsAt(1, 1);
  const int count =
      sys::SelectorWait(args.Int(0), ready.data, ready.count, args.Double(2));
  // After the wait, because it reports the end of each zygote once.
  sys::ReapLeft();
  return count;
}

int Start(const Args& args, bool leads_group) {
  const Strings file(args, 0);
  const Strings argv(args, 1);
  const Strings env(args, 2);
  const Strings cwd(args, 3);
  const Ints table = args.IntsAt(4, 1);
  args.Assert(table.count % 2 == 1, 4, "a signal and pairs");
  const FdTable fds(table);
  for (const Strings* strings : {&file, &argv, &env, &cwd}) {
    if (strings->error() < 0) return strings->error();
  }
  if (fds.pairs() == nullptr) return -ENOMEM;
  const int pid =
      sys::Spawn({file.first(), argv.list(), env.list(), cwd.first(),
                  table.data[0], leads_group, fds.pairs(), fds.count()});
  if (pid > 0) HoldingsOf(args)->AddChild(pid);
  return pid;
}

int Spawn(const Args& args) { return Start(args, false); }

int SpawnGroup(const Args& args) { return Start(args, true); }

int Reap(const Args& args, int (*wait)(int, sys::Status*)) {
  const Ints ints = args.IntsAt(1, 2);
  sys::Status status = {};
  const int pid = args.Int(0);
  const int result = wait(pid, &status);
  if (result != 0) HoldingsOf(args)->RemoveChild(pid);
  if (result > 0) {
    ints.data[0] = status.exit_code;
    ints.data[1] = status.signal;
    if (ints.count >= 2 + sys::kUsageInts) {
      memcpy(ints.data + 2, &status.usage, sizeof status.usage);
    }
  }
  return result;
}

int WaitPid(const Args& args) { return Reap(args, sys::WaitPid); }

int WaitLeader(const Args& args) { return Reap(args, sys::WaitLeader); }

int OwnUsage(const Args& args) {
  const Ints ints = args.IntsAt(0, sys::kUsageInts);
  sys::Usage usage = {};
  const int result = sys::OwnUsage(&usage);
  memcpy(ints.data, &usage, sizeof usage);
  return result;
}

int ExitFd(const Args& args) { return Own(args, sys::ExitFd(args.Int(0))); }

int Kill(const Args& args) {
  return sys::Kill(args.Int(0), args.Int(1), args.Int(2));
}

int KillWorker(const Args& args) {
  const auto kill = args.Bool(4) ? sys::KillGroup : sys::Kill;
  return kill(args.Int(0), args.Int(1), args.Int(2), args.Int(3));
}

int LeadGroup(const Args& args) { return sys::LeadGroup(args.Int(0)); }

int SetDeathSignal(const Args& args) {
  return sys::SetDeathSignal(args.Int(0), args.Int(1));
}

int TimerSlack(const Args&) { return sys::TimerSlack(); }

int SetLimit(const Args& args) {
  const int resource = args.Int(0);
  args.Assert(resource >= 0, 0, "not negative");
  return sys::SetLimit(static_cast<size_t>(resource), args.Double(1),
                       args.Bool(2));
}

int EndAfter(const Args& args) {
  return sys::StartTimer(ITIMER_REAL, args.Double(0));
}

int ResetSignal(const Args& args) { return sys::ResetSignal(args.Int(0)); }

int UnblockSignals(const Args&) { return sys::UnblockSignals(); }

int Fork(const Args& args) {
  const int pid = sys::Fork();
  if (pid != 0) return pid;
  sys::ForgetLeft();
  // Until this call, the loops of child and parent share one set of watched fds
  // in the kernel.
  uv_loop_fork(args.Loop());
  // In the child, a handler of the parent would act a second time. Node ignores
  // these two, so that a write fails instead.
  for (int signal = 1; signal < NSIG; signal++) {
    if (signal != SIGPIPE && signal != SIGXFSZ) sys::ResetSignal(signal);
  }
  return 0;
}

int AwaitQuiet(const Args& args) { return sys::AwaitQuiet(args.Double(0)); }

int PackHeap(const Args&) { return sys::PackHeap(); }

int DropFilledPages(const Args& args) {
  return sys::DropFilledPages(args.Double(0));
}

int GetPid(const Args&) { return getpid(); }

int ExitNow(const Args& args) { _exit(args.Int(0)); }

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  StartInstance(env);
  ExportFiles(exports);
  Export<SealFile>(exports, "sealFile");
  Export<CheckSealed>(exports, "checkSealed");
  Export<Poll>(exports, "poll");
  Export<SelectorOpen>(exports, "selectorOpen");
  Export<SelectorAdd>(exports, "selectorAdd");
  Export<SelectorAddEnd>(exports, "selectorAddEnd");
  Export<SelectorRemove>(exports, "selectorRemove");
  Export<SelectorWait>(exports, "selectorWait");
  ExportWatch(env, exports);
  Export<Spawn>(exports, "spawn");
  Export<SpawnGroup>(exports, "spawnGroup");
  Export<TakeToken>(exports, "takeToken");
  Export<ReturnToken>(exports, "returnToken");
  Export<BindToken>(exports, "bindToken");
  Export<UnbindToken>(exports, "unbindToken");
  Export<EndWithThread>(exports, "endWithThread");
  Export<EndForkWithThread>(exports, "endForkWithThread");
  Export<ReceiveReport>(exports, "receiveReport");
  Export<WaitPid>(exports, "waitpid");
  Export<OwnUsage>(exports, "ownUsage");
  Export<WaitLeader>(exports, "waitLeader");
  Export<ExitFd>(exports, "exitFd");
  Export<Kill>(exports, "kill");
  Export<KillWorker>(exports, "killWorker");
  Export<LeadGroup>(exports, "leadGroup");
  Export<SetDeathSignal>(exports, "setDeathSignal");
  Export<EndAfter>(exports, "endAfter");
  Export<Stamp>(exports, "stamp");
  Export<EnvironmentStamp>(exports, "environmentStamp");
  Export<TimerSlack>(exports, "timerSlack");
  Export<SetLimit>(exports, "setLimit");
  Export<ShareToken>(exports, "shareToken");
  Export<ResetSignal>(exports, "resetSignal");
  Export<UnblockSignals>(exports, "unblockSignals");
  Export<Fork>(exports, "fork");
  Export<AwaitQuiet>(exports, "awaitQuiet");
  Export<PackHeap>(exports, "packHeap");
  Export<DropFilledPages>(exports, "dropFilledPages");
  Export<HoldZygote>(exports, "holdZygote");
  Export<ShareZygote>(exports, "shareZygote");
  Export<ReleaseZygote>(exports, "releaseZygote");
  ExportForks(exports);
  Export<GetPid>(exports, "getpid");
  Export<ExitNow>(exports, "exitNow");
  ExportGuard(exports);
  ExportSegments(exports);
  ExportSockets(exports);
  exports.Set("isMainThread", IsMainThread(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(addon, Init)
