// The border: converts arguments, calls one verb of posix.h, converts its
// result. No verb throws; lib/binding.ts gives them their types.
#include <errno.h>
#include <napi.h>
#include <unistd.h>

#include "args.h"
#include "posix.h"
#include "watcher.h"

namespace jobserver {
namespace {

using Info = const Napi::CallbackInfo&;

template <typename T>
Napi::Value Number(Info info, T value) {
  return Napi::Number::New(info.Env(), static_cast<double>(value));
}

Watchers* WatchersOf(Info info) {
  return info.Env().GetInstanceData<Watchers>();
}

Napi::Value PipeVerb(Info info) {
  return Number(info, Pipe(IntsArg(info, 0, 2)));
}

Napi::Value SocketPairVerb(Info info) {
  return Number(info, SocketPair(IntsArg(info, 0, 2), BoolArg(info, 1)));
}

Napi::Value DupVerb(Info info) { return Number(info, Dup(IntArg(info, 0))); }

Napi::Value CloseVerb(Info info) {
  return Number(info, Close(IntArg(info, 0)));
}

Napi::Value SetCloseOnExecVerb(Info info) {
  return Number(info, SetCloseOnExec(IntArg(info, 0), BoolArg(info, 1)));
}

Napi::Value SetNonBlockingVerb(Info info) {
  return Number(info, SetNonBlocking(IntArg(info, 0), BoolArg(info, 1)));
}

Napi::Value ReadVerb(Info info) {
  size_t length = 0;
  uint8_t* bytes = BytesArg(info, 1, &length);
  return Number(info, Read(IntArg(info, 0), bytes, length));
}

Napi::Value WriteVerb(Info info) {
  size_t length = 0;
  const uint8_t* bytes = BytesArg(info, 1, &length);
  return Number(info, Write(IntArg(info, 0), bytes, length));
}

Napi::Value AnonymousFileVerb(Info info) {
  return Number(info, AnonymousFile());
}

// Pairs of fd and events become pollfds in place of them, and back.
Napi::Value PollVerb(Info info) {
  int count = IntArg(info, 1);
  ADDON_ASSERT(count >= 0);
  int32_t* pairs = IntsArg(info, 0, 2 * static_cast<size_t>(count));
  auto* fds = reinterpret_cast<PollFd*>(pairs);
  return Number(info,
                Poll(fds, static_cast<size_t>(count), DoubleArg(info, 2)));
}

Napi::Value SelectorOpenVerb(Info info) { return Number(info, SelectorOpen()); }

Napi::Value SelectorAddVerb(Info info) {
  return Number(info, SelectorAdd(IntArg(info, 0), IntArg(info, 1)));
}

Napi::Value SelectorRemoveVerb(Info info) {
  return Number(info, SelectorRemove(IntArg(info, 0), IntArg(info, 1)));
}

Napi::Value SelectorWaitVerb(Info info) {
  size_t capacity = 0;
  int32_t* ready = IntsArg(info, 1, 1, &capacity);
  return Number(
      info, SelectorWait(IntArg(info, 0), ready, capacity, DoubleArg(info, 2)));
}

Napi::Value WatchVerb(Info info) {
  auto on_readable = info[1].As<Napi::Function>();
  return Number(info, WatchersOf(info)->Watch(IntArg(info, 0), on_readable));
}

Napi::Value UnwatchVerb(Info info) {
  WatchersOf(info)->Unwatch(IntArg(info, 0));
  return Number(info, 0);
}

Napi::Value RefWatchVerb(Info info) {
  WatchersOf(info)->Ref(IntArg(info, 0), BoolArg(info, 1));
  return Number(info, 0);
}

Napi::Value SpawnVerb(Info info) {
  const std::string file = StringArg(info[0]);
  const StringsArg argv(info[1]);
  const StringsArg env(info[2]);
  const std::string cwd = StringArg(info[3]);
  size_t length = 0;
  const int32_t* table = IntsArg(info, 4, 1, &length);
  Program program = {};
  program.file = file.c_str();
  program.argv = argv.pointers();
  program.env = env.pointers();
  program.cwd = cwd.c_str();
  program.death_signal = table[0];
  program.fds = reinterpret_cast<const FdPair*>(table + 1);
  program.fd_count = (length - 1) / 2;
  return Number(info, Spawn(program));
}

Napi::Value WaitPidVerb(Info info) {
  auto* status = reinterpret_cast<Status*>(IntsArg(info, 1, 2));
  return Number(info, WaitPid(IntArg(info, 0), status));
}

Napi::Value ExitFdVerb(Info info) {
  return Number(info, ExitFd(IntArg(info, 0)));
}

Napi::Value KillVerb(Info info) {
  return Number(info, Kill(IntArg(info, 0), IntArg(info, 1), IntArg(info, 2)));
}

Napi::Value SetDeathSignalVerb(Info info) {
  return Number(info, SetDeathSignal(IntArg(info, 0), IntArg(info, 1)));
}

Napi::Value ResetSignalVerb(Info info) {
  return Number(info, ResetSignal(IntArg(info, 0)));
}

Napi::Value GuardTokenVerb(Info info) {
  auto token = static_cast<uint8_t>(IntArg(info, 3));
  return Number(info, GuardToken(IntArg(info, 0), IntArg(info, 1),
                                 IntArg(info, 2), token));
}

Napi::Value ExitNowVerb(Info info) { _exit(IntArg(info, 0)); }

// Watchers delete themselves once the event loop has closed their handles.
void KeepWatchers(Napi::Env, Watchers*) {}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData<Watchers, KeepWatchers>(new Watchers(env));
  const struct {
    const char* name;
    Napi::Value (*verb)(Info);
  } verbs[] = {
      {"pipe", PipeVerb},
      {"socketpair", SocketPairVerb},
      {"dup", DupVerb},
      {"close", CloseVerb},
      {"setCloseOnExec", SetCloseOnExecVerb},
      {"setNonBlocking", SetNonBlockingVerb},
      {"read", ReadVerb},
      {"write", WriteVerb},
      {"anonymousFile", AnonymousFileVerb},
      {"poll", PollVerb},
      {"selectorOpen", SelectorOpenVerb},
      {"selectorAdd", SelectorAddVerb},
      {"selectorRemove", SelectorRemoveVerb},
      {"selectorWait", SelectorWaitVerb},
      {"watch", WatchVerb},
      {"unwatch", UnwatchVerb},
      {"refWatch", RefWatchVerb},
      {"spawn", SpawnVerb},
      {"waitpid", WaitPidVerb},
      {"exitFd", ExitFdVerb},
      {"kill", KillVerb},
      {"setDeathSignal", SetDeathSignalVerb},
      {"resetSignal", ResetSignalVerb},
      {"guardToken", GuardTokenVerb},
      {"exitNow", ExitNowVerb},
  };
  for (const auto& each : verbs) {
    exports.Set(each.name, Napi::Function::New(env, each.verb, each.name));
  }
  return exports;
}

}  // namespace
}  // namespace jobserver

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) {
  return jobserver::Init(env, exports);
}

NODE_API_MODULE(addon, InitAddon)
