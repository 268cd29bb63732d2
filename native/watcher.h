// Readability of fds on the environment's own event loop.
#pragma once
#include <napi.h>

#include <map>

namespace jobserver {

class Watcher;

// All watchers of one environment; they end with it at the latest.
class Watchers {
 public:
  explicit Watchers(Napi::Env env);
  Watchers(const Watchers&) = delete;
  Watchers& operator=(const Watchers&) = delete;

  // A handle, or -errno.
  int Watch(int fd, Napi::Function on_readable);
  void Unwatch(int handle);
  void Ref(int handle, bool on);

 private:
  friend class Watcher;

  static void CloseAll(napi_async_cleanup_hook_handle hook, void* self);
  // A handle of the event loop is closed; its memory may go.
  void Closed();
  void FinishWhenClosed();

  Napi::Env env_;
  std::map<int, Watcher*> watchers_;
  int last_handle_ = 0;
  int closing_ = 0;
  bool is_ending_ = false;
  napi_async_cleanup_hook_handle hook_ = nullptr;
};

}  // namespace jobserver
