#include "zygote_loop.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "fork.h"
#include "passing.h"
#include "posix.h"
#include "zygote.h"

namespace {

// The zygote of this process: it has one, for its whole life.
struct Serving {
  Serving(const Args& args)
      : env(args.Env()),
        loop(args.Loop()),
        zygote(args.Int(0), args.Int(1)),
        on_scout(Function(args, 2)),
        on_spare(Function(args, 3)),
        on_job(Function(args, 4)),
        on_idle(Function(args, 5)),
        on_end(Function(args, 6)),
        context(env, "jobserver.job") {}

  static Napi::FunctionReference Function(const Args& args, size_t index) {
    const Napi::Value value(args.Env(), args.At(index));
    return Napi::Persistent(value.As<Napi::Function>());
  }

  void Call(const Napi::FunctionReference& function, size_t count = 0,
            const napi_value* values = nullptr) {
    function.MakeCallback(env.Global(), count, values, context);
    napi_value error = nullptr;
    if (!env.IsExceptionPending()) return;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) {
      napi_fatal_exception(env, error);
    }
  }

  Napi::Env env;
  uv_loop_t* loop;
  sys::Zygote zygote;
  Napi::FunctionReference on_scout;
  Napi::FunctionReference on_spare;
  Napi::FunctionReference on_job;
  Napi::FunctionReference on_idle;
  Napi::FunctionReference on_end;
  Napi::AsyncContext context;
  uv_idle_t idle = {};
};

// V8's tasks arrive through a handle that does not keep the loop alive; an idle
// one does, so that the loop looks for them. It looks once in any case, because
// what a loop watches after a fork is told to the kernel by its next look.
void RunLoop(uv_loop_t* loop, uv_idle_t* idle) {
  constexpr int kMostLooks = 8;
  struct pollfd backend = {uv_backend_fd(loop), POLLIN, 0};
  uv_run(loop, UV_RUN_DEFAULT);
  for (int look = 0; look < kMostLooks; look++) {
    uv_idle_start(idle, [](uv_idle_t*) {});
    uv_run(loop, UV_RUN_NOWAIT);
    uv_idle_stop(idle);
    if (sys::Poll(&backend, 1, 0) <= 0) return;
  }
}

// Node must not get back its loop, at whose end it would wait for threads that
// a child does not have: the whole life of the child is in here.
void LiveAsJob(Serving* serving) {
  uv_loop_fork(serving->loop);
  Napi::HandleScope scope(serving->env);
  serving->Call(serving->on_spare);

  int fds[sys::kMostPassed];
  const size_t count = serving->zygote.TakeJob(fds);
  Napi::Array numbers = Napi::Array::New(serving->env, count);
  for (size_t i = 0; i < count; i++) {
    numbers.Set(static_cast<uint32_t>(i),
                Napi::Number::New(serving->env, fds[i]));
  }
  const napi_value values[] = {numbers};
  serving->Call(serving->on_job, 1, values);
  do {
    RunLoop(serving->loop, &serving->idle);
    serving->Call(serving->on_idle);
  } while (uv_loop_alive(serving->loop) != 0);
  serving->Call(serving->on_end);
  _exit(0);
}

void LiveAsScout(Serving* serving) {
  uv_loop_fork(serving->loop);
  Napi::HandleScope scope(serving->env);
  serving->Call(serving->on_scout);
  RunLoop(serving->loop, &serving->idle);
  serving->zygote.EndScout();
}

// With no JavaScript on the stack below.
void Serve(uv_idle_t* idle) {
  // A thread of V8's pool may still be busy with what has run before.
  constexpr double kQuietMs = 1000;
  auto* serving = static_cast<Serving*>(idle->data);
  uv_idle_stop(idle);
  sys::AwaitQuiet(kQuietMs);
  const int result = serving->zygote.Open();
  if (result < 0) {
    fprintf(stderr, "The forkserver cannot start: %s\n", strerror(-result));
    _exit(1);
  }
  if (serving->zygote.ForkScout() == 0) LiveAsScout(serving);
  serving->zygote.Serve();
  LiveAsJob(serving);
}

}  // namespace

int ServeForks(const Args& args) {
  auto* serving = new Serving(args);
  uv_idle_init(serving->loop, &serving->idle);
  serving->idle.data = serving;
  return uv_idle_start(&serving->idle, Serve);
}
