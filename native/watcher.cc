// A watcher has two owners: the loop, until the libuv handle is closed, and
// JavaScript, until the value that stands for the watcher is collected. The
// collection does not end the watch, but the end of the environment does.
#include "watcher.h"

#include <fcntl.h>
#include <uv.h>

#include "args.h"
#include "export.h"
#include "posix.h"

namespace {

class Watcher {
 public:
  // Returns the value that stands for a new watcher, or -errno.
  static Napi::Value Start(Napi::Env env, int fd, Napi::Function on_readable);

  void Close();
  void Ref(bool on);

 private:
  Watcher(Napi::Env env, Napi::Function on_readable);

  int Open(int fd);
  int Listen();
  // True when JavaScript wants to be called again.
  bool Call();
  bool IsTrue(napi_value value) const;
  bool IsClosing() const;
  void DropReferences();
  void Release();

  static void OnReadable(uv_poll_t* poll, int status, int events);
  static void OnClosed(uv_handle_t* poll);
  static void OnEnvironmentEnd(napi_async_cleanup_hook_handle, void* watcher);
  static void OnCollected(napi_env, void* watcher, void*);

  Napi::Env env_;
  Napi::FunctionReference on_readable_;
  Napi::AsyncContext context_;
  napi_async_cleanup_hook_handle cleanup_ = nullptr;
  uv_poll_t poll_ = {};
  int owners_ = 0;
};

Watcher::Watcher(Napi::Env env, Napi::Function on_readable)
    : env_(env),
      on_readable_(Napi::Persistent(on_readable)),
      context_(env, "jobserver.watch") {
  poll_.data = this;
}

Napi::Value Watcher::Start(Napi::Env env, int fd, Napi::Function on_readable) {
  Watcher* watcher = new Watcher(env, on_readable);
  int result = watcher->Open(fd);
  if (result < 0) {
    delete watcher;
    return Napi::Number::New(env, result);
  }
  watcher->owners_ = 1;
  napi_add_async_cleanup_hook(env, OnEnvironmentEnd, watcher,
                              &watcher->cleanup_);
  result = watcher->Listen();
  if (result < 0) {
    watcher->Close();
    return Napi::Number::New(env, result);
  }
  watcher->owners_ = 2;
  napi_value handle = nullptr;
  napi_create_external(env, watcher, OnCollected, nullptr, &handle);
  return Napi::Value(env, handle);
}

int Watcher::Open(int fd) {
  uv_loop_t* loop = nullptr;
  napi_get_uv_event_loop(env_, &loop);
  const int flags = fcntl(fd, F_GETFL);
  const int result = uv_poll_init(loop, &poll_, fd);
  // libuv makes the open file description non-blocking, but other processes may
  // share it.
  if (result == 0 && (flags & O_NONBLOCK) == 0) {
    sys::SetNonBlocking(fd, false);
  }
  return result;
}

int Watcher::Listen() { return uv_poll_start(&poll_, UV_READABLE, OnReadable); }

void Watcher::OnReadable(uv_poll_t* poll, int status, int) {
  Watcher* watcher = static_cast<Watcher*>(poll->data);
  // libuv stops watching an fd that is in error.
  if (status < 0) watcher->Listen();
  // In one callback each, so that Node drains its queues in between.
  while (watcher->Call()) {
  }
}

bool Watcher::Call() {
  const Napi::Env env = env_;
  Napi::HandleScope scope(env);
  // Not by Napi's MakeCallback, which ends the process when JavaScript can no
  // longer run because this worker thread is being terminated.
  napi_value function = nullptr;
  napi_get_reference_value(env, on_readable_, &function);
  napi_value result = nullptr;
  const napi_status status = napi_make_callback(env, context_, env.Global(),
                                                function, 0, nullptr, &result);
  if (status == napi_ok) return IsTrue(result) && !IsClosing();
  if (status != napi_pending_exception) return false;
  // No JavaScript is on the stack, so the exception is an uncaught one.
  napi_value error = nullptr;
  if (napi_get_and_clear_last_exception(env, &error) == napi_ok) {
    napi_fatal_exception(env, error);
  }
  return false;
}

bool Watcher::IsTrue(napi_value value) const {
  bool is_true = false;
  return napi_get_value_bool(env_, value, &is_true) == napi_ok && is_true;
}

bool Watcher::IsClosing() const {
  return uv_is_closing(reinterpret_cast<const uv_handle_t*>(&poll_)) != 0;
}

void Watcher::Ref(bool on) {
  if (IsClosing()) return;
  uv_handle_t* handle = reinterpret_cast<uv_handle_t*>(&poll_);
  if (on) {
    uv_ref(handle);
  } else {
    uv_unref(handle);
  }
}

void Watcher::Close() {
  if (IsClosing()) return;
  // Because the caller may close the fd as soon as this returns.
  uv_poll_stop(&poll_);
  uv_close(reinterpret_cast<uv_handle_t*>(&poll_), OnClosed);
}

void Watcher::OnClosed(uv_handle_t* poll) {
  Watcher* watcher = static_cast<Watcher*>(poll->data);
  // Not in Close, which the callback itself may call.
  watcher->DropReferences();
  // After the references, because this may free the environment.
  napi_remove_async_cleanup_hook(watcher->cleanup_);
  watcher->Release();
}

void Watcher::DropReferences() {
  Napi::HandleScope scope(env_);
  on_readable_.Reset();
  const Napi::AsyncContext ended(std::move(context_));
}

void Watcher::OnEnvironmentEnd(napi_async_cleanup_hook_handle, void* watcher) {
  static_cast<Watcher*>(watcher)->Close();
}

void Watcher::OnCollected(napi_env, void* watcher, void*) {
  static_cast<Watcher*>(watcher)->Release();
}

void Watcher::Release() {
  owners_ -= 1;
  if (owners_ == 0) delete this;
}

Watcher* WatcherAt(const Args& args, size_t index,
                   Place place = Place::Here()) {
  void* watcher = nullptr;
  const napi_status status =
      napi_get_value_external(args.Env(), args.At(index), &watcher);
  args.Assert(status == napi_ok, index, "a watch", place);
  return static_cast<Watcher*>(watcher);
}

Napi::Value Watch(const Napi::CallbackInfo& info) {
  const Args args(info);
  return Watcher::Start(info.Env(), args.Int(0), args.Function(1));
}

void Unwatch(const Napi::CallbackInfo& info) {
  WatcherAt(Args(info), 0)->Close();
}

void RefWatch(const Napi::CallbackInfo& info) {
  const Args args(info);
  WatcherAt(args, 0)->Ref(args.Bool(1));
}

int SelectorAddOutput(const Args& args) {
  return sys::SelectorAddOutput(args.Int(0), args.Int(1));
}

}  // namespace

void ExportWatch(Napi::Env env, Napi::Object exports) {
  exports.Set("watch", Napi::Function::New<Watch>(env, "watch"));
  exports.Set("unwatch", Napi::Function::New<Unwatch>(env, "unwatch"));
  Export<SelectorAddOutput>(exports, "selectorAddOutput");
  exports.Set("refWatch", Napi::Function::New<RefWatch>(env, "refWatch"));
}
