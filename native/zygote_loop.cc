#include "zygote_loop.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "export.h"
#include "fork.h"
#include "huge_text.h"
#include "passing.h"
#include "posix.h"
#include "protocol.h"
#include "zygote.h"

namespace {

// What a zygote needs to serve forks, and its children need to run jobs. It is
// never freed.
struct Serving {
  explicit Serving(const Args& args)
      : env(args.Env()),
        loop(args.Loop()),
        zygote(args.Int(0), args.Int(1)),
        on_step(Napi::Persistent(args.Function(3))),
        context(env, "jobserver.job") {}

  void Call(sys::ChildStep step, napi_value fds = nullptr) {
    const napi_value values[] = {Napi::Number::New(env, step), fds};
    on_step.MakeCallback(env.Global(), fds == nullptr ? 1 : 2, values, context);
    napi_value error = nullptr;
    if (!env.IsExceptionPending()) return;
    if (napi_get_and_clear_last_exception(env, &error) == napi_ok) {
      napi_fatal_exception(env, error);
    }
  }

  Napi::Env env;
  uv_loop_t* loop;
  sys::Zygote zygote;
  Napi::FunctionReference on_step;
  Napi::AsyncContext context;
  uv_idle_t idle = {};
};

// Of this process, for resumeForks.
Serving* the_serving = nullptr;

// Runs the loop until it is empty. V8's own tasks arrive through a handle that
// does not keep the loop alive, so an idle handle does while the loop polls for
// them. One poll is always needed: after a fork, a loop registers its fds with
// the kernel only when it polls.
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

void LiveAsScout(Serving* serving) {
  uv_loop_fork(serving->loop);
  Napi::HandleScope scope(serving->env);
  serving->Call(sys::kScoutBegins);
  RunLoop(serving->loop, &serving->idle);
  serving->zygote.EndScout();
}

void BeginJob(Serving* serving) {
  int fds[sys::kMostPassed];
  const size_t count = serving->zygote.TakeJob(fds);
  Napi::Array numbers = Napi::Array::New(serving->env, count);
  for (size_t i = 0; i < count; i++) {
    numbers.Set(static_cast<uint32_t>(i),
                Napi::Number::New(serving->env, fds[i]));
  }
  serving->Call(sys::kJobBegins, numbers);
}

// Never returns to Node's own loop. When that ends, Node waits for threads that
// a forked child does not have.
void LiveAsJob(Serving* serving) {
  uv_loop_fork(serving->loop);
  Napi::HandleScope scope(serving->env);
  serving->Call(sys::kSpareBegins);
  BeginJob(serving);
  do {
    RunLoop(serving->loop, &serving->idle);
    serving->Call(sys::kLoopIsEmpty);
  } while (uv_loop_alive(serving->loop) != 0);
  serving->Call(sys::kJobEnds);
  _exit(0);
}

void CheckStart(int result) {
  if (result >= 0) return;
  fprintf(stderr, "The forkserver cannot start: %s\n", strerror(-result));
  _exit(1);
}

// The event loop calls this and the next function, so that no JavaScript is on
// the stack of the forks.
void ServeEarly(uv_idle_t* idle) {
  auto* serving = static_cast<Serving*>(idle->data);
  uv_idle_stop(idle);
  if (sys::AwaitQuiet(0) == 1 && serving->zygote.ServeEarly()) {
    LiveAsJob(serving);
  }
  Napi::HandleScope scope(serving->env);
  serving->Call(sys::kMayPrepare);
}

void Serve(uv_idle_t* idle) {
  // A thread of V8's pool may still be busy with what has run before.
  constexpr double kQuietMs = 5000;
  auto* serving = static_cast<Serving*>(idle->data);
  uv_idle_stop(idle);
  if (sys::AwaitQuiet(kQuietMs) == 0) {
    // Who refuses all requests does not see how a child ends.
    if (serving->zygote.HasChildren()) CheckStart(-EBUSY);
    Napi::HandleScope scope(serving->env);
    serving->Call(sys::kNeverQuiet);
    return;
  }
  // Fails where it cannot be had.
  sys::EnlargeText(reinterpret_cast<const void*>(napi_make_callback));
  CheckStart(serving->zygote.EndPreparation());
  if (serving->zygote.ForkScout() == 0) LiveAsScout(serving);
  serving->zygote.Serve();
  LiveAsJob(serving);
}

int ServeForks(const Args& args) {
  auto* serving = new Serving(args);
  the_serving = serving;
  CheckStart(serving->zygote.Open());
  uv_idle_init(serving->loop, &serving->idle);
  serving->idle.data = serving;
  return uv_idle_start(&serving->idle, args.Bool(2) ? ServeEarly : Serve);
}

int ResumeForks(const Args& args) {
  if (the_serving == nullptr) return -EINVAL;
  return uv_idle_start(&the_serving->idle, args.Bool(0) ? ServeEarly : Serve);
}

int EndScoutAfter(const Args& args) {
  return sys::Zygote::EndScoutAfter(args.Double(0));
}

}  // namespace

void ExportForks(Napi::Object exports) {
  Export<ServeForks>(exports, "serveForks");
  Export<ResumeForks>(exports, "resumeForks");
  Export<EndScoutAfter>(exports, "endScoutAfter");
}
