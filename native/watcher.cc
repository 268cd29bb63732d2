#include "watcher.h"

#include <uv.h>

namespace jobserver {

// Deletes itself once the event loop has let go of its handle.
class Watcher {
 public:
  Watcher(Watchers* owner, Napi::Env env, Napi::Function on_readable)
      : owner_(owner),
        env_(env),
        on_readable_(Napi::Persistent(on_readable)),
        context_(env, "jobserver.watch") {}

  int Start(uv_loop_t* loop, int fd) {
    poll_.data = this;
    int result = uv_poll_init(loop, &poll_, fd);
    if (result < 0) {
      delete this;
      return result;
    }
    result = uv_poll_start(&poll_, UV_READABLE, OnReadable);
    if (result < 0) Stop();
    return result;
  }

  void Stop() {
    owner_->closing_ += 1;
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), [](uv_handle_t* handle) {
      auto* self = static_cast<Watcher*>(handle->data);
      Watchers* owner = self->owner_;
      delete self;
      owner->Closed();
    });
  }

  void Ref(bool on) {
    auto* handle = reinterpret_cast<uv_handle_t*>(&poll_);
    if (on) {
      uv_ref(handle);
    } else {
      uv_unref(handle);
    }
  }

 private:
  static void OnReadable(uv_poll_t* poll, int, int) {
    auto* self = static_cast<Watcher*>(poll->data);
    Napi::Env env = self->env_;
    Napi::HandleScope scope(env);
    // The callback may stop this watcher, which keeps its memory until the
    // loop has closed it.
    self->on_readable_.MakeCallback(env.Global(), {}, self->context_);
    if (!env.IsExceptionPending()) return;
    Napi::Error error = env.GetAndClearPendingException();
    napi_fatal_exception(env, error.Value());
  }

  Watchers* owner_;
  Napi::Env env_;
  Napi::FunctionReference on_readable_;
  Napi::AsyncContext context_;
  uv_poll_t poll_;
};

Watchers::Watchers(Napi::Env env) : env_(env) {
  // Asynchronous, since the loop has to run before its handles are closed.
  napi_add_async_cleanup_hook(env, CloseAll, this, &hook_);
}

int Watchers::Watch(int fd, Napi::Function on_readable) {
  uv_loop_t* loop = nullptr;
  if (napi_get_uv_event_loop(env_, &loop) != napi_ok) return UV_ENOSYS;
  auto* watcher = new Watcher(this, env_, on_readable);
  int result = watcher->Start(loop, fd);
  if (result < 0) return result;
  watchers_[++last_handle_] = watcher;
  return last_handle_;
}

void Watchers::Unwatch(int handle) {
  auto found = watchers_.find(handle);
  if (found == watchers_.end()) return;
  found->second->Stop();
  watchers_.erase(found);
}

void Watchers::Ref(int handle, bool on) {
  auto found = watchers_.find(handle);
  if (found != watchers_.end()) found->second->Ref(on);
}

void Watchers::CloseAll(napi_async_cleanup_hook_handle, void* data) {
  auto* self = static_cast<Watchers*>(data);
  for (auto& entry : self->watchers_) entry.second->Stop();
  self->watchers_.clear();
  self->is_ending_ = true;
  self->FinishWhenClosed();
}

void Watchers::Closed() {
  closing_ -= 1;
  FinishWhenClosed();
}

void Watchers::FinishWhenClosed() {
  if (!is_ending_ || closing_ > 0) return;
  napi_remove_async_cleanup_hook(hook_);
  delete this;
}

}  // namespace jobserver
