#include "instance.h"

#include "holdings.h"
#include "posix.h"
#include "strings.h"
#include "zygote_table.h"

namespace {

sys::Holdings* HoldingsOf(Napi::Env env) {
  return env.GetInstanceData<sys::Holdings>();
}

bool IsMainThread(Napi::Env env) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env, &loop);
  return loop == uv_default_loop();
}

// Calls a function of zygote_table.h that holds a zygote.
int Hold(const Args& args, int (*hold)(const char*, sys::ZygoteLink*)) {
  const Strings key(args, 0);
  const Ints ints = args.IntsAt(1, 2);
  if (key.error() < 0) return key.error();
  sys::ZygoteLink link = {ints.data[0], ints.data[1]};
  const int result = hold(key.first(), &link);
  if (result < 0) return result;
  HoldingsOf(args.Env())->AddZygote(link.socket);
  ints.data[0] = link.socket;
  ints.data[1] = link.pid;
  return result;
}

}  // namespace

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

int HoldZygote(const Args& args) { return Hold(args, sys::HoldZygote); }

int ShareZygote(const Args& args) { return Hold(args, sys::ShareZygote); }

int ReleaseZygote(const Args& args) {
  const int socket = args.Int(0);
  HoldingsOf(args.Env())->RemoveZygote(socket);
  const int pid = sys::ReleaseZygote(socket, args.Bool(1));
  if (pid <= 0) return pid;
  sys::LeaveChild(pid);
  sys::ReapLeft();
  return 0;
}
