#include "reuse.h"

#include <errno.h>

#include "instance.h"
#include "posix.h"
#include "stamp.h"

int Stamp(const Args& args) {
  return args.Bool(0) ? sys::RightsStamp() : sys::StateStamp();
}

int EnvironmentStamp(const Args&) { return sys::EnvironmentStamp(); }

int PageFile(const Args& args) { return Own(args, sys::PageFile()); }

Napi::Value MapPage(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  void* page = nullptr;
  const int result = sys::MapPage(Args(info).Int(0), &page);
  if (result < 0) return Napi::Number::New(env, result);
  napi_value buffer = nullptr;
  const napi_status status = napi_create_external_arraybuffer(
      env, page, sys::kPageBytes,
      [](napi_env, void* data, void*) { sys::UnmapPage(data); }, nullptr,
      &buffer);
  if (status == napi_ok) return Napi::Value(env, buffer);
  sys::UnmapPage(page);
  return Napi::Number::New(env, -ENOTSUP);
}

int ShareToken(const Args& args) {
  const Ints words = args.IntsAt(0, 0);
  return sys::ShareToken(words.count == 0 ? nullptr : words.data);
}
